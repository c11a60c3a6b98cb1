//! Trials in simulated time: exact, and on all cores.

use std::time::Duration;

use rayon::prelude::*;
use tracing::subscriber::NoSubscriber;

use super::{Deadline, Kind, Trial};
use crate::exit::Failure;
use crate::report::Judged;
use crate::sim;
use crate::spec::Spec;

/// Of the seeds that a candidate is run with, it is enough if one in so many fails.
const ENOUGH: usize = 4;

/// Runs each candidate with its own seed, and with some others: what is taken out of a test changes the rest of the
/// run, and another seed may bring back what that has hidden. What is small but fails by one lucky seed is worth
/// little, so a candidate must fail with as many of them as what it was made of, until that is one in four. The answer
/// is the same whatever the number of cores, unless the time is over.
pub struct Simulation {
    kind: Kind,
    seeds: u64,
    /// With how many seeds a candidate must fail.
    wanted: usize,
    deadline: Deadline,
}

impl Simulation {
    /// Looks for this kind of failure, with so many seeds besides each candidate's own, for so long.
    #[must_use]
    pub fn new(kind: Kind, seeds: u64, budget: Duration) -> Simulation {
        Simulation { kind, seeds, wanted: 1, deadline: Deadline::after(budget) }
    }

    /// The seeds with which a candidate fails, its own first.
    fn failing(&self, spec: &Spec) -> Result<Vec<u64>, Failure> {
        let others = (0..self.seeds).filter(|seed| *seed != spec.seed);
        let seeds: Vec<u64> = std::iter::once(spec.seed).chain(others).collect();
        let tried: Vec<Option<u64>> = seeds
            .into_par_iter()
            .map(|seed| Ok(self.fails(&Spec { seed, ..spec.clone() })?.then_some(seed)))
            .collect::<Result<_, Failure>>()?;
        Ok(tried.into_iter().flatten().collect())
    }

    fn fails(&self, spec: &Spec) -> Result<bool, Failure> {
        if self.over() {
            return Ok(false);
        }
        Ok(self.kind.within(&Kind::of(&judged(spec)?)))
    }
}

/// How a simulated run is judged. Its replicas' log goes nowhere: there are thousands of such runs, and each can be
/// run again by itself.
///
/// # Errors
/// The test makes no sense in simulation, or the harness failed.
pub fn judged(spec: &Spec) -> Result<Vec<Judged>, Failure> {
    let simulated = tracing::subscriber::with_default(NoSubscriber::default(), || sim::run(spec))?;
    Ok(simulated.judgements.into_iter().map(Judged::from).collect())
}

impl Trial for Simulation {
    fn first(&mut self, candidates: &[Spec]) -> Result<Option<Spec>, Failure> {
        for spec in candidates {
            if self.over() {
                break;
            }
            let failing = self.failing(spec)?;
            if failing.len() >= self.wanted {
                let enough = (usize::try_from(self.seeds).unwrap_or(usize::MAX) / ENOUGH).max(1);
                self.wanted = failing.len().min(enough);
                return Ok(Some(Spec { seed: failing[0], ..spec.clone() }));
            }
        }
        Ok(None)
    }

    fn over(&self) -> bool {
        self.deadline.is_over()
    }
}
