//! A suite: many tests on real processes, as one file says them, run under one budget of time, with one answer.
//!
//! [`mod@file`] reads it and resolves every test, down to the seed, before anything is run; [`shard`] takes this machine's
//! share; [`run`] runs them, each by a `grudge test` of its own; what came of it is a [`report`], for people on the
//! [terminal](table) and on a CI's [page](markdown), and for its [server](junit).
//!
//! Nothing is left out in silence: what does not fit into the budget, what is missing on this machine, and what the
//! file excludes are rows of the report, too.

mod again;
mod budget;
pub mod child;
pub mod file;
pub mod junit;
pub mod markdown;
pub mod outcome;
pub mod report;
pub mod run;
pub mod seeds;
pub mod settings;
pub mod shard;
pub mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::spec::{self, Spec};
use outcome::Expect;

/// What a test needs besides its main phase, about: a cluster comes up, everybody succeeds again, and it is judged.
const AROUND: Duration = Duration::from_secs(20);

/// One test of a suite, with its seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Its name, which no other test of the suite has.
    pub name: String,
    /// What is run.
    pub spec: Spec,
    /// What is to come of it.
    pub expect: Expect,
    /// The command that runs it again, alone.
    pub again: String,
}

impl Test {
    /// How long it lasts, about.
    #[must_use]
    pub fn length(&self) -> Duration {
        spec::std(self.spec.time) + AROUND
    }
}

/// A suite, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// The name of its file.
    pub name: String,
    /// From which the seeds were drawn that the file does not say.
    pub seed: u64,
    /// How long all of it may take.
    pub budget: Option<Duration>,
    /// What a test comes to whose system is not installed.
    pub when_missing: WhenMissing,
    /// The tests, in the order of the file.
    pub tests: Vec<Test>,
    /// What the file excludes, and why.
    pub left_out: Vec<LeftOut>,
}

/// What a test comes to whose system is not installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenMissing {
    /// The harness has failed: nothing was tested that should have been.
    #[default]
    Fail,
    /// It is skipped, and reported so.
    Skip,
}

/// A combination that the file excludes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// Which.
    pub what: String,
    /// Why, as the file says.
    pub because: String,
}
