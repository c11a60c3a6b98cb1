//! Leases with a key each, `/grudge/lease/<key>`; see the real client.

use bytes::Bytes;
use grudge_nodes::kv::api::{Error, Projection, PutRequest, RangeRequest, Request, Response, Span};
use grudge_workloads::operation::{Invocation, Outcome};
use serde_json::json;

use super::outcome::Stop;
use super::{Calls, Effect, Session};

const ROOT: &str = "/grudge/lease";

/// Calls on leases.
pub(super) struct Lease;

impl Lease {
    async fn grant(&self, session: &mut Session, key: Bytes, seconds: i64) -> Result<Outcome, Stop> {
        // A lease that nobody was told of has no key, so it makes no difference.
        let answer = session.step(Effect::None, Request::LeaseGrant { id: 0, ttl: seconds }).await?;
        let Response::LeaseGrant { id, ttl } = answer.response else { return Err(Stop::BadReply(Effect::None)) };
        let put = PutRequest { lease: id, ..PutRequest::new(key, Bytes::new()) };
        let answer = session.step(Effect::Write, Request::Put(put)).await?;
        Ok(Outcome::ok(json!({ "lease": id, "ttl": ttl }), Some(answer.header.revision)))
    }

    async fn renew(&self, session: &mut Session, id: i64) -> Result<Outcome, Stop> {
        let answer = session.step(Effect::Write, Request::LeaseKeepAlive { id }).await?;
        match answer.response {
            Response::LeaseKeepAlive { ttl, .. } if ttl <= 0 => Err(Stop::Refused(Error::LeaseNotFound)),
            Response::LeaseKeepAlive { ttl, .. } => Ok(Outcome::ok(json!({ "lease": id, "ttl": ttl }), None)),
            _ => Err(Stop::BadReply(Effect::Write)),
        }
    }

    async fn check(&self, session: &mut Session, key: Bytes) -> Result<Outcome, Stop> {
        let request = RangeRequest { projection: Projection::KeysOnly, ..RangeRequest::new(Span::Key(key)) };
        let answer = session.step(Effect::None, Request::Range(request)).await?;
        let Response::Range(range) = answer.response else { return Err(Stop::BadReply(Effect::None)) };
        Ok(Outcome::ok(!range.kvs.is_empty(), None))
    }
}

impl Calls for Lease {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let key = Bytes::from(format!("{ROOT}/{key}"));
        match (invocation.f, invocation.value.as_i64()) {
            ("grant", Some(seconds)) => self.grant(session, key, seconds).await,
            ("renew", Some(id)) => self.renew(session, id).await,
            ("check", _) => self.check(session, key).await,
            ("revoke", Some(id)) => {
                let answer = session.step(Effect::Write, Request::LeaseRevoke { id }).await?;
                Ok(Outcome::ok(id, Some(answer.header.revision)))
            }
            ("grant" | "renew" | "revoke", None) => Ok(Outcome::fail("bad-arguments")),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}
