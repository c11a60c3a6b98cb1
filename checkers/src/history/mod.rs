//! A history: what clients did, what they were told, and when.

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
    pub extra: Vec<(String, String)>,
}

/// Who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Process {
    /// A single-threaded client. After an `info` its number is never used again.
    Client(u64),
    /// The one who breaks things.
    Nemesis,
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

/// A whole history, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Its events.
    pub events: Vec<Event>,
}
