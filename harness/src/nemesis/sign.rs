//! Signs: what can be seen of a node from outside, for a fault to wait for.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::spec::kebab;

/// What is waited for, at which node, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// What is seen.
    pub what: Seen,
    /// At which node; at any of them if absent.
    pub node: Option<String>,
    /// The how-manieth time, from 1, counted from when it is waited for, over all nodes if it is for any.
    pub nth: u64,
}

/// What can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It writes a line with this text into its log.
    Log(String),
    /// It becomes what it was not before, as it says when it is asked.
    Role(Role),
}

/// What a member of a cluster can become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It leads.
    Leader,
    /// It serves under a leader.
    Follower,
    /// It knows no leader and does not serve.
    Looking,
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "when {} ", self.node.as_deref().unwrap_or("any node"))?;
        match &self.what {
            Seen::Log(text) => write!(f, "logs `{text}`")?,
            Seen::Role(role) => write!(f, "becomes {}", kebab(role))?,
        }
        if self.nth == 1 { Ok(()) } else { write!(f, " for time {}", self.nth) }
    }
}
