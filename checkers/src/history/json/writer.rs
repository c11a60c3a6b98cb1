//! Writes histories, one object a line.

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::history::Event;

/// Writes one event as an object on a line of its own.
///
/// # Errors
/// The sink's own.
pub fn append<W: Write>(sink: &mut W, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *sink, &Members(event))?;
    sink.write_all(b"\n")
}

/// An event with its extra columns as members like others.
struct Members<'e>(&'e Event);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Event { index, time, process, kind, f, key, value, node, error, version, extra } = self.0;
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("index", index)?;
        members.serialize_entry("time", time)?;
        members.serialize_entry("process", process)?;
        members.serialize_entry("type", kind)?;
        members.serialize_entry("f", f)?;
        for (name, text) in [("key", key), ("node", node), ("error", error)] {
            if let Some(text) = text {
                members.serialize_entry(name, text)?;
            }
        }
        members.serialize_entry("value", value)?;
        if let Some(version) = version {
            members.serialize_entry("version", version)?;
        }
        for (column, text) in extra {
            members.serialize_entry(column, text)?;
        }
        members.end()
    }
}
