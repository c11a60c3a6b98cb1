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
    /// A Raft member has won an election and has not told anybody yet.
    RaftElected,
    /// A ZAB peer leads an established epoch and serves from now on.
    ZabEstablished,
}

impl Point {
    /// The protocol in which it lies.
    #[must_use]
    pub fn protocol(self) -> Protocol {
        match self {
            Point::RaftElected => Protocol::Raft,
            Point::ZabEstablished => Protocol::Zab,
        }
    }
}
