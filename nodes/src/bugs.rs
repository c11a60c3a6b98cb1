//! Planted bugs: named, off by default, switched on by `--bug NAME`. They test the tester.

use serde::{Deserialize, Serialize};

/// A defect that a replica can be started with. Each is modelled on a real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Bug {
    /// A leader answers linearizable reads without asking a quorum whether it still leads. The second line of defence
    /// is off too: that a leader which hears no quorum gives up.
    RaftStaleRead,
    /// Entries are acknowledged, counted and answered before they are durable (etcd issue 14143). A power loss of a
    /// majority takes them back.
    RaftNoFsync,
    /// The vote is missing in the hard state (Raft paper, Fig. 2: votedFor is to be persistent). A member that voted
    /// and was restarted votes again in the same term, and the term has two leaders.
    RaftVoteLost,
    /// A leader commits entries of former terms by counting replicas (Raft paper, §5.4.2 and Fig. 8). A later leader
    /// without them overwrites what was answered. The second line of defence is off too: the empty entry with which a
    /// term begins, and which former entries are committed with.
    RaftCommitOldTerm,
    /// A read that is asked while a round of leadership proofs is under way takes that round's number, so that an
    /// acknowledgement of something said before the read was asked counts for it (etcd issue 20418). One that comes
    /// late to a leader which was paused or cut off proves it leader when it no longer is. The second line of defence
    /// is off too: that a leader which hears no quorum gives up.
    RaftReadidReuse,
    /// The index of what is applied is saved before the entry is in the state (etcd issue 13766): a snapshot claims
    /// one entry more than it holds. Who starts from it, or is sent it, lacks that entry for ever.
    KvIndexEarly,
    /// A leader that was paused until leases were over by its clock ends them when it is back, through the new leader
    /// that has kept them alive meanwhile (etcd issues 12528, 15247).
    LeaseOldLeader,
    /// A new leader does not start leases anew but counts on from their grants (etcd's lessor promoted without
    /// extension). Keep-alives are known to the leader alone, so it ends what its predecessor has kept alive.
    LeaseNoExtend,
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
    /// A server takes a client that has seen more than the server itself (the check of `lastZxidSeen`, which ClickHouse
    /// Keeper lacked until its pull request 90016). A session that goes to a server which is behind reads backwards.
    /// The second line of defence is off too: that the leader, asked for the session, answers in order behind its
    /// commits. It is still asked, but not waited for.
    ZabStaleConnect,
}

impl Bug {
    /// The protocol whose replica can bear it, by the name that `grudge node` uses.
    #[must_use]
    pub fn protocol(self) -> &'static str {
        match self {
            Bug::RaftStaleRead
            | Bug::RaftNoFsync
            | Bug::RaftVoteLost
            | Bug::RaftCommitOldTerm
            | Bug::RaftReadidReuse
            | Bug::KvIndexEarly
            | Bug::LeaseOldLeader
            | Bug::LeaseNoExtend => "raft",
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
