//! What peers say to each other.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Zxid;
use crate::replica::NodeId;

/// A number that a peer uses once in all its lives: the life's number, then a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Nonce {
    /// Which life of the peer.
    pub life: u64,
    /// Which use in that life.
    pub count: u64,
}

/// A message between peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Leader election.
    Notification(Notification),
    /// Something on the link between a follower and its leader.
    Frame(Frame),
}

/// A vote for a leader. Votes are ordered by epoch, then zxid, then id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vote {
    /// The candidate's current epoch.
    pub epoch: u32,
    /// The candidate's last logged transaction.
    pub zxid: Zxid,
    /// The candidate.
    pub leader: NodeId,
}

/// What the sender of a notification is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Looking for a leader.
    Looking,
    /// Following the leader it names.
    Following,
    /// Leading.
    Leading,
}

/// A word in a leader election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Orders the notifications of one sender.
    pub nonce: Nonce,
    /// The sender's election round.
    pub round: u64,
    /// What the sender is doing.
    pub standing: Standing,
    /// The sender's vote, or what it settled on.
    pub vote: Vote,
}

/// One datagram on a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// The follower's number for the link.
    pub follower: Nonce,
    /// The leader's number for it; unknown to the follower until the leader has answered.
    pub leader: Option<Nonce>,
    /// Which way it goes. Both ends may hold a link to each other while they disagree on who leads.
    pub direction: Direction,
    /// All packets below this number have arrived at the sender of this frame.
    pub received: u64,
    /// What it carries.
    pub body: Body,
}

/// Which end of a link sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From the follower.
    ToLeader,
    /// From the leader.
    ToFollower,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// The `number`-th packet from this end, counted from 0; repeated until it is known to have arrived.
    Packet {
        /// Its place in the order.
        number: u64,
        /// The packet.
        packet: Packet,
    },
    /// A sign of life outside the order. The follower sends the leader's last `beat` back.
    Ping {
        /// The leader's count of its heartbeats.
        beat: u64,
    },
    /// The sender does not know this link, or is done with it.
    Close,
}

/// What travels in order on a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Packet {
    /// Follower: I would follow you (FOLLOWERINFO).
    FollowerInfo {
        /// The highest epoch it has promised to.
        accepted_epoch: u32,
    },
    /// Leader: this is the new epoch (LEADERINFO).
    LeaderInfo {
        /// The epoch.
        epoch: u32,
    },
    /// Follower: I promise to obey no older epoch (ACKEPOCH).
    AckEpoch {
        /// False when it had already promised to this epoch: a promise counts once.
        counts: bool,
        /// Its current epoch.
        current_epoch: u32,
        /// Its history.
        summary: Summary,
    },
    /// Leader: discard all above this transaction (TRUNC).
    Trunc {
        /// The last one that stays.
        zxid: Zxid,
    },
    /// Leader: forget your state and log, here is a state (SNAP).
    Snap {
        /// The last transaction in it.
        zxid: Zxid,
        /// The state.
        state: Bytes,
    },
    /// Leader: transactions that you lack, in order (DIFF).
    Diff {
        /// The transactions.
        txns: Vec<Txn>,
    },
    /// Leader: that is my history (NEWLEADER).
    NewLeader {
        /// The epoch.
        epoch: u32,
    },
    /// Follower: I hold your history, durably (the ACK of NEWLEADER).
    AckNewLeader,
    /// Leader: a quorum holds my history: all up to this transaction is committed, serve (UPTODATE).
    UpToDate {
        /// The last committed transaction.
        committed: Zxid,
    },
    /// Leader: the next transaction (PROPOSAL).
    Proposal(Txn),
    /// Follower: it is in my log, durably, and all before it (ACK).
    Ack {
        /// Which.
        zxid: Zxid,
    },
    /// Leader: a quorum has it (COMMIT).
    Commit {
        /// Which.
        zxid: Zxid,
    },
    /// Either: something of the state machine on top (REQUEST, REVALIDATE, SYNC and their like).
    App(Bytes),
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Txn {
    /// Its place.
    pub zxid: Zxid,
    /// What it does.
    pub payload: Bytes,
}

/// Which transactions a log holds. Each epoch's are numbered without gaps, so its last one says it all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The log begins behind this transaction, which is the last one of its snapshot.
    pub base: Zxid,
    /// The last transaction of each epoch in the log, in order; `base` included.
    pub ends: Vec<Zxid>,
}
