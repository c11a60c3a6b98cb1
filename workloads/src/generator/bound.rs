//! When work ends.

use std::time::Duration;

use grudge_checkers::history::Event;

use super::{Generator, Next, Worker};

/// At most so many operations, over all workers together.
#[derive(Clone, Debug)]
pub struct Limit<G> {
    left: usize,
    inner: G,
}

impl<G> Limit<G> {
    /// The first `count` operations of `inner`.
    pub fn new(count: usize, inner: G) -> Self {
        Limit { left: count, inner }
    }
}

impl<T, G: Generator<T>> Generator<T> for Limit<G> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        if self.left == 0 {
            return Next::Done;
        }
        let next = self.inner.next(now, worker);
        if matches!(next, Next::Op(_)) {
            self.left -= 1;
        }
        next
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        self.inner.update(now, worker, event);
    }
}

/// Nothing new after this long, counted from the first time anybody asks.
#[derive(Clone, Debug)]
pub struct TimeLimit<G> {
    length: Duration,
    end: Option<Duration>,
    inner: G,
}

impl<G> TimeLimit<G> {
    /// What `inner` gives within `length`.
    pub fn new(length: Duration, inner: G) -> Self {
        TimeLimit { length, end: None, inner }
    }
}

impl<T, G: Generator<T>> Generator<T> for TimeLimit<G> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        let end = *self.end.get_or_insert(now + self.length);
        if now >= end {
            return Next::Done;
        }
        match self.inner.next(now, worker) {
            // Whoever waits is woken when time is up, so that it hears of the end.
            Next::At(at) => Next::At(at.min(end)),
            Next::Wait => Next::At(end),
            next => next,
        }
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        self.inner.update(now, worker, event);
    }
}

/// Nothing new after the first event that fits.
pub struct Until<G, P> {
    reached: bool,
    event: P,
    inner: G,
}

impl<G, P> Until<G, P> {
    /// What `inner` gives until `event` is true of an event.
    pub fn new(event: P, inner: G) -> Self {
        Until { reached: false, event, inner }
    }
}

impl<T, G: Generator<T>, P: FnMut(&Event) -> bool + Send> Generator<T> for Until<G, P> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        if self.reached { Next::Done } else { self.inner.next(now, worker) }
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        self.reached = self.reached || (self.event)(event);
        self.inner.update(now, worker, event);
    }
}
