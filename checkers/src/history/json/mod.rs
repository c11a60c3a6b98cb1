//! Histories as JSON lines: one object a line, with the members `index`, `time`, `process`, `type`, `f`, `key`, `value`,
//! `node`, `error` and `version`. `process`, `type` and `f` are required; members that the schema does not know are kept
//! as text in [`Event::extra`].
//!
//! Line ends mean nothing: objects may follow each other in any way, and a file may be one array of them.

mod reader;
mod writer;

use std::io;

pub use reader::Reader;
pub use writer::append;

#[cfg(doc)]
use super::Event;
use super::{History, ReadError};

/// Reads as much of a history as the file holds, and says what stopped the reading if it was not the end.
pub fn read<R: io::Read>(source: R) -> (History, Option<ReadError>) {
    let reader = match Reader::new(source) {
        Ok(reader) => reader,
        Err(error) => return (History::default(), Some(error)),
    };
    let mut history = History::default();
    for event in reader {
        match event {
            Ok(event) => history.events.push(event),
            Err(error) => return (history, Some(error)),
        }
    }
    (history, None)
}
