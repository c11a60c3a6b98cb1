//! The calls: each is one request to the replica.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request as Call, Response as Answered, Status, Streaming};

use super::Members;
use super::api::etcdserverpb as wire;
use super::convert;
use super::error::{status, stopped, unimplemented};
use crate::driver::Handle;
use crate::kv::api::{Answer, Header, Reply, Request, Response};
use crate::replica::Replica;

/// The etcd version whose behaviour this has.
const VERSION: &str = "3.4.0+grudge";
/// How many keep-alive answers wait for a client.
const KEEP_ALIVES: usize = 16;

pub(super) struct Service<R: Replica> {
    handle: Handle<R>,
    members: Arc<Members>,
    cluster_id: u64,
}

impl<R: Replica> Clone for Service<R> {
    fn clone(&self) -> Self {
        Service { handle: self.handle.clone(), members: Arc::clone(&self.members), cluster_id: self.cluster_id }
    }
}

type Called<T> = Result<Answered<T>, Status>;

impl<R> Service<R>
where
    R: Replica<Request = Request, Reply = Reply>,
{
    pub(super) fn new(handle: Handle<R>, members: Members) -> Self {
        let cluster_id = u64::from(crc32fast::hash(members.cluster.as_bytes()));
        Service { handle, members: Arc::new(members), cluster_id }
    }

    async fn ask(&self, request: Request) -> Result<(wire::ResponseHeader, Response), Status> {
        let Answer { header, response } = self.handle.ask(request).await.map_err(stopped)?.map_err(status)?;
        Ok((self.header(header), response))
    }

    fn header(&self, header: Header) -> wire::ResponseHeader {
        wire::ResponseHeader {
            cluster_id: self.cluster_id,
            member_id: header.member.0,
            revision: header.revision,
            raft_term: header.term,
        }
    }

    async fn keep_alive(&self, id: i64) -> Result<wire::LeaseKeepAliveResponse, Status> {
        match self.ask(Request::LeaseKeepAlive { id }).await? {
            (header, Response::LeaseKeepAlive { id, ttl }) => {
                Ok(wire::LeaseKeepAliveResponse { header: Some(header), id, ttl })
            }
            (_, other) => Err(mismatch(&other)),
        }
    }
}

/// The replica answered another question: a defect of this program, which must not look like one of the cluster.
fn mismatch(response: &Response) -> Status {
    tracing::error!(?response, "an answer to another question");
    Status::internal("etcdserver: an answer to another question")
}

#[tonic::async_trait]
impl<R> wire::kv_server::Kv for Service<R>
where
    R: Replica<Request = Request, Reply = Reply>,
{
    async fn range(&self, call: Call<wire::RangeRequest>) -> Called<wire::RangeResponse> {
        match self.ask(Request::Range(convert::range(call.into_inner())?)).await? {
            (header, Response::Range(response)) => Ok(Answered::new(convert::range_response(header, response))),
            (_, other) => Err(mismatch(&other)),
        }
    }

    async fn put(&self, call: Call<wire::PutRequest>) -> Called<wire::PutResponse> {
        match self.ask(Request::Put(convert::put(call.into_inner()))).await? {
            (header, Response::Put(response)) => Ok(Answered::new(convert::put_response(header, response))),
            (_, other) => Err(mismatch(&other)),
        }
    }

    async fn delete_range(&self, call: Call<wire::DeleteRangeRequest>) -> Called<wire::DeleteRangeResponse> {
        match self.ask(Request::DeleteRange(convert::delete_range(call.into_inner()))).await? {
            (header, Response::DeleteRange(response)) => {
                Ok(Answered::new(convert::delete_range_response(header, response)))
            }
            (_, other) => Err(mismatch(&other)),
        }
    }

    async fn txn(&self, call: Call<wire::TxnRequest>) -> Called<wire::TxnResponse> {
        match self.ask(Request::Txn(convert::txn(call.into_inner())?)).await? {
            (header, Response::Txn(response)) => Ok(Answered::new(convert::txn_response(header, response))),
            (_, other) => Err(mismatch(&other)),
        }
    }

    async fn compact(&self, call: Call<wire::CompactionRequest>) -> Called<wire::CompactionResponse> {
        match self.ask(Request::Compact { revision: call.into_inner().revision }).await? {
            (header, Response::Compact) => Ok(Answered::new(wire::CompactionResponse { header: Some(header) })),
            (_, other) => Err(mismatch(&other)),
        }
    }
}

