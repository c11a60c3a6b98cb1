//! Pairs of keys put by one transaction each, below `/grudge/multi/<key>/`; see the real client.

use bytes::Bytes;
use grudge_nodes::kv::api::{Consistency, Op, PutRequest, Request, TxnRequest};
use grudge_workloads::client::halves;
use grudge_workloads::operation::{Invocation, Outcome};

use super::outcome::Stop;
use super::{Calls, Effect, Session};

const ROOT: &str = "/grudge/multi";

/// Calls on pairs.
pub(super) struct Multi;

impl Calls for Multi {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let directory = format!("{ROOT}/{key}");
        match invocation.f {
            "write" => {
                let put = |half| PutRequest::new(format!("{directory}/{}-{half}", invocation.value), Bytes::new());
                let success = ["a", "b"].map(|half| Op::Put(put(half))).into();
                let both = TxnRequest { success, ..TxnRequest::default() };
                let answer = session.step(Effect::Write, Request::Txn(both)).await?;
                Ok(Outcome::ok(invocation.value.clone(), Some(answer.header.revision)))
            }
            "read" => {
                let (names, revision) = session.names(&directory, Consistency::Serializable).await?;
                Ok(Outcome::ok(halves(names), Some(revision)))
            }
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}
