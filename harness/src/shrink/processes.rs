//! Trials on real processes: several tries, because no two runs are the same.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Deadline, Kind, Trial};
use crate::exit::Failure;
use crate::real;
use crate::report::Judged;
use crate::spec::Spec;

/// Runs each candidate until it fails, so many times at most: once is proof that it can.
pub struct Processes {
    kind: Kind,
    tries: u64,
    store: PathBuf,
    deadline: Deadline,
    failure: Vec<Judged>,
}

impl Processes {
    /// Looks for this kind of failure, in so many tries of a candidate, for so long; runs are kept in that store.
    #[must_use]
    pub fn new(kind: Kind, tries: u64, budget: Duration, store: &Path) -> Processes {
        let deadline = Deadline::after(budget);
        Processes { kind, tries, store: store.to_path_buf(), deadline, failure: Vec::new() }
    }

    /// How the last candidate that failed was judged.
    #[must_use]
    pub fn last_failure(&self) -> &[Judged] {
        &self.failure
    }
}

impl Trial for Processes {
    fn first(&mut self, candidates: &[Spec]) -> Result<Option<Spec>, Failure> {
        for spec in candidates {
            for _ in 0..self.tries {
                if self.over() {
                    return Ok(None);
                }
                let judgements = real::run(spec, &self.store)?.judgements;
                if self.kind.within(&Kind::of(&judgements)) {
                    self.failure = judgements;
                    return Ok(Some(spec.clone()));
                }
            }
        }
        Ok(None)
    }

    fn over(&self) -> bool {
        self.deadline.is_over()
    }
}
