//! Where operations come from.

use std::collections::VecDeque;
use std::time::Duration;

use grudge_checkers::history::Event;

use super::{Generator, Next, Worker};

/// The same, for ever.
#[derive(Clone, Debug)]
pub struct Repeat<T>(pub T);

impl<T: Clone + Send> Generator<T> for Repeat<T> {
    fn next(&mut self, _: Duration, _: Worker) -> Next<T> {
        Next::Op(self.0.clone())
    }

    fn update(&mut self, _: Duration, _: Option<Worker>, _: &Event) {}
}

/// These, once, in order, each to whoever asks first. For each worker its own sequence, wrap it in
/// [`super::PerWorker`].
#[derive(Clone, Debug)]
pub struct Sequence<T>(VecDeque<T>);

impl<T> Sequence<T> {
    /// A sequence of these.
    pub fn new(items: impl IntoIterator<Item = T>) -> Self {
        Sequence(items.into_iter().collect())
    }
}

impl<T: Send> Generator<T> for Sequence<T> {
    fn next(&mut self, _: Duration, _: Worker) -> Next<T> {
        self.0.pop_front().map_or(Next::Done, Next::Op)
    }

    fn update(&mut self, _: Duration, _: Option<Worker>, _: &Event) {}
}

/// Whatever the function makes, for ever. A function that draws owns a generator of random numbers with an explicit
/// seed.
pub struct Draw<F>(pub F);

impl<T, F: FnMut(Worker) -> T + Send> Generator<T> for Draw<F> {
    fn next(&mut self, _: Duration, worker: Worker) -> Next<T> {
        Next::Op((self.0)(worker))
    }

    fn update(&mut self, _: Duration, _: Option<Worker>, _: &Event) {}
}
