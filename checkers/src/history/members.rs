//! Events of formats in which each names its own members: EDN and JSON.

use serde_json::Value;

use super::text::{kind, process};
use super::{Event, Process};

/// An event that is filled member by member.
#[derive(Debug)]
pub(super) struct Filling {
    event: Event,
    index: Option<u64>,
    has: Has,
}

/// Which members it has that a format may ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Has {
    pub(super) process: bool,
    pub(super) kind: bool,
    pub(super) f: bool,
    /// Also where the key is none.
    pub(super) key: bool,
}

impl Filling {
    pub(super) fn new() -> Self {
        Filling { event: Event::empty(), index: None, has: Has::default() }
    }

    /// Takes one member.
    ///
    /// # Errors
    /// What was expected in its place.
    pub(super) fn fill(&mut self, name: &str, value: Value) -> Result<(), String> {
        let event = &mut self.event;
        match name {
            "index" => self.index = optional(value, Value::as_u64, "a whole number from 0")?,
            "time" => event.time = optional(value, Value::as_u64, "a whole number of nanoseconds")?.unwrap_or(0),
            "process" => {
                self.has.process = true;
                event.process = match value {
                    Value::Number(number) => {
                        number.as_u64().map(Process::Client).ok_or_else(|| not_a_process(&number))?
                    }
                    other => process(&text(other))?,
                }
            }
            "type" => {
                self.has.kind = true;
                event.kind = kind(&text(value))?;
            }
            "f" => {
                self.has.f = !value.is_null();
                event.f = text(value);
            }
            "key" => {
                self.has.key = true;
                event.key = some_text(value);
            }
            "value" => event.value = value,
            "node" => event.node = some_text(value),
            "error" => event.error = some_text(value),
            "version" => event.version = optional(value, Value::as_i64, "an integer")?,
            _ => event.extra.push((name.to_owned(), text(value))),
        }
        Ok(())
    }

    pub(super) fn has(&self) -> Has {
        self.has
    }

    /// The event, with the next index if it has none of its own.
    ///
    /// # Errors
    /// Its index is lower than that of the event before.
    pub(super) fn finish(self, next: &mut u64) -> Result<Event, String> {
        let expected = *next;
        if let Some(index) = self.index.filter(|&index| index < expected) {
            return Err(format!(
                "expected an index of {expected} or more, found {index}: events are in the order of their index"
            ));
        }
        let index = self.index.unwrap_or(expected);
        *next = index.saturating_add(1);
        Ok(Event { index, ..self.event })
    }
}

fn not_a_process(found: &serde_json::Number) -> String {
    format!("expected an integer from 0 or `nemesis`, found `{found}`")
}

fn optional<T>(value: Value, read: impl Fn(&Value) -> Option<T>, expected: &str) -> Result<Option<T>, String> {
    match &value {
        Value::Null => Ok(None),
        value => read(value).map(Some).ok_or_else(|| format!("expected {expected}, found `{value}`")),
    }
}

/// A text by itself; anything else as JSON.
pub(super) fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn some_text(value: Value) -> Option<String> {
    Some(text(value)).filter(|text| !text.is_empty())
}
