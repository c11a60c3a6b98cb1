//! The one that writes a history down while it happens.

use std::io::{self, Write};

use serde_json::Value;

use super::COLUMNS;
use crate::history::Event;

/// Appends events to a CSV file as they happen.
///
/// Each event is handed to the sink as one whole row in one `write_all`, and the sink is flushed before
/// [`Writer::append`] returns: whatever was appended is readable after the writing process was killed. It is not
/// synced to the disk; who wants the history to survive a power loss syncs the file as well.
#[derive(Debug)]
pub struct Writer<W: Write> {
    sink: W,
    extra: Vec<String>,
    /// The memory of the last row.
    row: Vec<u8>,
    flush: Flush,
}

#[derive(Debug)]
enum Flush {
    EachEvent,
    AtEnd,
}

impl<W: Write> Writer<W> {
    /// Writes the first row and flushes it.
    ///
    /// # Errors
    /// The sink's own.
    pub fn new(sink: W) -> io::Result<Self> {
        Self::with_extra(sink, Vec::new())
    }

    /// As [`Writer::new`], with columns beyond the schema's, for [`Event::extra`].
    ///
    /// # Errors
    /// The sink's own.
    pub fn with_extra(mut sink: W, extra: Vec<String>) -> io::Result<Self> {
        let mut row = COLUMNS.join(",").into_bytes();
        for column in &extra {
            row.push(b',');
            put(&mut row, column);
        }
        row.push(b'\n');
        sink.write_all(&row)?;
        sink.flush()?;
        Ok(Writer { sink, extra, row, flush: Flush::EachEvent })
    }

    /// For a history that is written when all is over.
    pub(super) fn flush_at_end(self) -> Self {
        Writer { flush: Flush::AtEnd, ..self }
    }

    /// Appends one event and flushes.
    ///
    /// # Errors
    /// The sink's own; `InvalidInput` if the event has an extra column that the file has not.
    pub fn append(&mut self, event: &Event) -> io::Result<()> {
        if let Some((column, _)) = event.extra.iter().find(|(column, _)| !self.extra.contains(column)) {
            let problem = format!("event {} has a column `{column}` that the file was not opened with", event.index);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        self.fill_row(event)?;
        self.sink.write_all(&self.row)?;
        match self.flush {
            Flush::EachEvent => self.sink.flush(),
            Flush::AtEnd => Ok(()),
        }
    }

    /// The event as one row.
    fn fill_row(&mut self, event: &Event) -> io::Result<()> {
        let Writer { row, extra, .. } = self;
        row.clear();
        write!(row, "{},{},{},{},", event.index, event.time, event.process, event.kind)?;
        put(row, &event.f);
        row.push(b',');
        put(row, event.key.as_deref().unwrap_or_default());
        row.push(b',');
        match &event.value {
            Value::Null | Value::Bool(_) | Value::Number(_) => serde_json::to_writer(&mut *row, &event.value)?,
            value => put(row, &value.to_string()),
        }
        for text in [&event.node, &event.error] {
            row.push(b',');
            put(row, text.as_deref().unwrap_or_default());
        }
        row.push(b',');
        if let Some(version) = event.version {
            write!(row, "{version}")?;
        }
        for column in extra.iter() {
            row.push(b',');
            let text = event.extra.iter().find(|(name, _)| name == column).map_or("", |(_, text)| text);
            put(row, text);
        }
        row.push(b'\n');
        Ok(())
    }

    /// Flushes and hands the sink back.
    ///
    /// # Errors
    /// The sink's own.
    pub fn finish(mut self) -> io::Result<W> {
        self.sink.flush()?;
        Ok(self.sink)
    }
}

/// Appends a field; in quotes if it would not be one field without.
fn put(row: &mut Vec<u8>, field: &str) {
    if !field.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        row.extend_from_slice(field.as_bytes());
        return;
    }
    row.push(b'"');
    for byte in field.bytes() {
        if byte == b'"' {
            row.push(b'"');
        }
        row.push(byte);
    }
    row.push(b'"');
}
