//! What goes into the core and what comes out of it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::message::Message;
use crate::bugs::Bug;
use crate::point::Point;
use crate::replica::{Event, NodeId};

/// A transaction's place in the total order: the epoch of the leader that proposed it, then a counter that each
/// epoch starts from 1. Zero stands before the first transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Zxid(pub u64);

impl Zxid {
    /// Before the first transaction.
    pub const ZERO: Zxid = Zxid(0);

    /// Joins an epoch and a counter.
    #[must_use]
    pub fn new(epoch: u32, counter: u32) -> Self {
        Zxid(u64::from(epoch) << 32 | u64::from(counter))
    }

    /// The epoch in which it was proposed.
    #[must_use]
    pub fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Its number inside the epoch.
    #[must_use]
    pub fn counter(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch(), self.counter())
    }
}

/// Who a peer is, who the others are, and how patient it is.
#[derive(Clone, Debug)]
pub struct Config {
    /// This peer.
    pub id: NodeId,
    /// All voting peers, this one included.
    pub peers: Vec<NodeId>,
    /// The unit of the limits below; pings leave twice a tick.
    pub tick: Duration,
    /// Ticks that discovery and synchronisation may take together.
    pub init_limit: u32,
    /// Ticks of silence after which a link is given up.
    pub sync_limit: u32,
    /// How long a peer waits for a better vote once a quorum agrees with its own.
    pub finalize_wait: Duration,
    /// Transactions that stay in memory behind a snapshot, so that a follower only a little behind gets a DIFF.
    pub retain: usize,
    /// Planted bugs that are switched on.
    pub bugs: Vec<Bug>,
}

impl Config {
    /// Timeouts for machines on one network: a leader that is cut off has a successor within about a second.
    #[must_use]
    pub fn new(id: NodeId, peers: Vec<NodeId>) -> Self {
        Config {
            id,
            peers,
            tick: Duration::from_millis(100),
            init_limit: 20,
            sync_limit: 6,
            finalize_wait: Duration::from_millis(200),
            retain: 500,
            bugs: Vec::new(),
        }
    }

    pub(super) fn has(&self, bug: Bug) -> bool {
        self.bugs.contains(&bug)
    }
}

/// One entry of the write-ahead log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The peer has started for the n-th time. Durable before anything is sent, it tells this life's links from
    /// those of older ones.
    Life(u64),
    /// The highest epoch that this peer has promised to (ZAB's `f.p`).
    AcceptedEpoch(u32),
    /// The last epoch whose leader's history this peer has taken over (ZAB's `f.a`).
    CurrentEpoch(u32),
    /// A proposal.
    Txn {
        /// Its place.
        zxid: Zxid,
        /// What it does; the core does not look inside.
        payload: Bytes,
    },
    /// All transactions above this one are discarded.
    Truncate(Zxid),
    /// The state after this transaction; all before it is discarded.
    Snapshot {
        /// The last transaction it contains.
        zxid: Zxid,
        /// The state.
        state: Bytes,
    },
}

/// What happens to a peer.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; wanted at [`Zab::wake`](super::Zab::wake) at the latest.
    Tick,
    /// Another peer speaks.
    Message {
        /// The sender.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// The first `n` [`Effect::Persist`] and [`Effect::Rewrite`] of this life are durable. Whoever passes effects
    /// on and writes records of his own must translate the number.
    Persisted(u64),
}

/// What a peer wants done, in this order; `Persist` and `Rewrite` are barriers as in [`crate::replica`].
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send to a peer; it may be lost.
    Send {
        /// The receiver.
        to: NodeId,
        /// What to say.
        message: Message,
    },
    /// Append to the write-ahead log.
    Persist(Vec<Record>),
    /// Replace the whole write-ahead log, atomically.
    Rewrite(Vec<Record>),
    /// Apply this committed transaction. Comes once for each zxid of a life, in increasing order.
    Deliver {
        /// Its place.
        zxid: Zxid,
        /// What was proposed.
        payload: Bytes,
        /// It was in this peer's own log when this life began; a former life may have applied it already.
        replayed: bool,
    },
    /// Replace the whole state by this one.
    Restore {
        /// The last transaction it contains.
        zxid: Zxid,
        /// What was handed to [`Zab::compact`](super::Zab::compact), here or on another peer.
        state: Bytes,
    },
    /// A follower said this to its leader with [`Zab::tell_leader`](super::Zab::tell_leader).
    FromFollower {
        /// Where to answer.
        link: Link,
        /// What it said.
        app: Bytes,
    },
    /// The leader said this with [`Zab::tell_follower`](super::Zab::tell_follower).
    FromLeader {
        /// What it said.
        app: Bytes,
    },
    /// The [`Zab::barrier`](super::Zab::barrier) of that token has been reached. A token whose leader loses its
    /// office first is never confirmed.
    Confirmed {
        /// What was handed in.
        token: u64,
    },
    /// The peer's standing has changed.
    Status(Status),
    /// The peer came to this point of the protocol.
    Reached(Point),
}

/// A peer's standing, as far as the state machine on top needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// No established leader is known: serve nothing.
    Looking,
    /// In step with an established leader.
    Following {
        /// Whom it follows.
        leader: NodeId,
        /// The leader's epoch.
        epoch: u32,
    },
    /// Leader, established by a quorum.
    Leading {
        /// Its epoch.
        epoch: u32,
    },
}

impl From<Status> for Event {
    fn from(status: Status) -> Self {
        match status {
            Status::Looking => Event::Looking,
            Status::Following { leader, epoch } => Event::Following { epoch: epoch.into(), leader },
            Status::Leading { epoch } => Event::Leading { epoch: epoch.into() },
        }
    }
}

/// One follower's connection to its leader, as the leader sees it. A follower that comes back gets another one, so
/// an answer can not reach a conversation that it does not belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Who is at the other end.
    pub follower: NodeId,
    pub(super) number: u64,
}

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only an established leader can do this.
    #[error("this peer is not an established leader")]
    NotLeading,
    /// Only a follower in step with an established leader can do this.
    #[error("this peer does not follow an established leader")]
    NotFollowing,
    /// The link that was named is closed.
    #[error("the link to that follower is closed")]
    LinkClosed,
    /// The epoch's counter is exhausted; the leader steps down so that an election starts another epoch.
    #[error("the epoch has no zxid left, an election follows")]
    EpochExhausted,
}
