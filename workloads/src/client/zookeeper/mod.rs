//! The ZooKeeper protocol, over the crate `zookeeper-client`.
//!
//! # What is promised
//!
//! A client is one session on one connection to one node. When the connection breaks, when the session ends, or when a
//! call outlives its deadline, the client is dead: its background task is aborted, its socket closed, and whatever
//! that task still had to send is dropped with it. So each request is sent at most once, and never after its
//! operation was given up.
//!
//! # How
//!
//! The library keeps a session alive over reconnects, and a request that is queued while it is disconnected is sent
//! after the reconnect, even when its caller has long gone; dropping the library's client does not stop that (it
//! first works off its queue, to close the session politely). Therefore the library is made to spawn its task through
//! [`Session`], which can abort it.
//!
//! The library also panics over some answers that are too short. That happens where an answer is awaited, in this
//! code's task, and each such place goes through [`contain`](super::contain): such an answer is a bad reply like any
//! other.
//!
//! # What is left out
//!
//! A list of children that claims to have hundreds of millions makes the library reserve the memory for them at once;
//! if the machine refuses, the process aborts.
//!
//! A session is not carried over to another connection. It is left to expire, as that of a crashed client is.

mod lock;
mod outcome;
mod register;
mod role;
mod session;

use async_trait::async_trait;

use super::{Client, Connect, Role, Target};
use crate::operation::{Invocation, Outcome};

pub(crate) use lock::Lock;
pub(crate) use register::Register;
use session::Session;

/// What a workload's operations mean in this protocol.
#[async_trait]
pub(crate) trait Calls: Clone + Send + Sync + 'static {
    /// Makes the call. Every request goes through the session's steps.
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Outcome;
}

/// Makes clients of the ZooKeeper protocol, each with a fresh copy of `C`.
pub(crate) struct ZooKeeper<C> {
    calls: C,
}

impl<C: Calls> ZooKeeper<C> {
    /// Clients with these calls.
    pub(crate) fn new(calls: C) -> Self {
        ZooKeeper { calls }
    }
}

#[async_trait]
impl<C: Calls> Connect for ZooKeeper<C> {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Client>, String> {
        let session = Session::open(target).await?;
        Ok(Box::new(ZooKeeperClient { session, calls: self.calls.clone() }))
    }

    async fn role(&self, target: &Target) -> Result<Role, String> {
        role::ask(target).await
    }
}

struct ZooKeeperClient<C> {
    session: Session,
    calls: C,
}

#[async_trait]
impl<C: Calls> Client for ZooKeeperClient<C> {
    async fn invoke(&mut self, invocation: &Invocation) -> Outcome {
        self.session.begin();
        self.calls.call(&mut self.session, invocation).await
    }

    fn alive(&self) -> bool {
        self.session.alive()
    }

    async fn close(&mut self) {
        self.session.close().await;
    }
}
