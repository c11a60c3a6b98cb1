//! Writes histories, one map a line.

use std::io::{self, Write};

use serde_json::Value;

use crate::history::Event;

/// Writes one event as a map on a line of its own.
///
/// # Errors
/// The sink's own.
pub fn append<W: Write>(sink: &mut W, event: &Event) -> io::Result<()> {
    write!(sink, "{{:index {}, :time {}, :process ", event.index, event.time)?;
    match event.process {
        crate::history::Process::Client(number) => write!(sink, "{number}")?,
        crate::history::Process::Nemesis => sink.write_all(b":nemesis")?,
    }
    write!(sink, ", :type :{}, :f ", event.kind)?;
    name(sink, &event.f)?;
    sink.write_all(b", :value ")?;
    value(sink, &event.value)?;
    // Written also where there is none: it says that values are no pairs of key and value.
    sink.write_all(b", :key ")?;
    match &event.key {
        Some(key) => text(sink, key)?,
        None => sink.write_all(b"nil")?,
    }
    for (name, member) in [(":node", &event.node), (":error", &event.error)] {
        if let Some(member) = member {
            write!(sink, ", {name} ")?;
            text(sink, member)?;
        }
    }
    if let Some(version) = event.version {
        write!(sink, ", :version {version}")?;
    }
    for (column, member) in &event.extra {
        sink.write_all(b", ")?;
        name(sink, column)?;
        sink.write_all(b" ")?;
        text(sink, member)?;
    }
    sink.write_all(b"}\n")
}

/// What is still to be written of a value.
enum Rest<'v> {
    Value(&'v Value),
    /// The head of a transaction's step, which Jepsen writes as a keyword.
    Step(&'v str),
    Member(&'v str, &'v Value),
    Text(&'static str),
}

fn value<W: Write>(sink: &mut W, value: &Value) -> io::Result<()> {
    let mut rest = vec![Rest::Value(value)];
    while let Some(next) = rest.pop() {
        match next {
            Rest::Text(text) => sink.write_all(text.as_bytes())?,
            Rest::Step(head) => name(sink, head)?,
            Rest::Member(key, value) => {
                text(sink, key)?;
                sink.write_all(b" ")?;
                rest.push(Rest::Value(value));
            }
            Rest::Value(Value::Null) => sink.write_all(b"nil")?,
            Rest::Value(Value::String(string)) => text(sink, string)?,
            Rest::Value(scalar @ (Value::Bool(_) | Value::Number(_))) => write!(sink, "{scalar}")?,
            Rest::Value(Value::Array(items)) => {
                sink.write_all(b"[")?;
                rest.push(Rest::Text("]"));
                for (at, item) in items.iter().enumerate().rev() {
                    rest.push(match item {
                        Value::String(head) if at == 0 && is_step(items) => Rest::Step(head),
                        item => Rest::Value(item),
                    });
                    rest.extend((at > 0).then_some(Rest::Text(" ")));
                }
            }
            Rest::Value(Value::Object(members)) => {
                sink.write_all(b"{")?;
                rest.push(Rest::Text("}"));
                for (at, (key, member)) in members.iter().enumerate().rev() {
                    rest.push(Rest::Member(key, member));
                    rest.extend((at > 0).then_some(Rest::Text(", ")));
                }
            }
        }
    }
    Ok(())
}

/// `["append" key value]` and its like.
fn is_step(items: &[Value]) -> bool {
    items.len() == 3 && items[0].as_str().is_some_and(|head| matches!(head, "append" | "r" | "w"))
}

/// As a keyword if it can be one.
fn name<W: Write>(sink: &mut W, name: &str) -> io::Result<()> {
    let mut letters = name.bytes();
    let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic());
    if begins && letters.all(|letter| letter.is_ascii_alphanumeric() || b"-_.+*!?<>=".contains(&letter)) {
        return write!(sink, ":{name}");
    }
    text(sink, name)
}

fn text<W: Write>(sink: &mut W, text: &str) -> io::Result<()> {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    quoted.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b'\n' => quoted.extend(b"\\n"),
            b'\r' => quoted.extend(b"\\r"),
            b'\t' => quoted.extend(b"\\t"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    sink.write_all(&quoted)
}
