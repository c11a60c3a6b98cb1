//! Work on one object.

use std::time::Duration;

use grudge_checkers::history::Event;

use super::{Generator, Next, Worker};
use crate::operation::Invocation;

/// Every operation of `inner` goes to one key, and `inner` is told only of that key's events.
pub struct OnKey<G> {
    key: String,
    inner: G,
}

impl<G> OnKey<G> {
    /// `inner` on that key.
    pub fn new(key: impl Into<String>, inner: G) -> Self {
        OnKey { key: key.into(), inner }
    }
}

impl<G: Generator<Invocation>> Generator<Invocation> for OnKey<G> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<Invocation> {
        match self.inner.next(now, worker) {
            Next::Op(invocation) => Next::Op(Invocation { key: Some(self.key.clone()), ..invocation }),
            waiting => waiting,
        }
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        if event.key.as_ref() == Some(&self.key) {
            self.inner.update(now, worker, event);
        }
    }
}
