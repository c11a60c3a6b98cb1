//! What a replica of the key-value store is told at its start.

use std::time::Duration;

use crate::bugs::Bug;
use crate::raft;
use crate::replica::NodeId;

/// Who a replica is, whom it knows, how patient it is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its number.
    pub id: NodeId,
    /// The numbers of all members of the cluster, itself among them or not.
    pub peers: Vec<NodeId>,
    /// From which its random timeouts are drawn.
    pub seed: u64,
    /// How patient it is.
    pub timeouts: Timeouts,
    /// The planted bugs it has.
    pub bugs: Vec<Bug>,
    /// When the log is compacted.
    pub compaction: Compaction,
}

impl Config {
    /// A correct replica with the usual timeouts.
    #[must_use]
    pub fn new(id: NodeId, peers: Vec<NodeId>, seed: u64) -> Self {
        Config { id, peers, seed, timeouts: Timeouts::default(), bugs: Vec::new(), compaction: Compaction::default() }
    }
}

/// How patient a replica is.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The consensus' own.
    pub raft: raft::Timeouts,
    /// After this a client is told that its request timed out.
    pub request: Duration,
    /// The shortest life of a lease; shorter ones are lengthened to it. Whole seconds.
    pub lease_min: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { raft: raft::Timeouts::default(), request: Duration::from_secs(5), lease_min: Duration::from_secs(2) }
    }
}

/// When the log is replaced by the state.
#[derive(Clone, Copy, Debug)]
pub struct Compaction {
    /// When it holds more encoded bytes than this, and more than the state itself takes.
    pub bytes: usize,
    /// How many of the replaced entries stay in memory, for followers that are only a little behind.
    pub keep_entries: u64,
}

impl Default for Compaction {
    /// A restart replays some tens of thousands of small entries at most: well under a second.
    fn default() -> Self {
        Compaction { bytes: 8 << 20, keep_entries: 1024 }
    }
}
