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

impl Invocation {
    /// A call of that name, on no key, without an argument.
    #[must_use]
    pub fn new(f: &'static str) -> Self {
        Invocation { f, key: None, value: Value::Null }
    }

    /// The same call on that key.
    #[must_use]
    pub fn on(self, key: impl Into<String>) -> Self {
        Invocation { key: Some(key.into()), ..self }
    }

    /// The same call with that argument.
    #[must_use]
    pub fn with(self, value: impl Into<Value>) -> Self {
        Invocation { value: value.into(), ..self }
    }
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

impl Outcome {
    /// It happened.
    #[must_use]
    pub fn ok(value: impl Into<Value>, version: Option<i64>) -> Self {
        Outcome::Ok { value: value.into(), version }
    }

    /// It certainly did not happen.
    #[must_use]
    pub fn fail(error: impl Into<String>) -> Self {
        Outcome::Fail { error: error.into() }
    }

    /// Nobody knows.
    #[must_use]
    pub fn info(error: impl Into<String>) -> Self {
        Outcome::Info { error: error.into() }
    }
}
