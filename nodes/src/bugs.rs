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
    /// A peer whose log is ahead of its leader's is sent an empty DIFF instead of a TRUNC (ZOOKEEPER-1154). It keeps
    /// what no quorum ever had, and delivers it.
    ZabSkipTrunc,
    /// A closeSession that is replayed from the log keeps the session's ephemeral nodes (ZOOKEEPER-1367, 2355, 3144).
    ZabEphemeralReplay,
    /// A follower acknowledges a proposal before it is durable (ZooKeeper's `forceSync=no`). A power loss of a
    /// majority loses what was answered.
    ZabAckBeforeFsync,
    /// A follower keeps a DIFF in memory until NEWLEADER comes, and then writes its current epoch before it logs the
    /// DIFF (ZOOKEEPER-4643, 4785). If it dies between the two, it comes back with a late epoch and an early log, wins
    /// elections against peers with more, and has them truncate what was committed.
    ZabEpochBeforeLog,
    /// A follower keeps a DIFF in memory until NEWLEADER comes, and then acknowledges NEWLEADER before the DIFF is
    /// durable (ZOOKEEPER-3911, 4646). The leader serves a history that only its own disk has; if it stays away, that
    /// is lost.
    ZabNewleaderAckEarly,
    /// A state that came with a SNAP is not written to the disk (ZOOKEEPER-3642, where it took a leader that dies
    /// before its NEWLEADER). What is logged later stands on nothing: after a restart the log has a hole.
    ZabSnapMemory,
    /// The accepted epoch is forgotten in a restart and guessed from the last transaction, as before ZAB 1.0
    /// (ZOOKEEPER-335). Two leaders get the same epoch, and two transactions the same zxid. The second line of defence,
    /// that a peer whose current epoch is above its accepted one refuses to run, is off too.
    ZabForgetAccepted,
    /// Transactions that a follower receives during synchronisation miss the log from which it, once it leads, sends
    /// others what they lack (ZOOKEEPER-4925). So a peer that was away for longer gets a hole. The second line of
    /// defence, that a follower refuses what does not follow its last transaction, is off too; Apache's only warns.
    ZabLogHole,
    /// A snapshot that is due at a multi is taken in the middle of it, and claims the multi's zxid (ZOOKEEPER-3127).
    /// Who starts from it never carries out the rest.
    ZabMultiZxid,
    /// A server takes a client that has seen more than it has itself: the check of `lastZxidSeen`, by which ZooKeeper
    /// keeps a session from reading backwards, is dropped. The second line of defence is off too: that the leader,
    /// asked for the session, answers in order behind its commits. It is still asked, but not waited for.
    ZabStaleConnect,
}

impl Bug {
    /// The protocol whose replica can bear it, by the name that `grudge node` uses.
    #[must_use]
    pub fn protocol(self) -> &'static str {
        match self {
            Bug::RaftStaleRead | Bug::RaftNoFsync => "raft",
            Bug::ZabSkipTrunc
            | Bug::ZabEphemeralReplay
            | Bug::ZabAckBeforeFsync
            | Bug::ZabEpochBeforeLog
            | Bug::ZabNewleaderAckEarly
            | Bug::ZabSnapMemory
            | Bug::ZabForgetAccepted
            | Bug::ZabLogHole
            | Bug::ZabMultiZxid
            | Bug::ZabStaleConnect => "zab",
        }
    }
}
