//! Shrinking: from a test that breaks a promise to a small one that breaks the same, which a person can read.
//!
//! # What it promises
//!
//! The answer fails as the question did: the judgements that were invalid are invalid again (their names count, not
//! their sentences). It is not the smallest of all, but no single simplification that is known here makes it smaller,
//! unless the budget was over before that was known.
//!
//! # How
//!
//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002), greedy: a
//! [pass](passes) lists simpler candidates, the boldest first; the first that still fails is taken, and asked for
//! simpler ones again. All passes in turn, until none helps any more. Every candidate is smaller than what it was made
//! of, so this ends. Whether one fails is a [`Trial`]'s to say: [in simulation](Simulation) by exact runs, on
//! [real processes](Processes) by several tries.
//!
//! # What is left out
//!
//! Nothing is ever made larger for a while in the hope that it becomes smaller later.

mod file;
pub(crate) mod passes;
mod processes;
mod simulation;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use grudge_checkers::verdict::Verdict;

use crate::exit::Failure;
use crate::report::Judged;
use crate::spec::Spec;

pub use file::{promised, text};
pub use processes::Processes;
pub use simulation::{Simulation, judged};
pub use source::{Source, scripted};

/// Says which candidates still fail.
pub trait Trial {
    /// The first of these, in their order, that still fails, with the seed with which it did; none if none does, or if
    /// there is no time left to find out.
    ///
    /// # Errors
    /// The harness failed, or was asked for something that makes no sense.
    fn first(&mut self, candidates: &[Spec]) -> Result<Option<Spec>, Failure>;

    /// Whether there is no time left.
    fn over(&self) -> bool;
}

/// When a trial has no time left; never, if that is further away than a clock can tell.
struct Deadline(Option<Instant>);

impl Deadline {
    fn after(budget: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(budget))
    }

    fn is_over(&self) -> bool {
        self.0.is_some_and(|end| end <= Instant::now())
    }
}

/// Makes a failing test smaller for as long as that is possible and the trial has time.
///
/// # Errors
/// The trial's.
pub fn shrink(failing: Spec, trial: &mut dyn Trial) -> Result<Spec, Failure> {
    let mut smallest = failing;
    loop {
        let before = smallest.clone();
        for pass in passes::ALL {
            smallest = exhaust(pass, smallest, trial)?;
        }
        if trial.over() || smallest == before {
            return Ok(smallest);
        }
    }
}

/// The same with fewer faults, and nothing else changed.
///
/// # Errors
/// The trial's.
pub fn isolate(failing: Spec, trial: &mut dyn Trial) -> Result<Spec, Failure> {
    exhaust(passes::fewer_faults, failing, trial)
}

fn exhaust(pass: passes::Pass, mut smallest: Spec, trial: &mut dyn Trial) -> Result<Spec, Failure> {
    while let Some(smaller) = trial.first(&pass(&smallest))? {
        tracing::debug!(
            "{} faults, {} nodes, {} workers, {:#}",
            smaller.script.len(),
            smaller.nodes,
            smaller.concurrency,
            smaller.time
        );
        smallest = smaller;
    }
    Ok(smallest)
}

/// What makes two failures the same: the names of the judgements that are invalid. Findings do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kind(BTreeSet<String>);

impl Kind {
    /// Of these judgements.
    pub fn of<'a>(judgements: impl IntoIterator<Item = &'a Judged>) -> Kind {
        let broken = |judged: &&Judged| !judged.finding && matches!(judged.verdict, Verdict::Invalid { .. });
        Kind(judgements.into_iter().filter(broken).map(|judged| judged.checker.clone()).collect())
    }

    /// Whether nothing is invalid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all that is invalid here is invalid there.
    #[must_use]
    pub fn within(&self, other: &Kind) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<S: Into<String>> FromIterator<S> for Kind {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Kind {
        Kind(names.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(", "))
    }
}
