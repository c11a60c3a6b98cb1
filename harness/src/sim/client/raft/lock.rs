//! Locks: one key each, `/grudge/lock/<key>`, put with a lease; see the real client for the recipe.

use std::collections::BTreeSet;

use bytes::Bytes;
use grudge_nodes::kv::api::{
    Compare, DeleteRangeRequest, Error, Op, Operand, PutRequest, Relation, Request, Response, Span, TxnRequest,
};
use grudge_workloads::operation::{Invocation, Outcome};

use super::outcome::Stop;
use super::{Calls, Effect, Session};

const ROOT: &str = "/grudge/lock";

/// Calls on locks.
#[derive(Default)]
pub(super) struct Lock {
    lease: Option<i64>,
    /// Tokens that this client acquired and has not lost.
    held: BTreeSet<i64>,
}

/// A transaction's end: whether its condition held, and at which revision.
struct Done {
    succeeded: bool,
    revision: i64,
}

impl Lock {
    /// This client's lease, granted and kept alive from the first time it is needed.
    async fn lease(&mut self, session: &mut Session) -> Result<i64, Stop> {
        if let Some(lease) = self.lease {
            return Ok(lease);
        }
        let request = Request::LeaseGrant { id: 0, ttl: session.ttl() };
        let answer = session.step(Effect::None, request).await?;
        let Response::LeaseGrant { id, ttl } = answer.response else { return Err(Stop::BadReply(Effect::None)) };
        session.keep_alive(id, ttl);
        self.lease = Some(id);
        Ok(id)
    }

    async fn acquire(&mut self, session: &mut Session, key: Bytes) -> Result<Outcome, Stop> {
        let lease = self.lease(session).await?;
        let done = transact(session, &key, 0, put(&key, lease)).await.inspect_err(|stop| self.notice(stop))?;
        if !done.succeeded {
            return Ok(Outcome::fail("taken"));
        }
        self.held.insert(done.revision);
        Ok(Outcome::ok(done.revision, Some(done.revision)))
    }

    async fn prove(&mut self, session: &mut Session, key: Bytes, token: i64) -> Result<Outcome, Stop> {
        // Put with the same lease: a put without one would let the key outlive its holder.
        let Some(lease) = self.lease else { return Ok(Outcome::fail("not-held")) };
        let done = as_holder(session, &key, token, put(&key, lease)).await?;
        Ok(self.still_held(token, done.succeeded))
    }

    async fn release(&mut self, session: &mut Session, key: Bytes, token: i64) -> Result<Outcome, Stop> {
        self.held.remove(&token);
        let delete = Op::DeleteRange(DeleteRangeRequest { span: Span::Key(key.clone()), prev_kv: false });
        let done = as_holder(session, &key, token, delete).await?;
        Ok(self.still_held(token, done.succeeded))
    }

    /// A lease that has expired took every lock with it; the next acquisition needs a new one.
    fn notice(&mut self, stop: &Stop) {
        if *stop == Stop::Refused(Error::LeaseNotFound) {
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

impl Calls for Lock {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let key = Bytes::from(format!("{ROOT}/{key}"));
        match (invocation.f, invocation.value.as_i64()) {
            ("acquire", _) => self.acquire(session, key).await,
            ("prove", Some(token)) if self.held.contains(&token) => self.prove(session, key, token).await,
            ("release", Some(token)) if self.held.contains(&token) => self.release(session, key, token).await,
            // Acquired by an earlier client, with a lease that this one does not renew.
            ("prove" | "release", _) => Ok(Outcome::fail("not-held")),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

fn put(key: &Bytes, lease: i64) -> Op {
    Op::Put(PutRequest { lease, ..PutRequest::new(key.clone(), Bytes::new()) })
}

/// A holder whose proof or release is refused does not come back to the lock, so it must not go on renewing it.
async fn as_holder(session: &mut Session, key: &Bytes, token: i64, then: Op) -> Result<Done, Stop> {
    let done = transact(session, key, token, then).await;
    if done.is_err() {
        session.abandon();
    }
    done
}

/// Does it if the key was created at that revision; 0 if it does not exist.
async fn transact(session: &mut Session, key: &Bytes, created: i64, then: Op) -> Result<Done, Stop> {
    let condition =
        Compare { span: Span::Key(key.clone()), relation: Relation::Equal, operand: Operand::Create(created) };
    let request = TxnRequest { compare: vec![condition], success: vec![then], failure: Vec::new() };
    let answer = session.step(Effect::Write, Request::Txn(request)).await?;
    let Response::Txn(txn) = answer.response else { return Err(Stop::BadReply(Effect::Write)) };
    Ok(Done { succeeded: txn.succeeded, revision: answer.header.revision })
}
