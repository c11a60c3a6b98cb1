//! What clients saw of registers that have one writer each, and whether it can be.
//!
//! One process writes 1, 2, 3, … to a key and stops at the first unknown outcome. So the values order themselves,
//! and linearizability comes down to bounds: a read sees nothing older than what was answered before it began
//! (to a writer or to a reader), nothing that had not been asked for yet, and nothing that certainly failed.

use std::collections::{BTreeMap, BTreeSet};

use crate::replica::Time;

/// A key's number.
pub(super) type Key = u64;

#[derive(Debug, Default)]
pub(super) struct History {
    registers: BTreeMap<Key, Register>,
}

#[derive(Debug, Default)]
struct Register {
    begun: BTreeMap<u64, Time>,
    acknowledged: BTreeMap<u64, Time>,
    failed: BTreeSet<u64>,
    reads: Vec<Read>,
}

#[derive(Debug)]
struct Read {
    began: Time,
    ended: Time,
    value: u64,
}

impl History {
    pub(super) fn write_begins(&mut self, key: Key, value: u64, at: Time) {
        self.registers.entry(key).or_default().begun.insert(value, at);
    }

    pub(super) fn write_ends(&mut self, key: Key, value: u64, at: Time) {
        self.registers.entry(key).or_default().acknowledged.insert(value, at);
    }

    /// A write certainly did not happen.
    pub(super) fn write_fails(&mut self, key: Key, value: u64) {
        self.registers.entry(key).or_default().failed.insert(value);
    }

    /// A read that was answered; 0 for no value.
    pub(super) fn read(&mut self, key: Key, value: u64, began: Time, ended: Time) {
        self.registers.entry(key).or_default().reads.push(Read { began, ended, value });
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.registers.values().map(|register| register.acknowledged.len()).sum()
    }

    pub(super) fn reads(&self) -> usize {
        self.registers.values().map(|register| register.reads.len()).sum()
    }

    /// All registers that anybody touched.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.registers.keys().copied().collect()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.registers.iter().try_for_each(|(key, register)| {
            register.check().map_err(|what| format!("linearizability of register {key}: {what}"))
        })
    }
}

impl Register {
    fn check(&self) -> Result<(), String> {
        for read in &self.reads {
            let value = read.value;
            let written = self.acknowledged.iter().filter(|(_, at)| **at <= read.began).map(|(value, _)| *value).max();
            if let Some(newer) = written.filter(|newer| *newer > value) {
                return Err(format!("{read:?} misses {newer}, which was acknowledged before it began"));
            }
            let seen = self.reads.iter().filter(|other| other.ended <= read.began).map(|other| other.value).max();
            if let Some(newer) = seen.filter(|newer| *newer > value) {
                return Err(format!("{read:?} misses {newer}, which was read before it began"));
            }
            if self.failed.contains(&value) {
                return Err(format!("{read:?} sees a write whose client was told that it did not happen"));
            }
            if value > 0 && self.begun.get(&value).is_none_or(|begun| *begun > read.ended) {
                return Err(format!("{read:?} sees a value that nobody had written"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const fn at(n: u64) -> Time {
        Duration::from_secs(n)
    }

    #[test]
    fn each_bound_is_checked() {
        let history = |read: (u64, u64, u64)| {
            let mut history = History::default();
            history.write_begins(1, 1, at(1));
            history.write_ends(1, 1, at(2));
            history.write_begins(1, 2, at(3));
            history.write_fails(1, 2);
            history.write_begins(1, 3, at(5));
            history.read(1, 3, at(6), at(7));
            history.read(1, read.0, at(read.1), at(read.2));
            history.check()
        };
        for (read, expected) in [
            ((1, 2, 3), None),
            ((3, 5, 9), None),
            ((1, 6, 9), None),
            ((0, 1, 2), None),
            ((0, 2, 3), Some("acknowledged before")),
            ((1, 7, 8), Some("read before")),
            ((2, 3, 4), Some("did not happen")),
            ((3, 3, 4), Some("nobody had written")),
            ((9, 8, 9), Some("nobody had written")),
        ] {
            let found = history(read).err();
            let same = match (&found, expected) {
                (Some(found), Some(part)) => found.contains(part),
                (found, part) => found.is_none() && part.is_none(),
            };
            assert!(same, "(value, began, ended) = {read:?}: {found:?}, expected {expected:?}");
        }
    }
}
