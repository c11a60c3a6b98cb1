//! Generators strung together: every building block as a method.

use std::time::Duration;

use grudge_checkers::history::Event;

use super::{Boxed, Chain, Generator, Limit, Map, Pace, Paced, TimeLimit, Until};

/// Methods of every generator. The one called last is the outermost.
pub trait Build<T: 'static>: Generator<T> + Sized + 'static {
    /// At most so many operations.
    fn limit(self, count: usize) -> Limit<Self> {
        Limit::new(count, self)
    }

    /// Nothing new after this long, counted from the first time anybody asks.
    fn time_limit(self, length: Duration) -> TimeLimit<Self> {
        TimeLimit::new(length, self)
    }

    /// Nothing new after the first event that fits.
    fn until<P: FnMut(&Event) -> bool + Send>(self, event: P) -> Until<Self, P> {
        Until::new(event, self)
    }

    /// No faster than this.
    fn paced(self, pace: Pace) -> Paced<Self> {
        Paced::new(pace, self)
    }

    /// Each operation changed.
    fn map<U, F: FnMut(T) -> U + Send>(self, change: F) -> Map<T, Self, F> {
        Map::new(change, self)
    }

    /// This, then that; each worker at its own speed.
    fn then(self, next: impl Generator<T> + 'static) -> Chain<T> {
        Chain::new([self.boxed(), next.boxed()])
    }

    /// Its kind forgotten.
    fn boxed(self) -> Boxed<T> {
        Box::new(self)
    }
}

impl<T: 'static, G: Generator<T> + 'static> Build<T> for G {}
