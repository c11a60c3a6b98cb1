//! What came of one test of a suite, and how that compares with what was to come of it.

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::report::Results;

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Every promise was kept.
    Valid,
    /// A promise was broken.
    Invalid {
        /// Which, and how.
        reason: String,
    },
    /// It cannot be said.
    Unknown {
        /// Why.
        reason: String,
    },
    /// The harness has failed: nothing is said of the system.
    Broken {
        /// How.
        reason: String,
    },
    /// It was not run, because its system is not installed and the file lets it be skipped.
    Skipped {
        /// What is missing.
        reason: String,
    },
    /// It was not run: there was no time for it, or the suite was interrupted.
    NotRun {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Its name in a table.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Valid => "valid",
            Outcome::Invalid { .. } => "invalid",
            Outcome::Unknown { .. } => "unknown",
            Outcome::Broken { .. } => "broken harness",
            Outcome::Skipped { .. } => "skipped",
            Outcome::NotRun { .. } => "not run",
        }
    }

    /// Why; nothing to say if it is valid.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Outcome::Valid => "",
            Outcome::Invalid { reason }
            | Outcome::Unknown { reason }
            | Outcome::Broken { reason }
            | Outcome::Skipped { reason }
            | Outcome::NotRun { reason } => reason,
        }
    }
}

impl From<&Results> for Outcome {
    fn from(results: &Results) -> Outcome {
        // The judgement that the verdict is, by its name.
        let counted = results.judgements.iter().filter(|judged| !judged.finding);
        let mut worst = counted.filter(|judged| judged.verdict.name() == results.verdict.name());
        let reason = worst.next().map_or_else(String::new, |judged| {
            format!("{}: {}", judged.checker, judged.verdict.reason().unwrap_or_default())
        });
        match Exit::from(&results.verdict) {
            Exit::Valid => Outcome::Valid,
            Exit::Invalid => Outcome::Invalid { reason },
            _ => Outcome::Unknown { reason },
        }
    }
}

/// What is to come of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// Every promise is kept.
    #[default]
    Valid,
    /// A broken promise is found: of a tester that finds nothing a `valid` is worth nothing.
    Invalid,
}

/// How an outcome compares with what was to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it was to be.
    Good,
    /// Not run, as the file allows.
    Skipped,
    /// Nothing is proven.
    Inconclusive,
    /// The harness has failed.
    Broken,
    /// A promise was broken; or one that is known to be was not seen to be.
    Wrong,
}

impl Standing {
    /// Compares.
    #[must_use]
    pub fn of(outcome: &Outcome, expect: Expect) -> Standing {
        match (outcome, expect) {
            (Outcome::Valid, Expect::Valid) | (Outcome::Invalid { .. }, Expect::Invalid) => Standing::Good,
            (Outcome::Valid, Expect::Invalid) | (Outcome::Invalid { .. }, Expect::Valid) => Standing::Wrong,
            (Outcome::Unknown { .. } | Outcome::NotRun { .. }, _) => Standing::Inconclusive,
            (Outcome::Broken { .. }, _) => Standing::Broken,
            (Outcome::Skipped { .. }, _) => Standing::Skipped,
        }
    }

    /// How a suite ends whose tests stand so. A broken promise comes first: no failure of the harness beside it hides it.
    /// Then comes that failure, which no doubt hides. Where nothing was tested at all nothing is proven.
    #[must_use]
    pub fn exit(all: &[Standing]) -> Exit {
        let any = |standing| all.contains(&standing);
        if any(Standing::Wrong) {
            Exit::Invalid
        } else if any(Standing::Broken) {
            Exit::HarnessFailed
        } else if any(Standing::Inconclusive) || !all.is_empty() && !any(Standing::Good) {
            Exit::Unknown
        } else {
            Exit::Valid
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides_and_nothing_hides_a_broken_promise() {
        use Standing::{Broken, Good, Inconclusive, Skipped, Wrong};
        let table: [(&[Standing], Exit); 9] = [
            (&[], Exit::Valid),
            (&[Good, Good], Exit::Valid),
            (&[Good, Skipped], Exit::Valid),
            (&[Skipped, Skipped], Exit::Unknown),
            (&[Good, Inconclusive], Exit::Unknown),
            (&[Inconclusive, Broken], Exit::HarnessFailed),
            (&[Wrong, Broken], Exit::Invalid),
            (&[Broken, Wrong, Inconclusive, Good], Exit::Invalid),
            (&[Good, Wrong], Exit::Invalid),
        ];
        for (all, exit) in table {
            assert_eq!(Standing::exit(all), exit, "{all:?}");
        }
    }

    #[test]
    fn a_bug_that_is_not_found_is_as_wrong_as_a_promise_that_is_broken() {
        let reason = String::new;
        let table = [
            (Outcome::Valid, Standing::Good, Standing::Wrong),
            (Outcome::Invalid { reason: reason() }, Standing::Wrong, Standing::Good),
            (Outcome::Unknown { reason: reason() }, Standing::Inconclusive, Standing::Inconclusive),
            (Outcome::NotRun { reason: reason() }, Standing::Inconclusive, Standing::Inconclusive),
            (Outcome::Broken { reason: reason() }, Standing::Broken, Standing::Broken),
            (Outcome::Skipped { reason: reason() }, Standing::Skipped, Standing::Skipped),
        ];
        for (outcome, valid, invalid) in table {
            assert_eq!(Standing::of(&outcome, Expect::Valid), valid, "{outcome:?}");
            assert_eq!(Standing::of(&outcome, Expect::Invalid), invalid, "{outcome:?}");
        }
    }
}
