//! The client's side of a call.

mod adapter;
mod contain;
mod effect;
pub(crate) mod etcd;
pub mod http;
mod leader;
mod membership;
mod names;
pub(crate) mod redis;
mod session;
mod stop;
mod tasks;
mod work;
pub(crate) mod zookeeper;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::operation::{Invocation, Outcome};

pub(crate) use adapter::{Adapter, Calls};
pub use contain::panic_is_contained;
pub use effect::Effect;
pub use leader::{Asks, Leader};
pub use membership::{Member, Membership};
pub use names::{halves, numbers};
pub(crate) use work::work;

/// Where a client connects, and how patient it is.
#[derive(Clone, Debug)]
pub struct Target {
    /// The node's name, as the history shows it.
    pub node: String,
    /// The address of its client port. A client talks to this one node and to no other, unless its workload is about
    /// clients that move.
    pub address: SocketAddr,
    /// All nodes, this one included, always in the same order: where a client that moves can go.
    pub cluster: Arc<[Peer]>,
    /// After this long a call is given up and its outcome is unknown.
    pub timeout: Duration,
    /// The session's or lease's time to live where the protocol has one.
    pub ttl: Duration,
}

/// A node as a client that moves knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name, as the history shows it.
    pub node: String,
    /// The address of its client port.
    pub address: SocketAddr,
}

/// A single-threaded client of one node.
///
/// A client makes each call at most once: it never retries inside an operation. That would fold two attempts into
/// one and make the history lie.
#[async_trait]
pub trait Client: Send {
    /// Makes the call. A client that is not alive any more answers [`Outcome::Fail`], having sent nothing. Every way
    /// in which the *system* can disappoint is an [`Outcome`]; a call that outlives its target's timeout ends as
    /// [`Outcome::Info`].
    async fn invoke(&mut self, invocation: &Invocation) -> Outcome;

    /// Whether another call may be made. A client whose connection or session is gone says no: the runner asks for a
    /// new one, and if no outcome was unknown, its process goes on under the same number.
    fn alive(&self) -> bool;

    /// Says goodbye politely: closes the session, revokes the lease. Bounded by the target's timeout.
    async fn close(&mut self);
}

/// What a node says of itself when asked over its client port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It leads.
    Leader,
    /// It serves under a leader.
    Follower,
    /// It knows no leader and does not serve.
    Looking,
    /// It serves, and nobody knows how to ask it who leads.
    Equal,
}

/// Which reads a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// A read sees every write that was acknowledged before it began.
    Linearizable,
    /// A read is served by the node that is asked, from what it has.
    Local,
}

/// Makes clients. The runner asks for a new one at the start, after each unknown outcome, and when a client
/// is no longer [alive](Client::alive).
#[async_trait]
pub trait Connect: Send + Sync {
    /// A fresh client of that node.
    ///
    /// # Errors
    /// The node could not be reached now: a short token. The runner tries again with the worker's next operation,
    /// which it records as failed, since nothing was sent.
    async fn connect(&self, target: &Target) -> Result<Box<dyn Client>, String>;

    /// Asks a node for its role: how the harness learns who leads and when the cluster serves.
    ///
    /// # Errors
    /// The node did not answer in time: a short token.
    async fn role(&self, target: &Target) -> Result<Role, String>;

    /// Whether its clients know what such an operation of their workload is.
    fn can(&self, _f: &str) -> bool {
        true
    }
}
