//! Trials in simulated time: exact, and on all cores.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::{Kind, Trial};
use crate::exit::Failure;
use crate::report::Judged;
use crate::sim;
use crate::spec::Spec;

/// Runs each candidate with its own seed, and with some others: what is taken out of a test changes the rest of the
/// run, and the next seed may bring back what that has hidden. The answer is the same whatever the number of cores,
/// unless the time is over.
pub struct Simulation {
    kind: Kind,
    seeds: u64,
    end: Option<Instant>,
}

impl Simulation {
    /// Looks for this kind of failure, with so many seeds besides each candidate's own, for so long.
    #[must_use]
    pub fn new(kind: Kind, seeds: u64, budget: Duration) -> Simulation {
        Simulation { kind, seeds, end: Instant::now().checked_add(budget) }
    }

    fn fails(&self, spec: &Spec) -> Result<bool, Failure> {
        if self.over() {
            return Ok(false);
        }
        let judged: Vec<Judged> = sim::run(spec)?.judgements.into_iter().map(Judged::from).collect();
        Ok(self.kind.within(&Kind::of(&judged)))
    }
}

impl Trial for Simulation {
    fn first(&mut self, candidates: &[Spec]) -> Result<Option<Spec>, Failure> {
        let own = candidates.iter().cloned();
        // A candidate that fails with its own seed is worth more than a bolder one with a lucky other.
        let others = (0..self.seeds).flat_map(|seed| candidates.iter().map(move |spec| Spec { seed, ..spec.clone() }));
        let attempts: Vec<Spec> = own.chain(others).collect();
        let found = attempts.into_par_iter().find_map_first(|spec| match self.fails(&spec) {
            Ok(false) => None,
            Ok(true) => Some(Ok(spec)),
            Err(failure) => Some(Err(failure)),
        });
        found.transpose()
    }

    fn over(&self) -> bool {
        self.end.is_some_and(|end| end <= Instant::now())
    }
}
