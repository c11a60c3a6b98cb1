//! What this machine can do, and what to do where it cannot: the data of `grudge doctor`.

/// One capability.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// What it is.
    pub capability: &'static str,
    /// How it stands.
    pub state: State,
}

/// How a capability stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there; how, in a few words.
    Ok(String),
    /// It is missing, and nothing that runs today needs it.
    Degraded {
        /// What was seen.
        why: String,
        /// What to do about it.
        remedy: String,
    },
    /// It is missing, and no cluster can be brought up without.
    Missing {
        /// What was seen.
        why: String,
        /// What to do about it.
        remedy: String,
    },
}

/// Examines the machine. Call it from `main`, before any thread exists: it enters the sandbox to try things there.
#[must_use]
pub fn examine() -> Vec<Check> {
    let state = match crate::sandbox::enter() {
        Ok(privilege) => State::Ok(format!("{privilege:?}")),
        Err(error) => State::Missing { why: error.to_string(), remedy: String::new() },
    };
    vec![Check { capability: "namespaces", state }]
}
