//! What a step leaves behind, and what has reached the disk.

use std::collections::VecDeque;

use super::Index;
use super::message::{Effect, Record};

/// What the current step wants done, sorted by whether it may overtake the write.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) overtaking: Vec<Effect>,
    pub(crate) records: Vec<Record>,
    /// Write the whole log anew instead of adding the records to it.
    pub(crate) rewrite: bool,
    pub(crate) held: Vec<Effect>,
}

impl Outbox {
    /// An effect that needs nothing of this step to be durable.
    pub(crate) fn overtake(&mut self, effect: Effect) {
        self.overtaking.push(effect);
    }

    /// An effect that has to wait until what this step recorded is durable.
    pub(crate) fn hold(&mut self, effect: Effect) {
        self.held.push(effect);
    }

    pub(crate) fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    pub(crate) fn rewrite(&mut self) {
        self.rewrite = true;
    }
}

/// How far the own log is durable.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// How many writes were asked for in this life.
    writes: u64,
    /// Writes under way, with the last index that each makes durable.
    under_way: VecDeque<(u64, Index)>,
    durable: Index,
}

impl Disk {
    pub(crate) fn with_durable(durable: Index) -> Self {
        Disk { durable, ..Disk::default() }
    }

    /// A write was asked for, after which the log is durable up to `last`.
    pub(crate) fn issued(&mut self, last: Index) {
        self.writes += 1;
        self.under_way.push_back((self.writes, last));
    }

    pub(crate) fn persisted(&mut self, n: u64) {
        while let Some(&(write, last)) = self.under_way.front()
            && write <= n
        {
            self.durable = self.durable.max(last);
            self.under_way.pop_front();
        }
    }

    /// The log was cut: what is durable behind the cut is not the log any more.
    pub(crate) fn truncated_after(&mut self, index: Index) {
        self.durable = self.durable.min(index);
        for (_, last) in &mut self.under_way {
            *last = (*last).min(index);
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The last index that is durable.
    pub(crate) fn durable(&self) -> Index {
        self.durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_was_under_way_at_a_cut_makes_nothing_behind_it_durable() {
        let mut disk = Disk::with_durable(2);
        disk.issued(5);
        disk.truncated_after(3);
        disk.issued(4);
        disk.persisted(1);
        assert_eq!(disk.durable(), 3);
        disk.persisted(2);
        assert_eq!(disk.durable(), 4);
        assert!(disk.is_idle());
    }
}
