//! A session: one connection, which is dropped at the first doubt, and the time that an operation may take on it.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout, timeout_at};

use super::adapter::Conversation;
use super::stop::Stop;
use super::{Effect, Role, Target};
use crate::operation::Outcome;

/// A protocol's connection with one node.
#[async_trait]
pub(crate) trait Connection: Send + Sync + Sized + 'static {
    /// Why an operation did not get its answer; the protocol's table says what that means.
    type Stop: Into<Outcome> + Send;

    /// Connects to that node, and to no other. It is the caller who sees to the time.
    async fn open(target: &Target) -> Result<Self, String>;

    /// Whether there is no doubt about it.
    fn is_well(&self) -> bool;

    /// Says goodbye, where the protocol has a word for it.
    async fn close(self, _patience: Duration) {}

    /// Asks a node for its role.
    async fn role(target: &Target) -> Result<Role, String>;
}

/// A connection while there is no doubt about it, with a deadline for each operation.
pub(crate) struct Session<C> {
    connection: Option<C>,
    target: Target,
    deadline: Instant,
}

#[async_trait]
impl<C: Connection> Conversation for Session<C> {
    type Stop = C::Stop;

    async fn open(target: &Target) -> Result<Session<C>, String> {
        let connection =
            timeout(target.timeout, C::open(target)).await.unwrap_or_else(|_| Err("connect-timeout".to_owned()))?;
        Ok(Session { connection: Some(connection), target: target.clone(), deadline: Instant::now() + target.timeout })
    }

    fn begin(&mut self) {
        self.deadline = Instant::now() + self.target.timeout;
    }

    fn alive(&self) -> bool {
        self.connection.as_ref().is_some_and(C::is_well)
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close(self.target.timeout).await;
        }
    }

    async fn role(target: &Target) -> Result<Role, String> {
        C::role(target).await
    }
}

impl<C: Connection> Session<C> {
    /// Whom it is with, and how patient it is.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// When the current operation's time is up.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The connection; none from the moment on at which it was in doubt.
    pub(super) fn live(&mut self) -> Option<&mut C> {
        if !self.alive() {
            self.connection = None;
        }
        self.connection.as_mut()
    }

    /// The connection on which a request is under way, in whatever doubt it may be by now.
    pub(super) fn under_way(&mut self) -> Option<&mut C> {
        self.connection.as_mut()
    }

    /// Drops the connection and everything that was still to be sent on it.
    pub(super) fn end(&mut self) {
        self.connection = None;
    }
}

impl<C: Connection<Stop = Stop>> Session<C> {
    /// Waits for the answer to a request until the operation's time is up.
    pub(super) async fn answer<T>(
        &mut self,
        effect: Effect,
        answer: impl Future<Output = Result<T, Stop>> + Send,
    ) -> Result<T, Stop> {
        let answered = timeout_at(self.deadline, answer).await;
        self.settled(answered.unwrap_or(Err(Stop::Deadline(effect))))
    }

    /// An answer that came or did not. After some stops the client can no longer be trusted to send nothing more.
    pub(super) fn settled<T>(&mut self, answered: Result<T, Stop>) -> Result<T, Stop> {
        if answered.as_ref().is_err_and(Stop::kills) {
            self.end();
        }
        answered
    }
}
