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
    /// How much of the log is replaced at once.
    pub when: Due,
    /// How many of the replaced entries stay in memory, for followers that are only a little behind.
    pub keep_entries: u64,
}

/// How much of a log has to be there before the state replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It holds more encoded bytes than this, and more than the state itself takes: so the cost for each entry stays
    /// the same however large the state is.
    Bytes(usize),
    /// So many entries were applied since the last snapshot.
    Entries(u64),
}

impl Compaction {
    /// After so many applied entries. Few of them are kept, so that snapshots are sent as well as taken.
    #[must_use]
    pub fn every(entries: u64) -> Self {
        Compaction { when: Due::Entries(entries), keep_entries: (entries / 10).min(Self::KEEP) }
    }

    const KEEP: u64 = 1024;
}

impl Default for Compaction {
    /// A restart replays some tens of thousands of small entries at most: well under a second.
    fn default() -> Self {
        Compaction { when: Due::Bytes(8 << 20), keep_entries: Self::KEEP }
    }
}
