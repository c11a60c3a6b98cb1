//! Leases with a key each, `/grudge/lease/<key>`.
//!
//! `grant` of s grants a lease of s seconds and puts the key with it: two requests, of which the first changes nothing
//! that anybody looks at. Its result is `{"lease": the number, "ttl": the seconds it has}`, and so is that of `renew`, one
//! keep-alive of the lease that is its value. `check` is a linearizable range; its result is whether the key is there.
//! `revoke` revokes the lease that is its value. The `version` of the history is a write's mod revision.
//!
//! The lease is no client's: whoever knows its number may renew it, and nobody else does.

use async_trait::async_trait;
use serde_json::json;
use tonic::{Response, Status};

use super::outcome::{LEASE_NOT_FOUND, Stop};
use super::pb::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, PutRequest, RangeRequest};
use super::register::revision;
use super::session::Session;
use crate::client::Effect;
use crate::client::adapter::Calls;
use crate::operation::{Invocation, Outcome};

const ROOT: &str = "/grudge/lease";

/// Calls on leases.
#[derive(Clone, Default)]
pub(crate) struct Lease;

#[async_trait]
impl Calls<Session> for Lease {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let key = format!("{ROOT}/{key}").into_bytes();
        match (invocation.f, invocation.value.as_i64()) {
            ("grant", Some(seconds)) => grant(session, key, seconds).await,
            ("renew", Some(id)) => renew(session, id).await,
            ("check", _) => check(session, key).await,
            ("revoke", Some(id)) => revoke(session, id).await,
            ("grant" | "renew" | "revoke", None) => Ok(Outcome::fail("bad-arguments")),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

async fn grant(session: &mut Session, key: Vec<u8>, seconds: i64) -> Result<Outcome, Stop> {
    let mut client = session.lease()?;
    // A lease that nobody was told of has no key, so it makes no difference.
    let granted = session.step(Effect::None, client.lease_grant(LeaseGrantRequest { ttl: seconds, id: 0 })).await?;
    let mut kv = session.kv()?;
    let put = PutRequest { key, lease: granted.id, ..PutRequest::default() };
    let response = session.step(Effect::Write, kv.put(put)).await?;
    Ok(Outcome::ok(json!({ "lease": granted.id, "ttl": granted.ttl }), revision(response.header)))
}

async fn renew(session: &mut Session, id: i64) -> Result<Outcome, Stop> {
    let mut client = session.lease()?;
    let renewed = async move {
        let requests = tokio_stream::once(LeaseKeepAliveRequest { id });
        let answer = client.lease_keep_alive(requests).await?.into_inner().message().await?;
        answer.map(Response::new).ok_or_else(|| Status::unknown("the answer is missing"))
    };
    let answer = session.step(Effect::Write, renewed).await?;
    if answer.ttl <= 0 {
        return Ok(Outcome::fail(LEASE_NOT_FOUND));
    }
    Ok(Outcome::ok(json!({ "lease": id, "ttl": answer.ttl }), None))
}

async fn check(session: &mut Session, key: Vec<u8>) -> Result<Outcome, Stop> {
    let mut kv = session.kv()?;
    let request = RangeRequest { key, keys_only: true, ..RangeRequest::default() };
    let response = session.step(Effect::None, kv.range(request)).await?;
    Ok(Outcome::ok(!response.kvs.is_empty(), None))
}

async fn revoke(session: &mut Session, id: i64) -> Result<Outcome, Stop> {
    let mut client = session.lease()?;
    let response = session.step(Effect::Write, client.lease_revoke(LeaseRevokeRequest { id })).await?;
    Ok(Outcome::ok(id, revision(response.header)))
}
