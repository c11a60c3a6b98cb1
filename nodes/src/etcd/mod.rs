//! The etcd v3 API over gRPC, in front of a key-value replica.
//!
//! # What it promises
//!
//! `etcdctl` and etcd's clients get what they would get from etcd 3.4: the same answers, error texts and codes, for
//! the services KV, Lease, Cluster.MemberList and Maintenance.Status. One call is one request to the replica;
//! nothing is tried twice. A member's id is the replica's number, so the leader that `Status` names is a node.
//!
//! # What is left out
//!
//! Watch, members that come and go, users, alarms, and reads filtered by revision: calls are answered with
//! `Unimplemented`.

mod convert;
mod error;
mod service;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::driver::Handle;
use crate::kv::api::{MAX_REQUEST_BYTES, Reply, Request};
use crate::replica::{NodeId, Replica};
use service::Service;

/// The API's types, servers and clients, generated from `proto/etcd.proto`.
#[allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/etcd.rs"));
}

/// What gRPC adds to a request at most, in bytes, as etcd has it.
const OVERHEAD: usize = 512 << 10;
/// A client that does not answer a ping for so long is gone.
const PING: Duration = Duration::from_secs(10);

/// The cluster as clients are told of it.
#[derive(Clone, Debug)]
pub struct Members {
    /// The cluster's name; its id is derived from it.
    pub cluster: String,
    /// Where each member talks to its peers, and to clients.
    pub members: BTreeMap<NodeId, (SocketAddr, SocketAddr)>,
}

/// Serves clients on a listener until the process ends.
///
/// # Errors
/// If the listener fails.
pub async fn serve<R>(handle: Handle<R>, members: Members, listener: TcpListener) -> Result<(), tonic::transport::Error>
where
    R: Replica<Request = Request, Reply = Reply>,
{
    use api::etcdserverpb::{
        cluster_server::ClusterServer, kv_server::KvServer, lease_server::LeaseServer,
        maintenance_server::MaintenanceServer,
    };
    let service = Service::new(handle, members);
    Server::builder()
        .http2_keepalive_interval(Some(PING))
        .http2_keepalive_timeout(Some(PING))
        .add_service(KvServer::new(service.clone()).max_decoding_message_size(MAX_REQUEST_BYTES + OVERHEAD))
        .add_service(LeaseServer::new(service.clone()))
        .add_service(ClusterServer::new(service.clone()))
        .add_service(MaintenanceServer::new(service))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
}
