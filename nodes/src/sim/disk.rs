//! The simulated disk: what was fsynced, the volatile tail that a crash may take, and what is wrong with it.

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::chaos::Crash;
use crate::outbox::Write;

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// Nothing.
    None,
    /// A fsync takes so many times as long.
    Slow {
        /// How many times.
        times: u32,
    },
    /// The next write fails and ends the process, as a full disk does to the real driver. Of what it wrote a prefix
    /// is there. A later life starts, and dies of its first write.
    Full,
    /// The log cannot be read: a life fails to start.
    ReadError,
    /// The next power loss keeps a part of what was not fsynced, always; by chance it mostly keeps nothing.
    TornTail,
}

#[derive(Debug)]
pub(super) struct Disk<T> {
    durable: Vec<T>,
    /// Writes of this life that are not durable, oldest first; the first has the number `synced + 1`.
    volatile: VecDeque<Write<T>>,
    synced: u64,
    /// The last write that the running fsync covers.
    syncing: Option<u64>,
    fault: DiskFault,
}

/// A write did not find room.
pub(super) struct NoSpace;

impl<T: Clone> Disk<T> {
    pub(super) fn new() -> Self {
        Disk { durable: Vec::new(), volatile: VecDeque::new(), synced: 0, syncing: None, fault: DiskFault::None }
    }

    pub(super) fn set(&mut self, fault: DiskFault) {
        self.fault = fault;
    }

    pub(super) fn fault(&self) -> DiskFault {
        self.fault
    }

    /// How many times as long as usual a fsync takes.
    pub(super) fn slowness(&self) -> u32 {
        match self.fault {
            DiskFault::Slow { times } => times,
            DiskFault::None | DiskFault::Full | DiskFault::ReadError | DiskFault::TornTail => 1,
        }
    }

    /// Queues a write.
    pub(super) fn write(&mut self, write: Write<T>) {
        self.volatile.push_back(write);
    }

    /// Begins a fsync of all that is queued, if there is something and none is running.
    pub(super) fn begin_sync(&mut self) -> bool {
        if self.syncing.is_some() || self.volatile.is_empty() {
            return false;
        }
        self.syncing = Some(self.synced + self.volatile.len() as u64);
        true
    }

    /// The running fsync ends; the number of the last durable write of this life.
    pub(super) fn end_sync(&mut self) -> Result<u64, NoSpace> {
        if self.fault == DiskFault::Full {
            return Err(NoSpace);
        }
        let last = self.syncing.take().unwrap_or(self.synced);
        while self.synced < last {
            let write = self.volatile.pop_front().expect("a fsync covers only queued writes");
            self.synced += 1;
            apply(&mut self.durable, write);
        }
        Ok(self.synced)
    }

    /// The machine or the process dies: what a next life will read is settled now.
    pub(super) fn crash(&mut self, how: Crash, rng: &mut ChaCha8Rng) {
        let full = self.fault == DiskFault::Full;
        let written = match (how, self.syncing) {
            (Crash::Kill, Some(last)) if !full => usize::try_from(last - self.synced).unwrap_or(usize::MAX),
            (Crash::Kill | Crash::PowerLoss, _) => 0,
        };
        let records: usize = self.volatile.iter().skip(written).map(pieces).sum();
        let torn = self.fault == DiskFault::TornTail;
        let rest = match how {
            // The system may have flushed some of the page cache by itself, in order. Mostly it has not.
            Crash::PowerLoss if torn => rng.random_range(records.min(1)..=records),
            Crash::PowerLoss if rng.random_bool(0.5) => 0,
            Crash::PowerLoss | Crash::Kill => rng.random_range(0..=records),
        };
        if torn && how == Crash::PowerLoss {
            self.fault = DiskFault::None;
        }
        self.keep(written, rest);
    }

    /// Keeps so many whole writes, and so many pieces of those after them.
    fn keep(&mut self, written: usize, mut pieces_left: usize) {
        for (at, write) in std::mem::take(&mut self.volatile).into_iter().enumerate() {
            if at < written {
                apply(&mut self.durable, write);
            } else if pieces_left >= pieces(&write) {
                pieces_left -= pieces(&write);
                apply(&mut self.durable, write);
            } else {
                if let Write::Append(records) = write {
                    self.durable.extend(records.into_iter().take(pieces_left));
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
