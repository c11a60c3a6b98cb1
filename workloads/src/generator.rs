//! Generators: what to do next, as values. Pure: time comes in as an argument and randomness from a seed, so the
//! same generator drives real processes and simulated ones.

use std::time::Duration;

use grudge_checkers::history::Event;

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
