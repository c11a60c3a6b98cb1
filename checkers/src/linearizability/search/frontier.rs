//! Sets of configurations without those that others make superfluous.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use super::super::budget::{Budget, Spent};
use super::bits::Bits;

/// Where some order has led: stands for all continuations that are legal from here.
#[derive(Clone, Debug)]
pub(super) struct Configuration<B> {
    /// Pending calls that still have to be put in order.
    pub(super) owed: B,
    /// Pending calls that can still be put in order to change the state. Not all of them are owed: it may have been
    /// possible to put a call in order without anybody seeing it.
    pub(super) left: B,
    pub(super) state: u32,
    /// How many calls were used that are not counted.
    pub(super) cost: u32,
    /// How it was reached.
    pub(super) path: u32,
}

/// In place of the state, of a configuration that another made superfluous.
const DEAD: u32 = u32::MAX;

impl<B: Bits> Configuration<B> {
    /// Whether whatever continues the other also continues this one, and as cheaply: in the same state less is owed and
    /// more is left.
    #[inline]
    fn covers(&self, other: &Self) -> bool {
        self.state == other.state
            && self.cost <= other.cost
            && self.owed.is_subset(&other.owed)
            && other.left.is_subset(&self.left)
    }

    #[inline]
    pub(super) fn is_dead(&self) -> bool {
        self.state == DEAD
    }
}

/// Configurations of which none covers another.
pub(super) struct Frontier<B> {
    pub(super) all: Vec<Configuration<B>>,
    /// What the sets take beside it.
    heap: usize,
    /// Once there are many: the last configuration of each class, and for each configuration the one before it.
    table: Vec<u32>,
    before: Vec<u32>,
}

const NONE: u32 = u32::MAX;
/// So many are looked through one by one.
const FEW: usize = 24;

impl<B: Bits> Frontier<B> {
    pub(super) fn new() -> Self {
        Frontier { all: Vec::new(), heap: 0, table: Vec::new(), before: Vec::new() }
    }

    pub(super) fn clear(&mut self, budget: &mut Budget<'_>) {
        budget.give(std::mem::take(&mut self.heap));
        self.all.clear();
        self.before.clear();
        self.table.clear();
    }

    /// Adds one, unless another covers it; those that it covers go. The answer is its place.
    ///
    /// Configurations are compared within a class, that of the same state and the same hard calls: those of which
    /// one can only be done or not, so that others seldom cover each other.
    pub(super) fn insert(
        &mut self,
        new: Configuration<B>,
        hard: &B,
        budget: &mut Budget<'_>,
    ) -> Result<Option<usize>, Spent> {
        if self.all.len() < FEW {
            budget.work(1)?;
            for old in &mut self.all {
                if old.covers(&new) {
                    return Ok(None);
                }
                if new.covers(old) {
                    old.state = DEAD;
                }
            }
        } else {
            if self.all.len() >= self.table.len() / 2 {
                self.rebuild(hard, budget)?;
            }
            let class = self.class(&new, hard);
            let mut at = self.table[class];
            let mut looked = 1;
            while at != NONE {
                let old = &mut self.all[at as usize];
                if old.covers(&new) {
                    return Ok(None);
                }
                if new.covers(old) {
                    old.state = DEAD;
                }
                at = self.before[at as usize];
                looked += 1;
            }
            budget.work(looked)?;
            let before = self.table[class];
            budget.push(&mut self.before, before)?;
            self.table[class] = self.all.len() as u32;
        }
        let heap = new.owed.heap_bytes() + new.left.heap_bytes();
        budget.take(heap)?;
        self.heap += heap;
        budget.push(&mut self.all, new)?;
        Ok(Some(self.all.len() - 1))
    }

    fn class(&self, configuration: &Configuration<B>, hard: &B) -> usize {
        let mut hasher = FxHasher::default();
        hasher.write_u32(configuration.state);
        let (owed, left) = (configuration.owed.words(), configuration.left.words());
        for ((owed, left), hard) in owed.iter().zip(left).zip(hard.words()) {
            hasher.write_u64(owed & hard);
            hasher.write_u64(left & hard);
        }
        hasher.finish() as usize & (self.table.len() - 1)
    }

    fn rebuild(&mut self, hard: &B, budget: &mut Budget<'_>) -> Result<(), Spent> {
        let size = (4 * self.all.len()).next_power_of_two();
        self.table.clear();
        budget.reserve(&mut self.table, size)?;
        self.table.resize(size, NONE);
        self.before.clear();
        let count = self.all.len();
        budget.reserve(&mut self.before, count)?;
        for at in 0..count {
            let class = self.class(&self.all[at], hard);
            self.before.push(self.table[class]);
            self.table[class] = at as u32;
        }
        Ok(())
    }
}
