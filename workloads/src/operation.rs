//! What a client is asked to do, and how that ended.

use serde_json::Value;

/// One call, not yet made.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The operation's name: `read`, `write`, `cas`, `acquire`, …
    pub f: &'static str,
    /// Which object.
    pub key: Option<String>,
    /// Its argument; `null` if it has none.
    pub value: Value,
}

/// How a call ended: the three states of a distributed call.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It happened, and this is its result.
    Ok {
        /// What is written into the history's `value`.
        value: Value,
        /// The system's own witness of order, if it gives one.
        version: Option<i64>,
    },
    /// It certainly did not happen.
    Fail {
        /// A short token: why.
        error: String,
    },
    /// It may have happened, or may happen yet.
    Info {
        /// A short token: why nobody knows.
        error: String,
    },
}
