//! Pairs of keys put by one transaction each, below `/grudge/multi/<key>/`.
//!
//! `write` of v is a transaction without conditions that puts `<v>-a` and `<v>-b`; the `version` of the history is its
//! revision. `read` is one serializable range over the key's pairs, as the member that is asked has it: both halves of
//! every pair at one moment. Its value is `[[first halves], [second halves]]`, its `version` the store's revision.

use async_trait::async_trait;

use super::directory::names;
use super::outcome::Stop;
use super::pb::request_op::Request;
use super::pb::{PutRequest, RequestOp, TxnRequest};
use super::register::revision;
use super::session::Session;
use crate::client::Effect;
use crate::client::adapter::Calls;
use crate::client::{Reads, halves};
use crate::operation::{Invocation, Outcome};

const ROOT: &str = "/grudge/multi";

/// Calls on pairs.
#[derive(Clone, Default)]
pub(crate) struct Multi;

#[async_trait]
impl Calls<Session> for Multi {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let directory = format!("{ROOT}/{key}");
        match invocation.f {
            "write" => {
                let put = |half: &str| {
                    let key = format!("{directory}/{}-{half}", invocation.value).into_bytes();
                    RequestOp { request: Some(Request::RequestPut(PutRequest { key, ..PutRequest::default() })) }
                };
                let mut kv = session.kv()?;
                let both = TxnRequest { success: vec![put("a"), put("b")], ..TxnRequest::default() };
                let response = session.step(Effect::Write, kv.txn(both)).await?;
                Ok(Outcome::ok(invocation.value.clone(), revision(response.header)))
            }
            "read" => {
                let (names, revision) = names(session, &directory, Reads::Local).await?;
                Ok(Outcome::ok(halves(names), revision))
            }
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}
