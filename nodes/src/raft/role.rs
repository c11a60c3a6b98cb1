//! What a member of the cluster is at a moment.

use serde::{Deserialize, Serialize};

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
