//! One connection, and what is asked of it.

use std::future::Future;

use async_trait::async_trait;
use tonic::{Response, Status};

use super::link::Link;
use super::outcome::Stop;
use super::pb::cluster_client::ClusterClient;
use super::pb::kv_client::KvClient;
use super::pb::lease_client::LeaseClient;
use super::pb::maintenance_client::MaintenanceClient;
use super::role;
use crate::client::session::{self, Connection};
use crate::client::tasks::{Spawner, Tasks};
use crate::client::{Effect, Role, Target};

/// A session with one server.
pub(crate) type Session = session::Session<Channel>;

/// A connection with what lives on it.
pub(crate) struct Channel {
    link: Link,
    origin: http::Uri,
    tasks: Tasks,
}

#[async_trait]
impl Connection for Channel {
    type Stop = Stop;

    async fn open(target: &Target) -> Result<Channel, String> {
        let tasks = Tasks::default();
        let origin = format!("http://{}", target.address).parse().map_err(|_| "bad-address".to_owned())?;
        let link = Link::open(target.address, &tasks.spawner()).await;
        let link = link.map_err(|error| error.kind().to_string().replace(' ', "-"))?;
        Ok(Channel { link, origin, tasks })
    }

    fn is_well(&self) -> bool {
        !self.link.is_closed()
    }

    async fn role(target: &Target) -> Result<Role, String> {
        role::ask(target).await
    }
}

impl Session {
    pub(super) fn kv(&mut self) -> Result<KvClient<Link>, Stop> {
        self.channel().map(|on| KvClient::with_origin(on.link.clone(), on.origin.clone()))
    }

    pub(super) fn lease(&mut self) -> Result<LeaseClient<Link>, Stop> {
        self.channel().map(|on| LeaseClient::with_origin(on.link.clone(), on.origin.clone()))
    }

    pub(super) fn cluster(&mut self) -> Result<ClusterClient<Link>, Stop> {
        self.channel().map(|on| ClusterClient::with_origin(on.link.clone(), on.origin.clone()))
    }

    pub(super) fn maintenance(&mut self) -> Result<MaintenanceClient<Link>, Stop> {
        self.channel().map(|on| MaintenanceClient::with_origin(on.link.clone(), on.origin.clone()))
    }

    /// Spawns tasks that end with this session.
    pub(super) fn spawner(&mut self) -> Result<Spawner, Stop> {
        self.channel().map(|on| on.tasks.spawner())
    }

    fn channel(&mut self) -> Result<&mut Channel, Stop> {
        self.live().ok_or(Stop::Unsent)
    }

    /// Makes one request and waits for its answer.
    pub(super) async fn step<T>(
        &mut self,
        effect: Effect,
        request: impl Future<Output = Result<Response<T>, Status>> + Send,
    ) -> Result<T, Stop> {
        let answer = async { request.await.map(Response::into_inner).map_err(|status| Stop::of(effect, status)) };
        self.answer(effect, answer).await
    }
}
