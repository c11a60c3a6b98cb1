//! How much a check may use: a deadline, and bytes that all its searches share.
//!
//! The searches of several keys run at the same time, so that what one gives back another may take. Bytes are taken
//! before memory is allocated: a limit that is reached ends a search and not the process. Counted is what grows with
//! the search; the history itself is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What the deciders of a check may use together.
#[derive(Debug)]
pub(super) struct Allowance {
    deadline: Instant,
    memory: usize,
    used: Arc<AtomicUsize>,
    /// What tells the time: a test has a clock of its own.
    clock: fn() -> Instant,
}

/// So long after its deadline a check may still go on, to tell what it found by then.
const GRACE: Duration = Duration::from_millis(50);

/// What ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    Time,
    Memory,
}

impl Allowance {
    pub(super) fn new(deadline: Instant, memory: usize) -> Self {
        Allowance { deadline, memory, used: Arc::default(), clock: Instant::now }
    }

    #[cfg(test)]
    pub(super) fn by_clock(self, clock: fn() -> Instant) -> Self {
        Allowance { clock, ..self }
    }

    /// The same memory, for what is told after the deadline.
    pub(super) fn with_grace(&self) -> Self {
        let Allowance { deadline, memory, ref used, clock } = *self;
        Allowance { deadline: deadline + GRACE, memory, used: Arc::clone(used), clock }
    }

    /// For what is told after the deadline, and takes a few bytes for each call.
    pub(super) fn with_grace_and_memory(&self) -> Self {
        Allowance { memory: usize::MAX, used: Arc::default(), ..self.with_grace() }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A share for one decider.
    pub(super) fn share(&self) -> Budget<'_> {
        Budget { allowance: self, held: 0, work: 0, reserved: Duration::ZERO }
    }
}

/// What one decider uses of an allowance. What it took is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    allowance: &'a Allowance,
    held: usize,
    work: u32,
    reserved: Duration,
}

/// After so many steps at the latest the clock is looked at.
pub(super) const STEPS_PER_LOOK: usize = 2048;

impl Budget<'_> {
    /// Counts so many small steps; the clock is looked at now and then.
    #[inline]
    pub(super) fn work(&mut self, steps: usize) -> Result<(), Spent> {
        self.work = self.work.saturating_add(steps as u32);
        if self.work < STEPS_PER_LOOK as u32 { Ok(()) } else { self.look() }
    }

    /// Looks at the clock.
    pub(super) fn look(&mut self) -> Result<(), Spent> {
        self.work = 0;
        if self.now() + self.reserved > self.allowance.deadline { Err(Spent::Time) } else { Ok(()) }
    }

    pub(super) fn now(&self) -> Instant {
        (self.allowance.clock)()
    }

    /// Leaves so much of the time to what comes after.
    pub(super) fn reserve_time(&mut self, time: Duration) {
        self.reserved = time;
    }

    /// Takes bytes that are about to be allocated.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Spent> {
        let Allowance { memory, used, .. } = self.allowance;
        if used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > *memory {
            used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Spent::Memory);
        }
        self.held += bytes;
        Ok(())
    }

    /// Gives back bytes that were freed.
    pub(super) fn give(&mut self, bytes: usize) {
        self.held -= bytes;
        self.allowance.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Makes room for so many items more.
    pub(super) fn reserve<T>(&mut self, items: &mut Vec<T>, more: usize) -> Result<(), Spent> {
        let (old, needed) = (items.capacity(), items.len() + more);
        if needed <= old {
            return Ok(());
        }
        let new = needed.max(old + old / 2).max(8);
        // While the items move, both rooms are there.
        self.take(new * size_of::<T>())?;
        items.reserve_exact(new - items.len());
        self.give(old * size_of::<T>());
        Ok(())
    }

    pub(super) fn push<T>(&mut self, items: &mut Vec<T>, item: T) -> Result<(), Spent> {
        self.reserve(items, 1)?;
        items.push(item);
        Ok(())
    }
}

impl Drop for Budget<'_> {
    fn drop(&mut self) {
        self.allowance.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_and_given_back() {
        let allowance = Allowance::new(Instant::now(), 100);
        let mut one = allowance.share();
        assert_eq!(one.take(60), Ok(()));
        let mut other = allowance.share();
        assert_eq!(other.take(60), Err(Spent::Memory));
        assert_eq!(other.take(40), Ok(()));
        one.give(20);
        assert_eq!(other.take(20), Ok(()));
        drop(one);
        assert_eq!(other.take(40), Ok(()));
        assert_eq!(other.take(1), Err(Spent::Memory));
    }

    #[test]
    fn a_collection_that_moves_counts_twice_while_it_does() {
        let allowance = Allowance::new(Instant::now(), 200);
        let mut budget = allowance.share();
        let mut items: Vec<u64> = Vec::new();
        for item in 0..12 {
            assert_eq!(budget.push(&mut items, item), Ok(()), "8 and then 12 items, together 160 bytes");
        }
        assert_eq!(budget.push(&mut items, 12), Err(Spent::Memory), "12 and 18 items take 240");
        assert_eq!(items.len(), 12);
    }
}
