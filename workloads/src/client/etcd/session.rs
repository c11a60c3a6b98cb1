//! One connection, which dies at the first doubt.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Response, Status};

use super::link::Link;
use super::outcome::Stop;
use super::pb::cluster_client::ClusterClient;
use super::pb::kv_client::KvClient;
use super::pb::lease_client::LeaseClient;
use super::pb::maintenance_client::MaintenanceClient;
use super::role;
use crate::client::Effect;
use crate::client::adapter::Conversation;
use crate::client::tasks::{Spawner, Tasks};
use crate::client::{Role, Target};

/// A connection with a deadline for each operation.
pub(crate) struct Session {
    live: Option<Live>,
    target: Target,
    deadline: Instant,
}

struct Live {
    link: Link,
    origin: http::Uri,
    tasks: Tasks,
}

#[async_trait]
impl Conversation for Session {
    type Stop = Stop;

    async fn open(target: &Target) -> Result<Session, String> {
        let tasks = Tasks::default();
        let origin = format!("http://{}", target.address).parse().map_err(|_| "bad-address".to_owned())?;
        let link = match timeout(target.timeout, Link::open(target.address, &tasks.spawner())).await {
            Ok(Ok(link)) => link,
            Ok(Err(error)) => return Err(error.kind().to_string().replace(' ', "-")),
            Err(_) => return Err("connect-timeout".to_owned()),
        };
        let deadline = Instant::now() + target.timeout;
        Ok(Session { live: Some(Live { link, origin, tasks }), target: target.clone(), deadline })
    }

    fn begin(&mut self) {
        self.deadline = Instant::now() + self.target.timeout;
    }

    fn alive(&self) -> bool {
        self.live.as_ref().is_some_and(|live| !live.link.is_closed())
    }

    async fn close(&mut self) {
        self.end();
    }

    async fn role(target: &Target) -> Result<Role, String> {
        role::ask(target).await
    }
}

impl Session {
    /// How long a lease shall live.
    pub(super) fn ttl(&self) -> Duration {
        self.target.ttl
    }

    /// Drops the connection and everything that was still to be sent on it.
    pub(super) fn end(&mut self) {
        self.live = None;
    }

    pub(super) fn kv(&mut self) -> Result<KvClient<Link>, Stop> {
        self.live().map(|live| KvClient::with_origin(live.link.clone(), live.origin.clone()))
    }

    pub(super) fn lease(&mut self) -> Result<LeaseClient<Link>, Stop> {
        self.live().map(|live| LeaseClient::with_origin(live.link.clone(), live.origin.clone()))
    }

    pub(super) fn cluster(&mut self) -> Result<ClusterClient<Link>, Stop> {
        self.live().map(|live| ClusterClient::with_origin(live.link.clone(), live.origin.clone()))
    }

    pub(super) fn maintenance(&mut self) -> Result<MaintenanceClient<Link>, Stop> {
        self.live().map(|live| MaintenanceClient::with_origin(live.link.clone(), live.origin.clone()))
    }

    /// Spawns tasks that end with this session.
    pub(super) fn spawner(&mut self) -> Result<Spawner, Stop> {
        self.live().map(|live| live.tasks.spawner())
    }

    fn live(&mut self) -> Result<&Live, Stop> {
        if !self.alive() {
            self.live = None;
        }
        self.live.as_ref().ok_or(Stop::Unsent)
    }

    /// Makes one request and waits for its answer.
    pub(super) async fn step<T>(
        &mut self,
        effect: Effect,
        request: impl Future<Output = Result<Response<T>, Status>> + Send,
    ) -> Result<T, Stop> {
        let stop = match timeout_at(self.deadline, request).await {
            Ok(Ok(response)) => return Ok(response.into_inner()),
            Ok(Err(status)) => Stop::of(effect, status),
            Err(_) => Stop::Deadline(effect),
        };
        if stop.kills() {
            self.end();
        }
        Err(stop)
    }
}
