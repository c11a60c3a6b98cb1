//! Planted bugs: named, off by default, switched on by `--bug NAME`. They test the tester.

use serde::{Deserialize, Serialize};

/// A defect that a replica can be started with. Each is modelled on a real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Bug {
    /// A leader answers linearizable reads without asking a quorum whether it still leads.
    RaftStaleRead,
    /// Entries are acknowledged, counted and answered before they are durable (etcd issue 14143).
    RaftNoFsync,
    /// A peer whose log is ahead of its leader's is sent an empty DIFF instead of a TRUNC (ZOOKEEPER-1154).
    ZabSkipTrunc,
    /// A closeSession that is replayed from the log keeps the session's ephemeral nodes (ZOOKEEPER-1367, 2355, 3144).
    ZabEphemeralReplay,
    /// A follower acknowledges a proposal before it is durable (ZooKeeper's `forceSync=no`).
    ZabAckBeforeFsync,
}

impl Bug {
    /// The protocol whose replica can bear it, by the name that `grudge node` uses.
    #[must_use]
    pub fn protocol(self) -> &'static str {
        match self {
            Bug::RaftStaleRead | Bug::RaftNoFsync => "raft",
            Bug::ZabSkipTrunc | Bug::ZabEphemeralReplay | Bug::ZabAckBeforeFsync => "zab",
        }
    }
}
