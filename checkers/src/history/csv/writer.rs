//! The one that writes a history down while it happens.

use std::io::{self, Write};

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
        let names = COLUMNS.iter().copied().chain(extra.iter().map(String::as_str));
        sink.write_all(&row(names)?)?;
        sink.flush()?;
        Ok(Writer { sink, extra, flush: Flush::EachEvent })
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
        let extra = self.extra.iter().map(|column| {
            event.extra.iter().find(|(name, _)| name == column).map_or_else(String::new, |(_, text)| text.clone())
        });
        let fields = [
            event.index.to_string(),
            event.time.to_string(),
            event.process.to_string(),
            event.kind.to_string(),
            event.f.clone(),
            event.key.clone().unwrap_or_default(),
            event.value.to_string(),
            event.node.clone().unwrap_or_default(),
            event.error.clone().unwrap_or_default(),
            event.version.map_or_else(String::new, |version| version.to_string()),
        ];
        let row = row(fields.into_iter().chain(extra))?;
        self.sink.write_all(&row)?;
        match self.flush {
            Flush::EachEvent => self.sink.flush(),
            Flush::AtEnd => Ok(()),
        }
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

/// One row as bytes, ended by a line feed.
fn row<T: AsRef<[u8]>>(fields: impl IntoIterator<Item = T>) -> io::Result<Vec<u8>> {
    let mut writer = ::csv::WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(fields).map_err(io::Error::from)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}
