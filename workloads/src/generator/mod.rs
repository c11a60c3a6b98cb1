//! Generators: what to do next, as values. Pure: time comes in as an argument and randomness from a seed, so the
//! same generator drives real processes and simulated ones.
//!
//! # How a runner uses one
//!
//! A worker that is free asks [`Generator::next`] and does what it is told. Every event of the history, also the
//! nemesis's, is shown to [`Generator::update`] in the history's order, so a generator may depend on what happened.
//! A generator that has answered [`Next::At`] or [`Next::Wait`] has given nothing away: it may be asked again at
//! any time, by any free worker, and only [`Next::Op`] counts.
//!
//! # Building blocks
//!
//! Sources: [`Repeat`], [`Sequence`], [`Draw`], [`Sleep`]. Pace: [`Paced`]. Bounds: [`Limit`], [`TimeLimit`],
//! [`Until`]. Composition: [`Mix`], [`Chain`], [`Phases`], [`Cycle`], [`PerWorker`], [`Map`]. They know nothing of
//! `T`, so the same blocks make client operations and fault steps; [`Build`] strings them together. [`OnKey`] alone
//! is for client operations.
//!
//! ```
//! use std::time::Duration;
//! use grudge_workloads::generator::{Build, Generator, Next, Pace, Repeat, Worker};
//!
//! let mut work = Repeat("read").paced(Pace::rate(10.0)).limit(1);
//! assert_eq!(work.next(Duration::ZERO, Worker(0)), Next::Op("read"));
//! assert_eq!(work.next(Duration::ZERO, Worker(0)), Next::Done);
//! ```

mod bound;
mod build;
mod compose;
mod mix;
mod on_key;
mod pace;
#[cfg(test)]
pub(crate) mod simulate;
mod source;
#[cfg(test)]
mod tests;

use std::time::Duration;

use grudge_checkers::history::Event;

pub use bound::{Limit, TimeLimit, Until};
pub use build::Build;
pub use compose::{Chain, Cycle, Map, PerWorker, Phases};
pub use mix::Mix;
pub use on_key::OnKey;
pub use pace::{Pace, Paced, Sleep};
pub use source::{Draw, Repeat, Sequence};

/// A worker: one of the runner's concurrent hands. It outlives the processes whose numbers it works under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worker(pub usize);

/// What a generator says when a free worker asks for work.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<T> {
    /// Do this now.
    Op(T),
    /// Ask again at this time (since the start of the run) or after the next event, whichever comes first.
    At(Duration),
    /// Ask again after the next event.
    Wait,
    /// There is nothing more for this worker, ever.
    Done,
}

/// A source of work.
pub trait Generator<T>: Send {
    /// Asked when `worker` is free.
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T>;

    /// Told of every event of the history, in order, with the worker who caused it (`None` for the nemesis).
    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event);
}

/// A generator of any kind.
pub type Boxed<T> = Box<dyn Generator<T>>;

impl<T> Generator<T> for Boxed<T> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        (**self).next(now, worker)
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        (**self).update(now, worker, event);
    }
}
