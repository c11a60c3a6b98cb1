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

mod fields;
mod reader;
mod rows;
mod spans;
mod writer;

use std::io;

pub use reader::Reader;
pub use writer::Writer;

#[cfg(doc)]
use super::Event;
use super::{History, ReadError, Tape};

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
    write_tape(sink, history)
}

/// As [`write()`], of any tape, which is gone through twice.
pub(super) fn write_tape<W: io::Write>(sink: W, tape: &dyn Tape) -> io::Result<()> {
    let mut extra: Vec<String> = Vec::new();
    // What stops this stops the writing, too, and is told then.
    let _ = tape.play(&mut |event| {
        for (column, _) in &event.extra {
            if !extra.contains(column) {
                extra.push(column.clone());
            }
        }
    });
    let mut writer = Writer::with_extra(sink, extra)?;
    let mut failed = Ok(());
    let played = tape.play(&mut |event| {
        if failed.is_ok() {
            failed = writer.append(event);
        }
    });
    failed?;
    writer.finish()?;
    played.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
