//! The ordered output queue of a replica, which every driver keeps: what was pushed after a write waits for it.

use std::collections::VecDeque;

use crate::replica::{Output, Replica};

/// A write for the disk. Writes are handed over at once and in order; the n-th has the number n.
#[derive(Debug)]
pub(crate) enum Write<T> {
    Append(Vec<T>),
    Rewrite(Vec<T>),
}

#[derive(Debug)]
pub(crate) struct Outbox<R: Replica> {
    queue: VecDeque<Entry<R>>,
    written: u64,
    durable: u64,
}

#[derive(Debug)]
enum Entry<R: Replica> {
    Output(Output<R>),
    Barrier(u64),
}

impl<R: Replica> Outbox<R> {
    pub(crate) fn new() -> Self {
        Outbox { queue: VecDeque::new(), written: 0, durable: 0 }
    }

    /// Queues an output; gives back what the disk has to do.
    pub(crate) fn push(&mut self, output: Output<R>) -> Option<Write<R::Record>> {
        let write = match output {
            Output::Persist(records) => Write::Append(records),
            Output::Rewrite(records) => Write::Rewrite(records),
            other => {
                self.queue.push_back(Entry::Output(other));
                return None;
            }
        };
        self.written += 1;
        self.queue.push_back(Entry::Barrier(self.written));
        Some(write)
    }

    /// All writes up to and including this one are durable.
    pub(crate) fn persisted(&mut self, upto: u64) {
        self.durable = self.durable.max(upto);
    }

    /// The next output that no barrier holds back.
    pub(crate) fn pop(&mut self) -> Option<Output<R>> {
        while let Some(Entry::Barrier(write)) = self.queue.front() {
            if *write > self.durable {
                return None;
            }
            self.queue.pop_front();
        }
        match self.queue.pop_front() {
            Some(Entry::Output(output)) => Some(output),
            Some(Entry::Barrier(_)) | None => None,
        }
    }

    /// How many entries wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}
