//! Connections with the master and with the node, and what is asked of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue};
use tokio::time::{sleep, timeout_at};

use super::link::Link;
use super::outcome::{self, READ_ONLY, Stop};
use super::role::{self, Listener};
use super::sentinel;
use crate::client::session::{self, Connection};
use crate::client::tasks::{Spawner, Tasks};
use crate::client::{Effect, Role, Target};

/// Between two questions who the master is.
const ASK: Duration = Duration::from_millis(250);

/// A session with the master.
pub(crate) type Session = session::Session<Links>;

/// Connections with the master, and with the node that was asked who that is.
pub(crate) struct Links {
    /// To the master.
    link: Link,
    master: SocketAddr,
    /// To the node's own server, if that is another and was asked already.
    own: Option<Link>,
    /// Whether the sentinel has come to know another master.
    moved: Arc<AtomicBool>,
    tasks: Tasks,
}

#[async_trait]
impl Connection for Links {
    type Stop = Stop;

    /// Connects to the master that the node knows; to the node itself if it is a server alone.
    async fn open(target: &Target) -> Result<Links, String> {
        let tasks = Tasks::default();
        let spawner = tasks.spawner();
        let moved = Arc::new(AtomicBool::new(false));
        let first = Link::open(target.address, &spawner).await?;
        let name = match role::listener(&first).await? {
            Listener::Server(_) => return Ok(Links { link: first, master: target.address, own: None, moved, tasks }),
            Listener::Sentinel(name) => name,
        };
        let master = sentinel::watched(&first, &name).await?.address;
        let link = Link::open(master, &spawner).await?;
        if role::listener(&link).await? != Listener::Server(Role::Leader) {
            return Err("not-master".to_owned());
        }
        spawner.spawn(watch(first, name, master, Arc::clone(&moved)));
        Ok(Links { link, master, own: None, moved, tasks })
    }

    fn is_well(&self) -> bool {
        !self.link.is_over() && !self.moved.load(Ordering::SeqCst)
    }

    async fn role(target: &Target) -> Result<Role, String> {
        role::ask(target).await
    }
}

impl Links {
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

impl Session {
    /// The connection with the master, and what spawns tasks that end with it.
    pub(super) fn link(&mut self) -> Result<(Link, Spawner), Stop> {
        let links = self.live().ok_or(Stop::Unsent)?;
        Ok((links.link.clone(), links.tasks.spawner()))
    }

    /// Makes one request of the master and waits for its answer.
    pub(super) async fn step<T: FromRedisValue>(&mut self, effect: Effect, request: &Cmd) -> Result<T, Stop> {
        let (link, _) = self.link()?;
        self.ask(&link, effect, request).await
    }

    /// Makes one request of the node's own server, which changes nothing.
    pub(super) async fn step_at_own<T: FromRedisValue>(&mut self, request: &Cmd) -> Result<T, Stop> {
        let (deadline, node) = (self.deadline(), self.target().address);
        let links = self.live().ok_or(Stop::Unsent)?;
        let link = match timeout_at(deadline, links.own(node)).await {
            Ok(Ok(link)) => link,
            Ok(Err(token)) => return Err(Stop::Refused(token)),
            Err(_) => return Err(Stop::Deadline(Effect::None)),
        };
        self.ask(&link, Effect::None, request).await
    }

    async fn ask<T: FromRedisValue>(&mut self, link: &Link, effect: Effect, request: &Cmd) -> Result<T, Stop> {
        let answer = async { link.ask(request).await.map_err(|error| outcome::meaning(effect, &error)) };
        let answered = self.answer(effect, answer).await;
        if answered.as_ref().is_err_and(|stop| *stop == Stop::Refused(READ_ONLY.to_owned())) {
            self.end();
        }
        answered
    }
}
