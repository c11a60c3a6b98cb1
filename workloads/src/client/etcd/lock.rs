//! Locks: one key each, `/grudge/lock/<key>`, put with a lease.
//!
//! To acquire is a transaction that puts the key if it does not exist. If it does, the acquisition fails: to try
//! again is a new operation. The fencing token is the key's create revision, which grows from holder to holder. To
//! prove is to put again if the create revision is still the token; to release, to delete under the same condition.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{sleep, timeout};

use super::link::Link;
use super::outcome::{LEASE_NOT_FOUND, Stop};
use super::pb::compare::{CompareResult, CompareTarget, TargetUnion};
use super::pb::lease_client::LeaseClient;
use super::pb::request_op::Request;
use super::pb::{
    Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, PutRequest, RequestOp,
    TxnRequest, TxnResponse,
};
use super::register::revision;
use super::session::Session;
use crate::client::adapter::Calls;
use crate::client::{Effect, work};
use crate::operation::{Invocation, Outcome};

const ROOT: &str = "/grudge/lock";

/// Calls on locks.
#[derive(Clone, Default)]
pub(crate) struct Lock {
    lease: Option<i64>,
    /// Tokens that this client acquired and has not lost.
    held: BTreeSet<i64>,
}

impl Lock {
    /// This client's lease, granted and kept alive from the first time it is needed.
    async fn lease(&mut self, session: &mut Session) -> Result<i64, Stop> {
        if let Some(lease) = self.lease {
            return Ok(lease);
        }
        let ttl = session.target().ttl;
        let seconds = i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1);
        let mut client = session.lease()?;
        let request = LeaseGrantRequest { ttl: seconds, id: 0 };
        let granted = session.step(Effect::None, client.lease_grant(request)).await?;
        let life = Duration::from_secs(u64::try_from(granted.ttl).unwrap_or(1).max(1));
        session.spawner()?.spawn(keep_alive(client, granted.id, life / 3));
        self.lease = Some(granted.id);
        Ok(granted.id)
    }

    async fn acquire(&mut self, session: &mut Session, key: Vec<u8>) -> Result<Outcome, Stop> {
        let lease = self.lease(session).await?;
        let put = Request::RequestPut(PutRequest { key: key.clone(), lease, ..PutRequest::default() });
        let response = transact(session, created_at(key, 0), put).await.inspect_err(|stop| self.notice(stop))?;
        let token = revision(response.header);
        Ok(match (response.succeeded, token) {
            (false, _) => Outcome::fail("taken"),
            (true, Some(token)) => {
                self.held.insert(token);
                Outcome::ok(token, Some(token))
            }
            (true, None) => Outcome::info("reply-without-revision"),
        })
    }

    async fn prove(&mut self, session: &mut Session, key: Vec<u8>, token: i64) -> Result<Outcome, Stop> {
        // Put with the same lease: a put without one would let the key outlive its holder.
        let Some(lease) = self.lease else { return Ok(Outcome::fail("not-held")) };
        let put = Request::RequestPut(PutRequest { key: key.clone(), lease, ..PutRequest::default() });
        let response = as_holder(session, created_at(key, token), put).await?;
        Ok(self.still_held(token, response.succeeded))
    }

    async fn release(&mut self, session: &mut Session, key: Vec<u8>, token: i64) -> Result<Outcome, Stop> {
        self.held.remove(&token);
        let delete = Request::RequestDeleteRange(DeleteRangeRequest { key: key.clone(), ..Default::default() });
        let response = as_holder(session, created_at(key, token), delete).await?;
        Ok(self.still_held(token, response.succeeded))
    }

    /// A lease that has expired took every lock with it; the next acquisition needs a new one.
    fn notice(&mut self, stop: &Stop) {
        if matches!(stop, Stop::Refused(token) if token == LEASE_NOT_FOUND) {
            self.lease = None;
            self.held.clear();
        }
    }

    fn still_held(&mut self, token: i64, succeeded: bool) -> Outcome {
        if succeeded {
            return Outcome::ok(token, Some(token));
        }
        self.held.remove(&token);
        Outcome::fail("lost")
    }
}

#[async_trait]
impl Calls<Session> for Lock {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let key = format!("{ROOT}/{key}").into_bytes();
        match (invocation.f, invocation.value.as_i64()) {
            ("acquire", _) => self.acquire(session, key).await,
            ("prove", Some(token)) if self.held.contains(&token) => self.prove(session, key, token).await,
            ("release", Some(token)) if self.held.contains(&token) => self.release(session, key, token).await,
            ("work", Some(token)) if self.held.contains(&token) => Ok(work(token).await),
            // Acquired by an earlier client, with a lease that this one does not renew.
            ("prove" | "work" | "release", _) => Ok(Outcome::fail("not-held")),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }

    async fn close(&mut self, session: &mut Session) {
        if let (Some(id), Ok(mut client)) = (self.lease.take(), session.lease()) {
            // What cannot be revoked now expires by itself.
            let _ = session.step(Effect::None, client.lease_revoke(LeaseRevokeRequest { id })).await;
        }
    }
}

/// A holder whose proof or release is refused believes that it holds no more, and does not come back to the lock. So it
/// must not go on renewing it: the client ends, and its lease is left to expire.
async fn as_holder(session: &mut Session, condition: Compare, then: Request) -> Result<TxnResponse, Stop> {
    let response = transact(session, condition, then).await;
    if response.is_err() {
        session.end();
    }
    response
}

async fn transact(session: &mut Session, condition: Compare, then: Request) -> Result<TxnResponse, Stop> {
    let success = vec![RequestOp { request: Some(then) }];
    let mut kv = session.kv()?;
    let request = TxnRequest { compare: vec![condition], success, failure: Vec::new() };
    session.step(Effect::Write, kv.txn(request)).await
}

fn created_at(key: Vec<u8>, revision: i64) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key,
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..Compare::default()
    }
}

/// Renews a lease until it is gone. A renewal that gets no answer is followed by the next one in time; it is no
/// operation of the history.
async fn keep_alive(mut client: LeaseClient<Link>, id: i64, pause: Duration) {
    loop {
        sleep(pause).await;
        let renewed = async {
            let request = tokio_stream::once(LeaseKeepAliveRequest { id });
            client.lease_keep_alive(request).await?.into_inner().message().await
        };
        if let Ok(Ok(Some(answer))) = timeout(pause, renewed).await
            && answer.ttl <= 0
        {
            return;
        }
    }
}
