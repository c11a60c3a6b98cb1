//! A history: what clients did, what they were told, and when.
//!
//! An [`Event`] is one row; two of them, paired, are an [`Operation`]. The order of the events is the order in which
//! they happened; times and indexes only label them.

mod by_key;
mod calls;
pub mod csv;
mod cursor;
mod damage;
pub mod edn;
mod format;
pub mod json;
mod members;
mod operation;
mod pairing;
mod process;
mod recording;
mod tape;
mod text;
mod window;

pub(crate) use by_key::by_key;
pub use calls::Call;
pub use damage::{Column, ReadError};
pub use format::{Format, Reader};
pub use operation::{HistoryError, Operation, Outcome};
pub use pairing::Pairing;
pub use process::Process;
pub use recording::Recording;
pub use tape::Tape;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One row of a history: a call begins, ends, or is lost; or the nemesis acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the history, dense from 0.
    pub index: u64,
    /// Nanoseconds since the start of the run, monotonic.
    pub time: u64,
    /// Who.
    pub process: Process,
    /// What became of it.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The operation's or fault's name.
    pub f: String,
    /// Which object, if the workload has several.
    pub key: Option<String>,
    /// Argument or result; `null` if there is none.
    pub value: Value,
    /// The node that was asked.
    pub node: Option<String>,
    /// A short token that says why, for `fail` and `info`.
    pub error: Option<String>,
    /// A witness of order from the system: zxid, revision, fencing token.
    pub version: Option<i64>,
    /// Columns that the schema does not know, kept in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
}

impl Event {
    /// Nothing in particular, to be filled: a call by client 0, of nothing, at the beginning.
    #[must_use]
    pub fn empty() -> Event {
        Event {
            index: 0,
            time: 0,
            process: Process::Client(0),
            kind: Kind::Invoke,
            f: String::new(),
            key: None,
            value: Value::Null,
            node: None,
            error: None,
            version: None,
            extra: Vec::new(),
        }
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It began.
    Invoke,
    /// It succeeded.
    Ok,
    /// It certainly did not happen.
    Fail,
    /// Nobody knows.
    Info,
}

impl Kind {
    /// Its name in a file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Invoke => "invoke",
            Kind::Ok => "ok",
            Kind::Fail => "fail",
            Kind::Info => "info",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A whole history, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Its events.
    pub events: Vec<Event>,
}

impl History {
    /// Holds the promises of the schema: indexes dense from 0, times that never go back, calls that pair.
    ///
    /// Checkers do not insist on the first two, so that a part cut out of a file can still be judged.
    ///
    /// # Errors
    /// The first event that breaks a promise, and which.
    pub fn check(&self) -> Result<(), HistoryError> {
        let mut time = 0;
        for (position, event) in self.events.iter().enumerate() {
            if event.index != position as u64 {
                return Err(HistoryError::Index { expected: position as u64, found: event.index });
            }
            if event.time < time {
                return Err(HistoryError::Time { index: event.index, before: time, found: event.time });
            }
            time = event.time;
        }
        self.operations().map(|_| ())
    }

    /// The clients' calls, paired with their completions, in the order in which they were made. The nemesis's
    /// events are left out. A call without a completion is one whose outcome is unknown.
    ///
    /// # Errors
    /// The first event that does not pair: a completion without a call, or a call while another is open.
    pub fn operations(&self) -> Result<Vec<Operation<'_>>, HistoryError> {
        operation::pair(&self.events)
    }
}

impl FromIterator<Event> for History {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        History { events: events.into_iter().collect() }
    }
}
