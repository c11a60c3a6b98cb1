//! Histories as CSV: the schema, written one event at a time and read back as a stream.
//!
//! The columns are `index,time,process,type,f,key,value,node,error,version`; the first row names them. Of a foreign
//! file only `process`, `type`, `f` and `value` are required: a missing `index` is counted and a missing `time` is 0.
//! Columns that the schema does not know are kept as text in [`Event::extra`] and written again.
//!
//! * `value` is JSON. An empty field is `null`; a bare word that is no JSON is read as a string.
//! * `key`, `node`, `error` and `version` are absent when their field is empty; an empty text is no text.
//! * A file with columns `start` and `end` has one row for each operation; see [`Reader`].
//!
//! A damaged file still gives every event before the damage: [`read`] returns both, [`Reader`] yields the events and
//! then the error.

mod reader;
mod rows;
mod spans;
mod writer;

use std::fmt;
use std::io;

pub use reader::Reader;
pub use writer::Writer;

#[cfg(doc)]
use super::Event;
use super::History;

/// The columns of the schema, in their order.
pub const COLUMNS: [&str; 10] = ["index", "time", "process", "type", "f", "key", "value", "node", "error", "version"];

/// Reads as much of a history as the file holds, and says what stopped the reading if it was not the end.
pub fn read<R: io::Read>(source: R) -> (History, Option<ReadError>) {
    let mut reader = match Reader::new(source) {
        Ok(reader) => reader,
        Err(error) => return (History::default(), Some(error)),
    };
    let mut history = History::default();
    for event in &mut reader {
        match event {
            Ok(event) => history.events.push(event),
            Err(error) => return (history, Some(error)),
        }
    }
    (history, None)
}

/// Writes a whole history, with the extra columns of all its events.
///
/// # Errors
/// The sink's own.
pub fn write<W: io::Write>(sink: W, history: &History) -> io::Result<()> {
    let mut extra: Vec<String> = Vec::new();
    for (column, _) in history.events.iter().flat_map(|event| &event.extra) {
        if !extra.contains(column) {
            extra.push(column.clone());
        }
    }
    let mut writer = Writer::with_extra(io::BufWriter::new(sink), extra)?.flush_at_end();
    history.events.iter().try_for_each(|event| writer.append(event))?;
    writer.finish().map(drop)
}

/// Why a history could not be read on, and where.
#[derive(Debug)]
pub struct ReadError {
    /// The line of the file, from 1.
    pub line: u64,
    /// The column, if one is to blame.
    pub column: Option<Column>,
    /// What is wrong, in words.
    pub problem: String,
    /// The source's own error, if it is to blame.
    pub io: Option<io::Error>,
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its place, from 1.
    pub number: usize,
    /// Its name in the first row; empty if it is beyond it.
    pub name: String,
}

impl ReadError {
    fn new(line: u64, column: Option<Column>, problem: impl Into<String>) -> Self {
        ReadError { line, column, problem: problem.into(), io: None }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        match &self.column {
            Some(column) if column.name.is_empty() => write!(f, ", column {}", column.number)?,
            Some(column) => write!(f, ", column {} ({})", column.number, column.name)?,
            None => {}
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.io.as_ref().map(|error| error as _)
    }
}
