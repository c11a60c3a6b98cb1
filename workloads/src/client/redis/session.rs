//! One conversation with the master, which dies at the first doubt.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::link::Link;
use super::outcome::{self, READ_ONLY, Stop};
use super::role::{self, Listener};
use super::sentinel;
use crate::client::adapter::Conversation;
use crate::client::tasks::{Spawner, Tasks};
use crate::client::{Effect, Role, Target};

/// Between two questions who the master is.
const ASK: Duration = Duration::from_millis(250);

/// A connection with a deadline for each operation.
pub(crate) struct Session {
    live: Option<Live>,
    target: Target,
    deadline: Instant,
}

struct Live {
    /// To the master.
    link: Link,
    master: SocketAddr,
    /// To the node's own server, if that is another and was asked already.
    own: Option<Link>,
    /// Whether the sentinel has come to know another master.
    moved: Arc<AtomicBool>,
    tasks: Tasks,
}

impl Live {
    /// Connects to the master that the node knows; to the node itself if it is a server alone.
    async fn open(address: SocketAddr) -> Result<Live, String> {
        let tasks = Tasks::default();
        let spawner = tasks.spawner();
        let moved = Arc::new(AtomicBool::new(false));
        let first = Link::open(address, &spawner).await?;
        let name = match role::listener(&first).await? {
            Listener::Server(_) => return Ok(Live { link: first, master: address, own: None, moved, tasks }),
            Listener::Sentinel(name) => name,
        };
        let master = sentinel::watched(&first, &name).await?.address;
        let link = Link::open(master, &spawner).await?;
        if role::listener(&link).await? != Listener::Server(Role::Leader) {
            return Err("not-master".to_owned());
        }
        spawner.spawn(watch(first, name, master, Arc::clone(&moved)));
        Ok(Live { link, master, own: None, moved, tasks })
    }

    fn is_well(&self) -> bool {
        !self.link.is_over() && !self.moved.load(Ordering::SeqCst)
    }

    /// A connection with the node's own server, which listens where the master does.
    async fn own(&mut self, node: SocketAddr) -> Result<Link, String> {
        let address = SocketAddr::new(node.ip(), self.master.port());
        if address == self.master {
            return Ok(self.link.clone());
        }
        if let Some(own) = self.own.as_ref().filter(|own| !own.is_over()) {
            return Ok(own.clone());
        }
        let own = Link::open(address, &self.tasks.spawner()).await?;
        Ok(self.own.insert(own).clone())
    }
}

/// Waits until the sentinel knows another master. One that does not answer knows none.
async fn watch(sentinel: Link, name: String, master: SocketAddr, moved: Arc<AtomicBool>) {
    while !sentinel.is_over() {
        sleep(ASK).await;
        if sentinel::watched(&sentinel, &name).await.is_ok_and(|watched| watched.address != master) {
            moved.store(true, Ordering::SeqCst);
            return;
        }
    }
}

#[async_trait]
impl Conversation for Session {
    type Stop = Stop;

    async fn open(target: &Target) -> Result<Session, String> {
        let live = timeout(target.timeout, Live::open(target.address)).await;
        let live = live.unwrap_or_else(|_| Err("connect-timeout".to_owned()))?;
        Ok(Session { live: Some(live), target: target.clone(), deadline: Instant::now() + target.timeout })
    }

    fn begin(&mut self) {
        self.deadline = Instant::now() + self.target.timeout;
    }

    fn alive(&self) -> bool {
        self.live.as_ref().is_some_and(Live::is_well)
    }

    async fn close(&mut self) {
        self.end();
    }

    async fn role(target: &Target) -> Result<Role, String> {
        role::ask(target).await
    }
}

impl Session {
    /// How long a lock shall live.
    pub(super) fn ttl(&self) -> Duration {
        self.target.ttl
    }

    /// Drops the connection and everything that was still to be sent on it.
    pub(super) fn end(&mut self) {
        self.live = None;
    }

    /// The connection with the master, and what spawns tasks that end with it.
    pub(super) fn link(&mut self) -> Result<(Link, Spawner), Stop> {
        self.live().map(|live| (live.link.clone(), live.tasks.spawner()))
    }

    fn live(&mut self) -> Result<&mut Live, Stop> {
        if !self.alive() {
            self.live = None;
        }
        self.live.as_mut().ok_or(Stop::Unsent)
    }

    /// Makes one request of the master and waits for its answer.
    pub(super) async fn step<T: FromRedisValue>(&mut self, effect: Effect, request: &Cmd) -> Result<T, Stop> {
        let (link, _) = self.link()?;
        self.ask(&link, effect, request).await
    }

    /// Makes one request of the node's own server, which changes nothing.
    pub(super) async fn step_at_own<T: FromRedisValue>(&mut self, request: &Cmd) -> Result<T, Stop> {
        let (deadline, node) = (self.deadline, self.target.address);
        let link = match timeout_at(deadline, self.live()?.own(node)).await {
            Ok(Ok(link)) => link,
            Ok(Err(token)) => return Err(Stop::Refused(token)),
            Err(_) => return Err(Stop::Deadline(Effect::None)),
        };
        self.ask(&link, Effect::None, request).await
    }

    async fn ask<T: FromRedisValue>(&mut self, link: &Link, effect: Effect, request: &Cmd) -> Result<T, Stop> {
        let stop = match timeout_at(self.deadline, link.ask(request)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => outcome::meaning(effect, &error),
            Err(_) => Stop::Deadline(effect),
        };
        if stop.kills() || stop == Stop::Refused(READ_ONLY.to_owned()) {
            self.end();
        }
        Err(stop)
    }
}
