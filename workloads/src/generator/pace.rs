//! When operations come.

use std::time::Duration;

use grudge_checkers::history::Event;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Generator, Next, Worker};

/// The gaps between operations, over all workers together.
#[derive(Clone, Debug)]
pub enum Pace {
    /// Always the same gap.
    Fixed(Duration),
    /// Gaps drawn evenly from zero to twice the mean: what Jepsen calls *stagger*.
    Uniform {
        /// The average gap.
        mean: Duration,
        /// Where they are drawn from.
        seed: u64,
    },
    /// Exponential gaps: arrivals without memory, as from many independent clients.
    Exponential {
        /// The average gap.
        mean: Duration,
        /// Where they are drawn from.
        seed: u64,
    },
}

impl Pace {
    /// So many operations a second, evenly spaced. A rate that is not a positive number means one a second.
    #[must_use]
    pub fn rate(per_second: f64) -> Pace {
        Pace::Fixed(mean_gap(per_second))
    }

    /// So many operations a second on average, with exponential gaps.
    #[must_use]
    pub fn random_rate(per_second: f64, seed: u64) -> Pace {
        Pace::Exponential { mean: mean_gap(per_second), seed }
    }
}

fn mean_gap(per_second: f64) -> Duration {
    Duration::try_from_secs_f64(per_second.recip()).unwrap_or(Duration::from_secs(1))
}

/// Hands out what is inside no faster than its pace. Time lost to a stall is not caught up with a burst.
pub struct Paced<G> {
    inner: G,
    pace: Pace,
    rng: ChaCha8Rng,
    due: Option<Duration>,
}

impl<G> Paced<G> {
    /// `inner` at that pace.
    pub fn new(pace: Pace, inner: G) -> Self {
        let seed = match pace {
            Pace::Fixed(_) => 0,
            Pace::Uniform { seed, .. } | Pace::Exponential { seed, .. } => seed,
        };
        Paced { inner, pace, rng: ChaCha8Rng::seed_from_u64(seed), due: None }
    }

    fn gap(&mut self) -> Duration {
        match self.pace {
            Pace::Fixed(gap) => gap,
            Pace::Uniform { mean, .. } => mean.mul_f64(self.rng.random_range(0.0..2.0)),
            Pace::Exponential { mean, .. } => {
                let u: f64 = self.rng.random_range(0.0..1.0);
                // The standard library's logarithm differs from machine to machine.
                mean.mul_f64(-libm::log1p(-u))
            }
        }
    }
}

impl<T, G: Generator<T>> Generator<T> for Paced<G> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        let due = *self.due.get_or_insert(now);
        if now < due {
            return Next::At(due);
        }
        let next = self.inner.next(now, worker);
        if matches!(next, Next::Op(_)) {
            self.due = Some(now.max(due + self.gap()));
        }
        next
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        self.inner.update(now, worker, event);
    }
}

/// Nothing for this long, counted from the first time anybody asks; then done. Between the steps of a
/// [`super::Chain`] it is a pause.
#[derive(Clone, Debug)]
pub struct Sleep {
    length: Duration,
    end: Option<Duration>,
}

impl Sleep {
    /// A pause of this length.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Sleep { length, end: None }
    }
}

impl<T> Generator<T> for Sleep {
    fn next(&mut self, now: Duration, _: Worker) -> Next<T> {
        let end = *self.end.get_or_insert(now + self.length);
        if now < end { Next::At(end) } else { Next::Done }
    }

    fn update(&mut self, _: Duration, _: Option<Worker>, _: &Event) {}
}
