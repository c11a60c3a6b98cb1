//! The one that writes a history down while it happens.

use std::fmt::Display;
use std::io::{self, Write};

use super::COLUMNS;
use crate::history::Event;

/// So many bytes are handed on without being asked.
const ENOUGH: usize = 64 * 1024;

/// Appends events to a CSV file as they happen.
///
/// Whole rows are handed to the sink, in one `write_all`, and the sink is flushed, when [`Writer::flush`] is called or
/// enough rows wait: whatever was flushed is readable after the writing process was killed. It is not synced to the
/// disk; who wants the history to survive a power loss syncs the file as well.
#[derive(Debug)]
pub struct Writer<W: Write> {
    rows: ::csv::Writer<Waiting<W>>,
    extra: Vec<String>,
    /// The field that is being written.
    field: Vec<u8>,
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
    pub fn with_extra(sink: W, extra: Vec<String>) -> io::Result<Self> {
        let mut rows = ::csv::Writer::from_writer(Waiting { sink, rows: Vec::new() });
        rows.write_record(COLUMNS.iter().copied().chain(extra.iter().map(String::as_str)))?;
        rows.flush()?;
        Ok(Writer { rows, extra, field: Vec::new() })
    }

    /// Appends one event.
    ///
    /// # Errors
    /// The sink's own; `InvalidInput` if the event has an extra column that the file has not.
    pub fn append(&mut self, event: &Event) -> io::Result<()> {
        if let Some((column, _)) = event.extra.iter().find(|(column, _)| !self.extra.contains(column)) {
            let problem = format!("event {} has a column `{column}` that the file was not opened with", event.index);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        self.number(event.index)?;
        self.number(event.time)?;
        self.number(event.process)?;
        self.text(event.kind.name())?;
        self.text(&event.f)?;
        self.text(event.key.as_deref().unwrap_or_default())?;
        self.field.clear();
        serde_json::to_writer(&mut self.field, &event.value)?;
        self.rows.write_field(&self.field)?;
        self.text(event.node.as_deref().unwrap_or_default())?;
        self.text(event.error.as_deref().unwrap_or_default())?;
        match event.version {
            Some(version) => self.number(version)?,
            None => self.text("")?,
        }
        for column in &self.extra {
            let text = event.extra.iter().find(|(name, _)| name == column).map_or("", |(_, text)| text);
            self.rows.write_field(text)?;
        }
        self.rows.write_record(None::<&[u8]>)?;
        if self.rows.get_ref().rows.len() >= ENOUGH { self.flush() } else { Ok(()) }
    }

    /// Hands on what was appended.
    ///
    /// # Errors
    /// The sink's own.
    pub fn flush(&mut self) -> io::Result<()> {
        self.rows.flush()
    }

    /// Flushes and hands the sink back.
    ///
    /// # Errors
    /// The sink's own.
    pub fn finish(self) -> io::Result<W> {
        let waiting = self.rows.into_inner().map_err(|error| error.into_error())?;
        Ok(waiting.sink)
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        Ok(self.rows.write_field(text)?)
    }

    fn number(&mut self, number: impl Display) -> io::Result<()> {
        self.field.clear();
        write!(self.field, "{number}")?;
        Ok(self.rows.write_field(&self.field)?)
    }
}

/// Rows that the sink does not have yet. The one who writes them hands his own pieces on as he likes; only between rows
/// does he flush.
#[derive(Debug)]
struct Waiting<W> {
    sink: W,
    rows: Vec<u8>,
}

impl<W: Write> Write for Waiting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rows.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.sink.write_all(&self.rows);
        // After an error nobody knows how much of it is there: once more would be worse than never.
        self.rows.clear();
        written.and_then(|()| self.sink.flush())
    }
}
