//! Named points in the protocols at which a fault is worth most.
//!
//! A replica reports that it came to one with [`Event::Reached`](crate::replica::Event::Reached), pushed into the
//! ordered outputs like anything else. A nemesis may *arm* a point: then the driver halts the replica there, and
//! nothing that was pushed after it happens, no write either, until the replica goes on or dies. Windows of
//! microseconds are hit by this and not by luck. A point that nobody armed costs nothing.

use serde::{Deserialize, Serialize};

use crate::command::Protocol;

/// A point in a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// A Raft member's vote for another is durable; the candidate does not know yet.
    RaftVoted,
    /// A Raft member has won an election and has not told anybody yet.
    RaftElected,
    /// A Raft leader has committed and applied what it took over, and whoever waited for it was answered.
    RaftEstablished,
    /// A Raft member has replaced its log by a snapshot of its own state, durably.
    RaftSnapshotTaken,
    /// A Raft follower has replaced its log by its leader's snapshot, durably; the leader does not know yet.
    RaftSnapshotInstalled,
    /// The leader of a key-value store finds that a lease is over, and has not proposed its end yet.
    LeaseOver,
    /// A ZAB peer's accepted epoch is durable: a follower has not sent its promise (ACKEPOCH) yet, a leader no
    /// invitation (LEADERINFO).
    ZabEpochAccepted,
    /// A ZAB leader has the promises of a quorum, and its current epoch is durable. It sends its history next.
    ZabPromised,
    /// A ZAB follower has cut its log back to what it shares with its leader's.
    ZabTruncated,
    /// A ZAB follower has taken over the state of a SNAP.
    ZabSnapInstalled,
    /// A ZAB follower's current epoch is durable; it has not acknowledged NEWLEADER yet.
    ZabEpochCurrent,
    /// A ZAB follower has acknowledged NEWLEADER.
    ZabNewleaderAcked,
    /// A ZAB peer leads an established epoch and serves from now on; it has not told its followers yet.
    ZabEstablished,
    /// A ZAB follower is in step with an established leader and serves from now on.
    ZabInStep,
    /// A ZAB peer has replaced the beginning of its log by a snapshot of its own state.
    ZabSnapshotTaken,
}

impl Point {
    /// The protocol in which it lies.
    #[must_use]
    pub fn protocol(self) -> Protocol {
        match self {
            Point::RaftVoted
            | Point::RaftElected
            | Point::RaftEstablished
            | Point::RaftSnapshotTaken
            | Point::RaftSnapshotInstalled
            | Point::LeaseOver => Protocol::Raft,
            Point::ZabEpochAccepted
            | Point::ZabPromised
            | Point::ZabTruncated
            | Point::ZabSnapInstalled
            | Point::ZabEpochCurrent
            | Point::ZabNewleaderAcked
            | Point::ZabEstablished
            | Point::ZabInStep
            | Point::ZabSnapshotTaken => Protocol::Zab,
        }
    }
}
