//! One round: simulated runs, one seed after the other, on all cores, until one is invalid.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use grudge_checkers::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::report::{Judged, overall};
use crate::shrink::{Kind, judged};
use crate::spec::Spec;

/// What came of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// The first invalid run.
    pub found: Option<Find>,
    /// How many runs it took, that one included.
    pub runs: u64,
    /// How many of them were neither valid nor invalid.
    pub unknown: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// An invalid run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Find {
    /// Its seed.
    pub seed: u64,
    /// Which judgements were invalid.
    pub checkers: Vec<String>,
    /// What the first of them says.
    pub reason: String,
}

impl Find {
    /// What is invalid in these judgements, if anything is.
    #[must_use]
    pub fn of(seed: u64, judgements: &[Judged]) -> Option<Find> {
        let kind = Kind::of(judgements);
        let reason = judgements.iter().filter(|judged| !judged.finding).find_map(|judged| match &judged.verdict {
            Verdict::Invalid { witness } => witness.reason.lines().next().map(str::to_owned),
            _ => None,
        });
        let checkers = kind.names().map(str::to_owned).collect();
        (!kind.is_valid()).then(|| Find { seed, checkers, reason: reason.unwrap_or_default() })
    }
}

/// Seeds to run, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// The first of them.
    pub first_seed: u64,
    /// How many runs at a time.
    pub jobs: usize,
    /// How many runs at most.
    pub limit: u64,
}

/// What the threads of a sweep share.
struct Shared<S> {
    spec: S,
    next: AtomicU64,
    unknown: AtomicU64,
    /// The place of the first invalid run so far, and that run.
    first: Mutex<(u64, Option<Result<Find, Failure>>)>,
}

impl Sweep {
    /// Runs the tests of the seeds until one is invalid, the limit is reached or the time is over. Which seed is the
    /// first is the same however many run at a time.
    ///
    /// # Errors
    /// The harness failed, or a test makes no sense.
    pub fn until_invalid(&self, spec: impl Fn(u64) -> Spec + Sync, end: Option<Instant>) -> Result<Round, Failure> {
        let begun = Instant::now();
        let shared =
            Shared { spec, next: AtomicU64::new(0), unknown: AtomicU64::new(0), first: Mutex::new((self.limit, None)) };
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(|| self.work(&shared, end));
            }
        });
        let started = shared.next.into_inner();
        let (place, first) = shared.first.into_inner().unwrap_or_else(PoisonError::into_inner);
        let found = first.transpose()?;
        let runs = if found.is_some() { place + 1 } else { started.min(self.limit) };
        let unknown = shared.unknown.into_inner();
        Ok(Round { found, runs, unknown, seconds: begun.elapsed().as_secs_f64() })
    }

    fn work(&self, shared: &Shared<impl Fn(u64) -> Spec + Sync>, end: Option<Instant>) {
        while end.is_none_or(|end| Instant::now() < end) {
            let place = shared.next.fetch_add(1, Ordering::Relaxed);
            if place >= shared.first.lock().unwrap_or_else(PoisonError::into_inner).0 {
                // Another has found one before this; or it was never to be run.
                shared.next.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            let seed = self.first_seed + place;
            let outcome = judged(&(shared.spec)(seed)).map(|judged| {
                if matches!(overall(&judged), Verdict::Unknown { .. }) {
                    shared.unknown.fetch_add(1, Ordering::Relaxed);
                }
                Find::of(seed, &judged)
            });
            if let Some(outcome) = outcome.transpose() {
                let mut first = shared.first.lock().unwrap_or_else(PoisonError::into_inner);
                if place < first.0 {
                    *first = (place, Some(outcome));
                }
            }
        }
    }
}
