//! One session on one connection, which dies at the first doubt.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout, timeout_at};
use zookeeper_client::{Client, Error, SessionState, StateWatcher};

use super::outcome::{BAD_REPLY, Stop, token};
use super::role;
use crate::client::Effect;
use crate::client::contain::{Panicked, contain};
use crate::client::session::{self, Connection};
use crate::client::tasks::Tasks;
use crate::client::{Role, Target};

/// A session of ours with a server.
pub(crate) type Session = session::Session<Watched>;

/// A session of the protocol's. Its connection is watched during each step: a session that has lost it never sends again.
pub(crate) struct Watched {
    client: Client,
    state: StateWatcher,
    /// Declared after the client and dropped with it: nothing in the library's queue is sent any more.
    tasks: Tasks,
}

#[async_trait]
impl Connection for Watched {
    type Stop = Stop;

    async fn open(target: &Target) -> Result<Watched, String> {
        let tasks = Tasks::default();
        let connector = Client::connector().with_session_timeout(target.ttl).with_fail_eagerly();
        let address = target.address.to_string();
        let client = match tasks.hold(contain(connector.connect(&address))).await {
            Ok(Ok(client)) => client,
            Ok(Err(Error::NoHosts | Error::ConnectionLoss)) => return Err("refused".to_owned()),
            Ok(Err(error)) => return Err(token(&error).to_owned()),
            Err(Panicked) => return Err(BAD_REPLY.to_owned()),
        };
        let state = client.state_watcher();
        Ok(Watched { client, state, tasks })
    }

    /// Whether the session is connected and has been so without a break since it was opened.
    fn is_well(&self) -> bool {
        let mut state = self.state.clone();
        let changed = pin!(state.changed()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        !changed && self.client.state() == SessionState::SyncConnected
    }

    /// Closes the session, so that its ephemeral nodes go at once.
    async fn close(self, patience: Duration) {
        let Watched { client, mut state, tasks } = self;
        drop(client);
        let closed = async { while !matches!(state.changed().await, SessionState::Closed | SessionState::Expired) {} };
        let _ = timeout(patience, closed).await;
        drop(tasks);
    }

    async fn role(target: &Target) -> Result<Role, String> {
        role::ask(target).await
    }
}

impl Session {
    /// The library's client, to make one request with. It sends when its method is called, not when the answer is
    /// awaited; so ask for it anew for each request, and hand the request to [`Session::step`] at once.
    pub(super) fn client(&mut self) -> Result<Client, Stop> {
        self.live().map(|watched| watched.client.clone()).ok_or(Stop::Unsent)
    }

    /// Waits for the answer to a request.
    pub(super) async fn step<T>(
        &mut self,
        effect: Effect,
        request: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Stop> {
        let deadline = self.deadline();
        let Some(watched) = self.under_way() else { return Err(Stop::Unsent) };
        let stop = tokio::select! {
            biased;
            answer = timeout_at(deadline, contain(request)) => match answer {
                Ok(Ok(Ok(value))) => return Ok(value),
                Ok(Ok(Err(error))) => Stop::Error(effect, error),
                Ok(Err(Panicked)) => Stop::BadReply(effect),
                Err(_) => Stop::Deadline(effect),
            },
            _ = watched.state.changed() => Stop::Lost(effect),
        };
        if stop.kills() {
            self.end();
        }
        Err(stop)
    }

    /// Waits for something that the server will tell without being asked, no longer than until `end`. Whether it
    /// came.
    pub(super) async fn wait(&mut self, end: Instant, event: impl Future + Send) -> Result<bool, Stop> {
        let Some(watched) = self.under_way() else { return Err(Stop::Unsent) };
        tokio::select! {
            biased;
            _ = watched.state.changed() => {
                self.end();
                Err(Stop::Lost(Effect::None))
            }
            came = timeout_at(end, contain(event)) => match came {
                Ok(Ok(_)) => Ok(true),
                Ok(Err(Panicked)) => {
                    self.end();
                    Err(Stop::BadReply(Effect::None))
                }
                Err(_) => Ok(false),
            },
        }
    }
}
