//! The simulated disk: what was fsynced, and the volatile tail that a crash may take.

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::chaos::Crash;
use crate::outbox::Write;

#[derive(Debug)]
pub(super) struct Disk<T> {
    durable: Vec<T>,
    /// Writes of this life that are not durable, oldest first; the first has the number `synced + 1`.
    volatile: VecDeque<Write<T>>,
    synced: u64,
    /// The last write that the running fsync covers.
    syncing: Option<u64>,
}

impl<T: Clone> Disk<T> {
    pub(super) fn new() -> Self {
        Disk { durable: Vec::new(), volatile: VecDeque::new(), synced: 0, syncing: None }
    }

    /// Queues a write.
    pub(super) fn write(&mut self, write: Write<T>) {
        self.volatile.push_back(write);
    }

    /// The number of the last durable write of this life.
    pub(super) fn synced(&self) -> u64 {
        self.synced
    }

    /// Begins a fsync of all that is queued, if there is something and none is running; the last write it covers.
    pub(super) fn begin_sync(&mut self) -> Option<u64> {
        if self.syncing.is_some() || self.volatile.is_empty() {
            return None;
        }
        self.syncing = Some(self.synced + self.volatile.len() as u64);
        self.syncing
    }

    /// The running fsync ends.
    pub(super) fn end_sync(&mut self) {
        let Some(last) = self.syncing.take() else { return };
        while self.synced < last {
            let write = self.volatile.pop_front().expect("a fsync covers only queued writes");
            self.synced += 1;
            apply(&mut self.durable, write);
        }
    }

    /// The machine or the process dies: what a next life will read is settled now.
    pub(super) fn crash(&mut self, how: Crash, rng: &mut ChaCha8Rng) {
        let written = match (how, self.syncing) {
            // The system may have flushed some of the page cache by itself, in order. Mostly it has not.
            (Crash::PowerLoss, _) => 0,
            (Crash::Kill, Some(last)) => usize::try_from(last - self.synced).unwrap_or(usize::MAX),
            (Crash::Kill, None) => 0,
        };
        let rest = match how {
            Crash::PowerLoss if rng.random_bool(0.5) => 0,
            Crash::PowerLoss | Crash::Kill => {
                let records: usize = self.volatile.iter().skip(written).map(pieces).sum();
                rng.random_range(0..=records)
            }
        };
        let mut left = rest;
        for (at, write) in std::mem::take(&mut self.volatile).into_iter().enumerate() {
            if at < written {
                apply(&mut self.durable, write);
            } else if left >= pieces(&write) {
                left -= pieces(&write);
                apply(&mut self.durable, write);
            } else {
                if let Write::Append(records) = write {
                    self.durable.extend(records.into_iter().take(left));
                }
                break;
            }
        }
        self.synced = 0;
        self.syncing = None;
    }

    /// What a new life finds.
    pub(super) fn records(&self) -> &[T] {
        &self.durable
    }
}

/// Into how many pieces a crash can tear a write: an append tears between records, a rewrite not at all.
fn pieces<T>(write: &Write<T>) -> usize {
    match write {
        Write::Append(records) => records.len(),
        Write::Rewrite(_) => 1,
    }
}

fn apply<T>(durable: &mut Vec<T>, write: Write<T>) {
    match write {
        Write::Append(records) => durable.extend(records),
        Write::Rewrite(records) => *durable = records,
    }
}
