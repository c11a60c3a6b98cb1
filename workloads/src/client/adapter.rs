//! What all protocols have in common: a session, calls over it, and how both become a client.

use std::marker::PhantomData;

use async_trait::async_trait;

use super::{Client, Connect, Role, Target};
use crate::operation::{Invocation, Outcome};

/// A protocol's conversation with one node, which dies at the first doubt.
#[async_trait]
pub(crate) trait Conversation: Send + Sync + Sized + 'static {
    /// Why an operation did not get its answer; the protocol's table says what that means.
    type Stop: Into<Outcome> + Send;

    /// Connects to that node, and to no other.
    async fn open(target: &Target) -> Result<Self, String>;

    /// A new operation begins, and with it its time.
    fn begin(&mut self);

    /// Whether another operation may be made.
    fn alive(&self) -> bool;

    /// Says goodbye and ends.
    async fn close(&mut self);

    /// Asks a node for its role.
    async fn role(target: &Target) -> Result<Role, String>;
}

/// What a workload's operations mean in a protocol.
#[async_trait]
pub(crate) trait Calls<S: Conversation>: Clone + Send + Sync + 'static {
    /// Makes the call. Every request goes through the session's steps.
    async fn call(&mut self, session: &mut S, invocation: &Invocation) -> Result<Outcome, S::Stop>;

    /// Gives back what the server keeps for this client.
    async fn close(&mut self, _session: &mut S) {}
}

/// Makes clients, each with a session and a fresh copy of `C`.
pub(crate) struct Adapter<S, C> {
    calls: C,
    session: PhantomData<fn() -> S>,
}

impl<S: Conversation, C: Calls<S>> Adapter<S, C> {
    /// Clients with these calls.
    pub(crate) fn new(calls: C) -> Self {
        Adapter { calls, session: PhantomData }
    }
}

#[async_trait]
impl<S: Conversation, C: Calls<S>> Connect for Adapter<S, C> {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Client>, String> {
        let session = S::open(target).await?;
        Ok(Box::new(Adapted { session, calls: self.calls.clone() }))
    }

    async fn role(&self, target: &Target) -> Result<Role, String> {
        S::role(target).await
    }
}

struct Adapted<S, C> {
    session: S,
    calls: C,
}

#[async_trait]
impl<S: Conversation, C: Calls<S>> Client for Adapted<S, C> {
    async fn invoke(&mut self, invocation: &Invocation) -> Outcome {
        self.session.begin();
        self.calls.call(&mut self.session, invocation).await.unwrap_or_else(Into::into)
    }

    fn alive(&self) -> bool {
        self.session.alive()
    }

    async fn close(&mut self) {
        self.session.begin();
        self.calls.close(&mut self.session).await;
        self.session.close().await;
    }
}
