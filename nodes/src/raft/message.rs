//! What members say to each other, what they keep, and what the core wants done.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Index, Term};
use crate::replica::{Event, NodeId};

/// A place in a log: an index and the term of the entry there. Index 0 in term 0 is before the first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The index, from 1.
    pub index: Index,
    /// The term of the entry at the index.
    pub term: Term,
}

impl Position {
    /// Whether a log that ends here is at least as up to date as one that ends there (§5.4.1).
    #[must_use]
    pub(crate) fn at_least(self, other: Position) -> bool {
        (self.term, self.index) >= (other.term, other.index)
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands.
    pub at: Position,
    /// What was proposed; empty for the entry with which a leader begins its term.
    pub data: Bytes,
}

/// The state machine after some entry, instead of all entries up to it (§7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last entry it contains.
    pub last: Position,
    /// The digest of the log up to that entry, see [`super::Log`].
    pub chain: u64,
    /// The state, opaque to the core.
    pub data: Bytes,
}

/// A read's number. No two reads ever share one: the life of a member is durable before it says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReadId {
    /// Where it was asked.
    pub node: NodeId,
    /// In which life of that member, from 1.
    pub life: u64,
    /// The how-many-eth read of that life, from 1.
    pub seq: u64,
}

/// A message: the sender's term, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The sender's term; of a [`Body::PreVote`] and of its granting reply, the term the sender would stand in.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Would you vote for me? Changes nothing at the receiver (§9.6 of the dissertation).
    PreVote {
        /// Where the sender's log ends.
        last: Position,
    },
    /// The answer to a [`Body::PreVote`].
    PreVoteReply {
        /// Whether it would.
        granted: bool,
    },
    /// Vote for me.
    Vote {
        /// Where the sender's log ends.
        last: Position,
    },
    /// The answer to a [`Body::Vote`].
    VoteReply {
        /// Whether it has.
        granted: bool,
    },
    /// The leader's entries; without any, its heartbeat.
    Append {
        /// The entry before the first of these.
        prev: Position,
        /// Entries that follow `prev` without a gap.
        entries: Vec<Entry>,
        /// How far the leader knows the log to be committed.
        commit: Index,
        /// The leader's newest round of leadership proofs.
        round: u64,
    },
    /// The leader's snapshot, for a member whose next entry the leader no longer has.
    Install {
        /// The snapshot.
        snapshot: Snapshot,
        /// The leader's newest round of leadership proofs.
        round: u64,
    },
    /// The answer to [`Body::Append`] and [`Body::Install`]: the sender still follows.
    AppendReply {
        /// Whether the entries fitted.
        outcome: Outcome,
        /// The round of the message that this answers.
        round: u64,
    },
    /// A follower passes a proposal on. Only taken by the leader of the very term it names.
    Propose {
        /// What is proposed.
        data: Bytes,
    },
    /// A follower asks for the index at which a read may be served.
    ReadIndex {
        /// The read.
        id: ReadId,
    },
    /// The leader's answer to a [`Body::ReadIndex`].
    ReadIndexReply {
        /// The read.
        id: ReadId,
        /// It may be served by whoever applied this index.
        index: Index,
    },
}

/// Whether entries fitted to the receiver's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The receiver's log is durable and equal to the leader's up to this index.
    Accepted {
        /// The index.
        matched: Index,
    },
    /// The receiver does not have the entry before the first one.
    Rejected {
        /// The index of that entry.
        at: Index,
        /// The receiver's last entry at or before it that can possibly be the leader's (§5.3, fast backtracking).
        hint: Position,
    },
}

/// What a member's write-ahead log is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A new life began.
    Life(u64),
    /// The term and the vote cast in it.
    HardState {
        /// The current term.
        term: Term,
        /// Whom it voted for in that term.
        vote: Option<NodeId>,
    },
    /// The log has this entry, and nothing after it that was recorded earlier.
    Entry(Entry),
    /// The log begins after this snapshot.
    Snapshot(Snapshot),
}

/// What the core wants done, in order; see [`crate::replica`] for what the order means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a message.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Make records durable, after those before.
    Persist(Vec<Record>),
    /// Replace all durable records by these.
    Rewrite(Vec<Record>),
    /// Tell the world.
    Event(Event),
    /// Apply a committed entry; they come in order and without a gap.
    Apply(Entry),
    /// Replace the state machine by a snapshot, which is newer than what was applied.
    Restore(Snapshot),
    /// A read that was asked here may be served once this index is applied.
    ReadReady {
        /// The read.
        id: ReadId,
        /// The index.
        index: Index,
    },
    /// The term or its known leader changed: reads asked before and not yet ready never will be.
    LeaderChanged,
}