#[tonic::async_trait]
impl<R> wire::lease_server::Lease for Service<R>
where
    R: Replica<Request = Request, Reply = Reply>,
{
    async fn lease_grant(&self, call: Call<wire::LeaseGrantRequest>) -> Called<wire::LeaseGrantResponse> {
        let wire::LeaseGrantRequest { ttl, id } = call.into_inner();
        match self.ask(Request::LeaseGrant { id, ttl }).await? {
            (header, Response::LeaseGrant { id, ttl }) => {
                let header = Some(header);
                Ok(Answered::new(wire::LeaseGrantResponse { header, id, ttl, error: String::new() }))
            }
            (_, other) => Err(mismatch(&other)),
        }
    }

    async fn lease_revoke(&self, call: Call<wire::LeaseRevokeRequest>) -> Called<wire::LeaseRevokeResponse> {
        match self.ask(Request::LeaseRevoke { id: call.into_inner().id }).await? {
            (header, Response::LeaseRevoke) => Ok(Answered::new(wire::LeaseRevokeResponse { header: Some(header) })),
            (_, other) => Err(mismatch(&other)),
        }
    }

    type LeaseKeepAliveStream = Pin<Box<dyn Stream<Item = Result<wire::LeaseKeepAliveResponse, Status>> + Send>>;

    /// The first error ends the stream, as in etcd; a lease that is gone is no error but a time to live of 0.
    async fn lease_keep_alive(
        &self,
        call: Call<Streaming<wire::LeaseKeepAliveRequest>>,
    ) -> Called<Self::LeaseKeepAliveStream> {
        let service = self.clone();
        let mut requests = call.into_inner();
        let (answers, stream) = mpsc::channel(KEEP_ALIVES);
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let answer = service.keep_alive(request.id).await;
                let failed = answer.is_err();
                if answers.send(answer).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Answered::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn lease_time_to_live(
        &self,
        call: Call<wire::LeaseTimeToLiveRequest>,
    ) -> Called<wire::LeaseTimeToLiveResponse> {
        let wire::LeaseTimeToLiveRequest { id, keys } = call.into_inner();
        match self.ask(Request::LeaseTimeToLive { id, keys }).await? {
            (header, Response::LeaseTimeToLive { id, ttl, granted_ttl, keys }) => {
                let header = Some(header);
                Ok(Answered::new(wire::LeaseTimeToLiveResponse { header, id, ttl, granted_ttl, keys }))
            }
            (_, other) => Err(mismatch(&other)),
        }
    }

    async fn lease_leases(&self, _: Call<wire::LeaseLeasesRequest>) -> Called<wire::LeaseLeasesResponse> {
        match self.ask(Request::Leases).await? {
            (header, Response::Leases(ids)) => {
                let leases = ids.into_iter().map(|id| wire::LeaseStatus { id }).collect();
                Ok(Answered::new(wire::LeaseLeasesResponse { header: Some(header), leases }))
            }
            (_, other) => Err(mismatch(&other)),
        }
    }
}

#[tonic::async_trait]
impl<R> wire::cluster_server::Cluster for Service<R>
where
    R: Replica<Request = Request, Reply = Reply>,
{
    async fn member_add(&self, _: Call<wire::MemberAddRequest>) -> Called<wire::MemberAddResponse> {
        Err(unimplemented("a change of members"))
    }

    async fn member_remove(&self, _: Call<wire::MemberRemoveRequest>) -> Called<wire::MemberRemoveResponse> {
        Err(unimplemented("a change of members"))
    }

    async fn member_list(&self, _: Call<wire::MemberListRequest>) -> Called<wire::MemberListResponse> {
        let (header, _) = self.ask(Request::Status).await?;
        let members = self.members.members.iter().map(|(id, (peer, client))| wire::Member {
            id: id.0,
            name: id.to_string(),
            peer_ur_ls: vec![format!("http://{peer}")],
            client_ur_ls: vec![format!("http://{client}")],
            is_learner: false,
        });
        Ok(Answered::new(wire::MemberListResponse { header: Some(header), members: members.collect() }))
    }
}

#[tonic::async_trait]
impl<R> wire::maintenance_server::Maintenance for Service<R>
where
    R: Replica<Request = Request, Reply = Reply>,
{
    async fn status(&self, _: Call<wire::StatusRequest>) -> Called<wire::StatusResponse> {
        match self.ask(Request::Status).await? {
            (header, Response::Status(known)) => Ok(Answered::new(wire::StatusResponse {
                header: Some(header),
                version: VERSION.to_owned(),
                leader: known.leader.map_or(0, |leader| leader.0),
                raft_index: known.commit_index,
                raft_term: known.term,
                raft_applied_index: known.applied_index,
                errors: match known.leader {
                    Some(_) => Vec::new(),
                    None => vec![crate::kv::api::Error::NoLeader.to_string()],
                },
                ..wire::StatusResponse::default()
            })),
            (_, other) => Err(mismatch(&other)),
        }
    }
}
