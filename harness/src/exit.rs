//! How the program ends: one number for a script, one sentence for a person.

use std::process::ExitCode;

use grudge_checkers::verdict::Verdict;

/// The exit codes, which follow the field's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every promise was kept, or there was nothing to judge and all went well.
    Valid = 0,
    /// A promise was broken.
    Invalid = 1,
    /// It cannot be said.
    Unknown = 2,
    /// The command line or a file named on it makes no sense.
    BadArguments = 254,
    /// The harness itself failed: nothing is said of the system.
    HarnessFailed = 255,
}

impl From<&Verdict> for Exit {
    fn from(verdict: &Verdict) -> Exit {
        match verdict {
            Verdict::Valid => Exit::Valid,
            Verdict::Unknown { .. } => Exit::Unknown,
            Verdict::Invalid { .. } => Exit::Invalid,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why there is no verdict. Never a statement about the system under test.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was asked makes no sense: the sentence says what would.
    #[error("{0}")]
    BadArguments(String),
    /// The harness could not do its work: the chain says what, where, and what to do.
    #[error("{0:#}")]
    Harness(#[from] anyhow::Error),
}

impl Failure {
    /// The exit code that stands for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Failure::BadArguments(_) => Exit::BadArguments,
            Failure::Harness(_) => Exit::HarnessFailed,
        }
    }
}
