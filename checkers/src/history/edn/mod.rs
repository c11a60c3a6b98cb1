//! Histories as EDN, as Jepsen writes them.
//!
//! A history is a vector of maps, or maps one after another; each may have a tag (`#jepsen.history.Op{…}`). Of a map
//! `:type` is required. `:process` is an integer or `:nemesis`; a map without is of process 0, and one without `:f` is a
//! transaction (`txn`), as in Elle's examples. `:value`, `:time`, `:index`, `:key`, `:node`, `:error` and `:version` are
//! what they are in every format, and all else is kept as text in [`Event::extra`]. How values are read:
//!
//! | EDN | here |
//! |---|---|
//! | `nil`, `true`, `"text"`, `7`, `7N`, `0.5`, `0.5M` | the same in JSON |
//! | `:append`, `:a/b`, symbols, characters | text, keywords without their colon |
//! | ratios, numbers too large for 64 bits, `##Inf` | text as it is written |
//! | vectors, lists, sets | arrays |
//! | maps | objects; a key that is no text is written as JSON |
//! | `#tag value`, `#inst "…"` | the value |
//!
//! Where all clients' values are certainly pairs of an independent key and a value, the first becomes the event's key.

mod forms;
mod independent;
mod reader;
mod writer;

use std::io;

pub(super) use independent::{Independent, lift};
pub use reader::Reader;
pub use writer::append;

#[cfg(doc)]
use super::Event;
use super::{History, ReadError};

/// Reads as much of a history as the file holds, and says what stopped the reading if it was not the end.
pub fn read<R: io::Read>(source: R) -> (History, Option<ReadError>) {
    let mut reader = match Reader::new(source) {
        Ok(reader) => reader,
        Err(error) => return (History::default(), Some(error)),
    };
    let mut history = History::default();
    let mut independent = Independent::default();
    let damage = loop {
        match reader.next() {
            Some(Ok(event)) => {
                independent.push(&event);
                history.events.push(event);
            }
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    if independent.is_certain() && !reader.has_keys() {
        history.events.iter_mut().for_each(lift);
    }
    (history, damage)
}
