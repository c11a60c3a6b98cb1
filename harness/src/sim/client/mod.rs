//! Clients in simulated time: what `grudge_workloads::client` does over sockets, over the replicas' own types.
//!
//! They use the same keys and paths, the same requests in the same order, and the same table of outcomes: what was
//! never sent, or was refused, is `fail`; what was lost or timed out after it was sent is `info`; a client whose
//! connection is gone is replaced.
//!
//! # Adding a workload
//!
//! One file a workload and protocol, with a type that implements [`raft::Calls`] or [`zab::Calls`], and a line in the
//! `hire` of its protocol.

mod port;
pub(crate) mod raft;
#[cfg(test)]
mod tests;
pub(crate) mod zab;

use std::time::Duration;

pub(crate) use grudge_workloads::client::Effect;

pub(crate) use port::{Client, Heard, Line, Order, Place, Port, Task};

/// How long clients wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// After this long a call is given up and its outcome is unknown.
    pub(crate) timeout: Duration,
    /// The session's or lease's time to live.
    pub(crate) ttl: Duration,
}

/// How a client lives that connects through this port.
pub(crate) type Life<R> = fn(Port<R>, Patience) -> Task;
