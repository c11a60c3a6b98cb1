//! What a member of the cluster is at a moment.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Index;
use super::read_index::Reads;
use super::replication::Progress;
use crate::replica::{NodeId, Time};

/// What a member of the cluster is at a moment (§5.1; the pre-candidate is from the dissertation's §9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It hears a leader, or waits for one.
    Follower,
    /// It asks whether it could win an election, and has not raised its term yet.
    PreCandidate,
    /// It stands for election in its term.
    Candidate,
    /// It leads its term.
    Leader,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Role::Follower => "follower",
            Role::PreCandidate => "pre-candidate",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
        })
    }
}

/// A role with what only that role has to remember.
#[derive(Debug)]
pub(crate) enum State {
    Follower,
    /// Who would vote for it, itself included.
    PreCandidate(BTreeSet<NodeId>),
    /// Who voted for it, itself included.
    Candidate(BTreeSet<NodeId>),
    Leader(Leading),
}

impl State {
    pub(crate) fn role(&self) -> Role {
        match self {
            State::Follower => Role::Follower,
            State::PreCandidate(_) => Role::PreCandidate,
            State::Candidate(_) => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }
}

/// What a leader has to remember.
#[derive(Debug)]
pub(crate) struct Leading {
    /// The entry with which its term begins. Until it is committed the leader does not know what is (§6.4).
    pub(crate) first: Index,
    pub(crate) followers: BTreeMap<NodeId, Progress>,
    /// Proposals that wait for the disk: they go into the log together when the write before is durable.
    pub(crate) proposals: Vec<Bytes>,
    pub(crate) heartbeat_at: Time,
    pub(crate) reads: Reads,
}
