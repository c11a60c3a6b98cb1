//! The one shape every replica has: a state machine without I/O.
//!
//! A replica is handed the time and an [`Input`]; it answers with [`Output`]s. It owns no clock, no socket, no
//! thread and no source of randomness: a seed comes with its configuration. The real driver and the simulator
//! feed the same code, so what one of them finds is true of the other.
//!
//! # The output queue is ordered
//!
//! Outputs leave in the order in which they were pushed. [`Output::Persist`] and [`Output::Rewrite`] are
//! barriers: whatever was pushed after one leaves only when that write is durable. "Durable before
//! acknowledged" is therefore written as an order: push the write, then the acknowledgement. What may overtake
//! the disk (a leader's proposals to its followers) is pushed before the write.

use std::fmt::Debug;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::point::Point;

/// Time since the driver started the replica. Monotonic; a simulator may begin anywhere.
pub type Time = Duration;

/// A replica's number inside its cluster, from 1. ZooKeeper calls it `myid`, etcd a member id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// One client conversation at one replica: a connection of the ZooKeeper protocol, a call of the etcd protocol.
/// Numbers are never used twice during the life of a replica process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub u64);

/// What happens to a replica.
#[derive(Clone, Debug)]
pub enum Input<R: Replica> {
    /// Time has passed; sent at [`Replica::wake`] at the latest.
    Tick,
    /// A message arrived. The network may lose, repeat, delay and reorder messages, and the sender may be of an
    /// older life of that node.
    Message {
        /// The sender.
        from: NodeId,
        /// What it said.
        message: R::Message,
    },
    /// A client asks.
    Request {
        /// Who asks; the reply carries the same number.
        client: ClientId,
        /// What it asks.
        request: R::Request,
    },
    /// All writes up to and including the `n`-th of this life (counted from 1 over [`Output::Persist`] and
    /// [`Output::Rewrite`]) are durable.
    Persisted(u64),
}

/// What a replica wants done. See the module's text for the order.
#[derive(Clone, Debug)]
pub enum Output<R: Replica> {
    /// Send a message to a peer. It may be lost.
    Send {
        /// The receiver, never the replica itself.
        to: NodeId,
        /// What to say.
        message: R::Message,
    },
    /// Answer a client. A client that has gone is ignored.
    Reply {
        /// Who asked.
        client: ClientId,
        /// The answer.
        reply: R::Reply,
    },
    /// Append records to the write-ahead log.
    Persist(Vec<R::Record>),
    /// Replace the whole write-ahead log by these records, atomically: compaction.
    Rewrite(Vec<R::Record>),
    /// Something worth an entry in the node's log and a look from an invariant.
    Event(Event),
}

/// What a replica reports of itself, in terms that every protocol shares. The simulator's invariants read these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It leads this term or epoch, established: at most one node may ever say so for one epoch.
    Leading {
        /// Raft's term, ZAB's epoch.
        epoch: u64,
    },
    /// It follows (or observes) that leader.
    Following {
        /// Raft's term, ZAB's epoch.
        epoch: u64,
        /// Whom it follows.
        leader: NodeId,
    },
    /// It knows no leader.
    Looking,
    /// Its state machine is now that of a snapshot, its own of a former life or another node's, which ends with
    /// this position; the next entry it applies is the one after it. A life that reports none begins empty.
    Restored {
        /// Raft's log index, ZAB's zxid.
        position: u64,
    },
    /// It applied the committed entry at this position to its state machine. Two nodes that apply the same
    /// position must report the same digest, and one life applies positions in increasing order, leaving out
    /// none that another node applies.
    Applied {
        /// Raft's log index, ZAB's zxid.
        position: u64,
        /// A digest of the entry (not of the whole state).
        digest: u64,
    },
    /// It came to this point of its protocol, where a nemesis may have wanted it halted.
    Reached(Point),
}

/// A protocol's state machine.
pub trait Replica: Sized + Debug + Send + 'static {
    /// Who it is, who its peers are, its timeouts, its seed, its planted bugs.
    type Config: Clone + Debug + Send;
    /// What its write-ahead log is made of.
    type Record: Clone + Debug + Send + Serialize + DeserializeOwned + 'static;
    /// What it says to its peers.
    type Message: Clone + Debug + Send + Serialize + DeserializeOwned + 'static;
    /// What clients ask.
    type Request: Clone + Debug + Send + 'static;
    /// What clients are told.
    type Reply: Clone + Debug + Send + 'static;

    /// A replica that starts with the durable records of its former lives, oldest first; none on its first start.
    fn recover(config: Self::Config, now: Time, records: Vec<Self::Record>) -> Self;

    /// One step. Outputs are pushed to the end of `out`.
    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Vec<Output<Self>>);

    /// When it wants the next [`Input::Tick`] at the latest.
    fn wake(&self) -> Time;

    /// The invariants that one replica can see of itself; drivers assert them after each step.
    ///
    /// # Errors
    /// The sentence says which invariant is broken and by what.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}
