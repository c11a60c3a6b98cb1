//! Clients of the tree of znodes, as `grudge_workloads::client::zookeeper` has them.
//!
//! A client is one session on one connection. When the connection breaks or is silent for too long, when the session
//! ends, or when a call outlives its deadline, the client is dead; its session is left to expire.

mod lock;
mod multi;
mod nomad;
mod outcome;
mod register;
mod session;
mod set;

use grudge_nodes::znode::Replica;
use grudge_workloads::operation::{Invocation, Outcome};

use super::{Effect, Heard, Life, Line, Patience, Port, Task};
use lock::Lock;
use multi::Multi;
use outcome::Stop;
use register::{Reads, Register};
pub(crate) use session::Session;
use set::Set;

/// How the clients of that workload live, if there are any.
pub(crate) fn hire(workload: &str) -> Option<Life<Replica>> {
    Some(match workload {
        "register" => |port, patience| live(port, patience, Register::new(Reads::Linearizable)),
        "register-local" | "register-unsynced" => |port, patience| live(port, patience, Register::new(Reads::Local)),
        "lock" => |port, patience| live(port, patience, Lock::default()),
        "set" => |port, patience| live(port, patience, Set),
        "multi" => |port, patience| live(port, patience, Multi),
        "session" => |port, patience| Box::pin(nomad::live(port, patience)),
        _ => return None,
    })
}

/// What a workload's operations mean in this protocol.
pub(crate) trait Calls: 'static {
    /// Makes the call. Every request goes through the session's steps.
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop>;
}

fn live(port: Port<Replica>, patience: Patience, mut calls: impl Calls) -> Task {
    Box::pin(async move {
        let mut invocation = port.call().await;
        let mut session = match Session::open(&port, patience).await {
            Ok(session) => session,
            Err(token) => {
                // Nothing was sent, so nothing happened.
                port.die();
                return port.complete(Outcome::fail(token), false);
            }
        };
        loop {
            session.begin();
            let outcome = calls.call(&mut session, &invocation).await.unwrap_or_else(Outcome::from);
            let reached = port.alive() || !matches!(outcome, Outcome::Fail { .. });
            port.complete(outcome, reached);
            invocation = port.call().await;
        }
    })
}
