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
use crate::client::adapter::Conversation;
use crate::client::contain::{Panicked, contain};
use crate::client::tasks::Tasks;
use crate::client::{Role, Target};

/// A session. Its connection is watched during each step: a session that has lost it never sends again.
pub(crate) struct Session {
    live: Option<Live>,
    timeout: Duration,
    deadline: Instant,
}

struct Live {
    client: Client,
    state: StateWatcher,
    /// Declared after the client and dropped with it: nothing in the library's queue is sent any more.
    tasks: Tasks,
}

#[async_trait]
impl Conversation for Session {
    type Stop = Stop;

    async fn open(target: &Target) -> Result<Session, String> {
        let tasks = Tasks::default();
        let connector = Client::connector().with_session_timeout(target.ttl).with_fail_eagerly();
        let address = target.address.to_string();
        let opened = timeout(target.timeout, tasks.hold(contain(connector.connect(&address)))).await;
        let client = match opened {
            Ok(Ok(Ok(client))) => client,
            Ok(Ok(Err(Error::NoHosts | Error::ConnectionLoss))) => return Err("refused".to_owned()),
            Ok(Ok(Err(error))) => return Err(token(&error).to_owned()),
            Ok(Err(Panicked)) => return Err(BAD_REPLY.to_owned()),
            Err(_) => return Err("connect-timeout".to_owned()),
        };
        let state = client.state_watcher();
        let deadline = Instant::now() + target.timeout;
        Ok(Session { live: Some(Live { client, state, tasks }), timeout: target.timeout, deadline })
    }

    fn begin(&mut self) {
        self.deadline = Instant::now() + self.timeout;
    }

    fn alive(&self) -> bool {
        self.live.as_ref().is_some_and(Live::undisturbed)
    }

    /// Closes the session, so that its ephemeral nodes go at once.
    async fn close(&mut self) {
        let Some(Live { client, mut state, tasks }) = self.live.take() else { return };
        drop(client);
        let closed = async { while !matches!(state.changed().await, SessionState::Closed | SessionState::Expired) {} };
        let _ = timeout(self.timeout, closed).await;
        drop(tasks);
    }

    async fn role(target: &Target) -> Result<Role, String> {
        role::ask(target).await
    }
}

impl Session {
    /// The patience an operation is given.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the current operation's time is up.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The library's client, to make one request with. It sends when its method is called, not when the answer is
    /// awaited; so ask for it anew for each request, and hand the request to [`Session::step`] at once.
    pub(super) fn client(&mut self) -> Result<Client, Stop> {
        if !self.alive() {
            self.live = None;
        }
        self.live.as_ref().map(|live| live.client.clone()).ok_or(Stop::Unsent)
    }

    /// Waits for the answer to a request.
    pub(super) async fn step<T>(
        &mut self,
        effect: Effect,
        request: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Stop> {
        let Some(live) = self.live.as_mut() else { return Err(Stop::Unsent) };
        let stop = tokio::select! {
            biased;
            answer = timeout_at(self.deadline, contain(request)) => match answer {
                Ok(Ok(Ok(value))) => return Ok(value),
                Ok(Ok(Err(error))) => Stop::Error(effect, error),
                Ok(Err(Panicked)) => Stop::BadReply(effect),
                Err(_) => Stop::Deadline(effect),
            },
            _ = live.state.changed() => Stop::Lost(effect),
        };
        if stop.kills() {
            self.live = None;
        }
        Err(stop)
    }

    /// Waits for something that the server will tell without being asked, no longer than until `end`. Whether it
    /// came.
    pub(super) async fn wait(&mut self, end: Instant, event: impl Future + Send) -> Result<bool, Stop> {
        let Some(live) = self.live.as_mut() else { return Err(Stop::Unsent) };
        tokio::select! {
            biased;
            _ = live.state.changed() => {
                self.live = None;
                Err(Stop::Lost(Effect::None))
            }
            came = timeout_at(end, contain(event)) => match came {
                Ok(Ok(_)) => Ok(true),
                Ok(Err(Panicked)) => {
                    self.live = None;
                    Err(Stop::BadReply(Effect::None))
                }
                Err(_) => Ok(false),
            },
        }
    }
}

impl Live {
    /// Whether the session is connected and has been so without a break since it was opened.
    fn undisturbed(&self) -> bool {
        let mut state = self.state.clone();
        let changed = pin!(state.changed()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        !changed && self.client.state() == SessionState::SyncConnected
    }
}
