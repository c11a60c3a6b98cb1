//! Work made of work: one after another, each for itself, over and over.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::time::Duration;

use grudge_checkers::history::Event;

use super::{Boxed, Generator, Next, Worker};

/// How often a worker that waits for the others at the end of a phase looks again. The others need not cause an
/// event on their way to the barrier, so waiting for an event could be for ever.
const BARRIER_POLL: Duration = Duration::from_millis(10);

/// One after another, each worker at its own speed.
///
/// Only parts that some worker is in are told of events: a part must not end before it has begun.
pub struct Chain<T> {
    parts: Vec<Boxed<T>>,
    position: BTreeMap<Worker, usize>,
}

impl<T> Chain<T> {
    /// These parts, in order.
    pub fn new(parts: impl IntoIterator<Item = Boxed<T>>) -> Self {
        Chain { parts: parts.into_iter().collect(), position: BTreeMap::new() }
    }
}

impl<T> Generator<T> for Chain<T> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        let position = self.position.entry(worker).or_insert(0);
        while let Some(part) = self.parts.get_mut(*position) {
            match part.next(now, worker) {
                Next::Done => *position += 1,
                next => return next,
            }
        }
        Next::Done
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        let entered: BTreeSet<usize> = self.position.values().copied().collect();
        for (_, part) in self.parts.iter_mut().enumerate().filter(|(i, _)| entered.contains(i)) {
            part.update(now, worker, event);
        }
    }
}

/// One after another, all workers together: a phase begins when every worker has finished the one before.
pub struct Phases<T> {
    workers: usize,
    phases: Vec<Boxed<T>>,
    current: usize,
    finished: BTreeSet<Worker>,
}

impl<T> Phases<T> {
    /// These phases, for so many workers.
    pub fn new(workers: usize, phases: impl IntoIterator<Item = Boxed<T>>) -> Self {
        Phases { workers, phases: phases.into_iter().collect(), current: 0, finished: BTreeSet::new() }
    }
}

impl<T> Generator<T> for Phases<T> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        while let Some(phase) = self.phases.get_mut(self.current) {
            if !self.finished.contains(&worker) {
                match phase.next(now, worker) {
                    Next::Done => self.finished.insert(worker),
                    next => return next,
                };
            }
            if self.finished.len() < self.workers {
                return Next::At(now + BARRIER_POLL);
            }
            self.current += 1;
            self.finished.clear();
        }
        Next::Done
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        if let Some(phase) = self.phases.get_mut(self.current) {
            phase.update(now, worker, event);
        }
    }
}

/// The same again and again: when a round is done for a worker, a new one begins for everybody. Made for one
/// worker, such as the nemesis; for several, put it inside [`PerWorker`].
///
/// A round that gives no operation and takes no time ends the cycle, since it would never give one.
pub struct Cycle<T> {
    round: Box<dyn FnMut() -> Boxed<T> + Send>,
    current: Boxed<T>,
}

impl<T> Cycle<T> {
    /// Rounds from this function.
    pub fn new(mut round: impl FnMut() -> Boxed<T> + Send + 'static) -> Self {
        let current = round();
        Cycle { round: Box::new(round), current }
    }
}

impl<T> Generator<T> for Cycle<T> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        match self.current.next(now, worker) {
            Next::Done => {
                self.current = (self.round)();
                self.current.next(now, worker)
            }
            next => next,
        }
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        self.current.update(now, worker, event);
    }
}

/// A generator of its own for each worker, made when it first asks. All of them see all events.
pub struct PerWorker<T> {
    make: Box<dyn FnMut(Worker) -> Boxed<T> + Send>,
    workers: BTreeMap<Worker, Boxed<T>>,
}

impl<T> PerWorker<T> {
    /// Generators from this function.
    pub fn new(make: impl FnMut(Worker) -> Boxed<T> + Send + 'static) -> Self {
        PerWorker { make: Box::new(make), workers: BTreeMap::new() }
    }
}

impl<T> Generator<T> for PerWorker<T> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        self.workers.entry(worker).or_insert_with(|| (self.make)(worker)).next(now, worker)
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        for generator in self.workers.values_mut() {
            generator.update(now, worker, event);
        }
    }
}

/// Each operation of `inner` changed by a function: put on a key, renamed, made another type `T`.
pub struct Map<S, G, F> {
    inner: G,
    change: F,
    source: PhantomData<fn() -> S>,
}

impl<S, G: Generator<S>, F> Map<S, G, F> {
    /// `inner`, changed.
    pub fn new(change: F, inner: G) -> Self {
        Map { inner, change, source: PhantomData }
    }
}

impl<S, T, G: Generator<S>, F: FnMut(S) -> T + Send> Generator<T> for Map<S, G, F> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        match self.inner.next(now, worker) {
            Next::Op(op) => Next::Op((self.change)(op)),
            Next::At(at) => Next::At(at),
            Next::Wait => Next::Wait,
            Next::Done => Next::Done,
        }
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        self.inner.update(now, worker, event);
    }
}
