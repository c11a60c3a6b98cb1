//! The requests that a replica still owes an answer.

use std::collections::{BTreeMap, BTreeSet};

use super::api::{RangeRequest, TxnRequest};
use super::command::RequestId;
use super::message::LeaseQuestion;
use crate::raft::{Index, ReadId, Term};
use crate::replica::{ClientId, NodeId, Time};

/// A change that was proposed.
#[derive(Debug)]
pub(crate) struct Proposal {
    pub(crate) client: ClientId,
    /// In whose term it was proposed: once an entry of a later one is applied, it never will be.
    pub(crate) term: Term,
    pub(crate) deadline: Time,
}

/// A question that waits until the state is fresh enough.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) asker: Asker,
    pub(crate) question: Question,
    pub(crate) deadline: Time,
    /// The consensus said from which index on it may be answered.
    ready: Option<Index>,
}

/// Who asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker {
    Client(ClientId),
    /// Another replica, for a client of its own.
    Peer(NodeId, RequestId),
}

/// What was asked.
#[derive(Debug)]
pub(crate) enum Question {
    Range(RangeRequest),
    Txn(TxnRequest),
    Leases,
    /// Only at the leader.
    Lease(LeaseQuestion),
}

/// A question that was passed to the leader.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) client: ClientId,
    pub(crate) deadline: Time,
}

/// All reads that wait. Their numbers and their deadlines grow together.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    reads: BTreeMap<u64, Read>,
    ready: BTreeSet<(Index, u64)>,
}

impl Reads {
    pub(crate) fn add(&mut self, id: ReadId, asker: Asker, question: Question, deadline: Time) {
        self.reads.insert(id.seq, Read { asker, question, deadline, ready: None });
    }

    /// It may be answered from this index on.
    pub(crate) fn ready(&mut self, id: ReadId, index: Index) {
        if let Some(read) = self.reads.get_mut(&id.seq)
            && read.ready.is_none()
        {
            read.ready = Some(index);
            self.ready.insert((index, id.seq));
        }
    }

    /// One that may be answered by whoever has applied this index.
    pub(crate) fn take_ready(&mut self, applied: Index) -> Option<Read> {
        let &(index, seq) = self.ready.first()?;
        if index > applied { None } else { self.remove(seq) }
    }

    /// All that the consensus has not answered and never will.
    pub(crate) fn take_unready(&mut self) -> Vec<Read> {
        let (ready, unready): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.reads).into_iter().partition(|(_, read)| read.ready.is_some());
        self.reads = ready;
        unready.into_values().collect()
    }

    /// One whose time is over.
    pub(crate) fn take_late(&mut self, now: Time) -> Option<Read> {
        let (&seq, read) = self.reads.first_key_value()?;
        if read.deadline > now { None } else { self.remove(seq) }
    }

    fn remove(&mut self, seq: u64) -> Option<Read> {
        let read = self.reads.remove(&seq)?;
        if let Some(index) = read.ready {
            self.ready.remove(&(index, seq));
        }
        Some(read)
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.reads.first_key_value().map(|(_, read)| read.deadline)
    }
}
