//! The etcd v3 protocol, over clients generated from the API's description.
//!
//! # What is promised
//!
//! A client is one HTTP/2 connection to one node. There is no channel that reconnects or balances and nothing that
//! retries: a [`link::Link`] hands each request to its connection once, and knows whether the connection took it. When
//! the connection breaks, or a call outlives its deadline, the client is dead and its connection's task is aborted.
//!
//! # Leases
//!
//! A client that locks has one lease, granted at its first acquisition and renewed in the background three times in
//! its life. A dead client's lease is left to expire.

mod link;
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

#[allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/etcd.rs"));
}
use proto::etcdserverpb as pb;

/// What a workload's operations mean in this protocol.
#[async_trait]
pub(crate) trait Calls: Clone + Send + Sync + 'static {
    /// Makes the call. Every request goes through the session's steps.
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Outcome;

    /// Gives back what the server keeps for this client.
    async fn close(&mut self, _session: &mut Session) {}
}

/// Makes clients of the etcd protocol, each with a fresh copy of `C`.
pub(crate) struct Etcd<C> {
    calls: C,
}

impl<C: Calls> Etcd<C> {
    /// Clients with these calls.
    pub(crate) fn new(calls: C) -> Self {
        Etcd { calls }
    }
}

#[async_trait]
impl<C: Calls> Connect for Etcd<C> {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Client>, String> {
        let session = Session::open(target).await?;
        Ok(Box::new(EtcdClient { session, calls: self.calls.clone() }))
    }

    async fn role(&self, target: &Target) -> Result<Role, String> {
        role::ask(target).await
    }
}

struct EtcdClient<C> {
    session: Session,
    calls: C,
}

#[async_trait]
impl<C: Calls> Client for EtcdClient<C> {
    async fn invoke(&mut self, invocation: &Invocation) -> Outcome {
        self.session.begin();
        self.calls.call(&mut self.session, invocation).await
    }

    fn alive(&self) -> bool {
        self.session.alive()
    }

    async fn close(&mut self) {
        self.session.begin();
        self.calls.close(&mut self.session).await;
        self.session.end();
    }
}
