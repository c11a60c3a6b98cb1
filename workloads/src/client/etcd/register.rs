//! Registers: one key each, `/grudge/register/<key>`. The `version` of the history is the mod revision.

use async_trait::async_trait;
use serde_json::Value;

use super::outcome::Stop;
use super::pb::compare::{CompareResult, CompareTarget, TargetUnion};
use super::pb::request_op::Request;
use super::pb::{Compare, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest};
use super::session::Session;
use crate::client::Effect;
use crate::client::Reads;
use crate::client::adapter::Calls;
use crate::operation::{Invocation, Outcome};

const ROOT: &str = "/grudge/register";

/// Calls on registers.
#[derive(Clone)]
pub(crate) struct Register {
    reads: Reads,
}

impl Register {
    /// Registers that are read so.
    pub(crate) fn new(reads: Reads) -> Self {
        Register { reads }
    }

    async fn read(&self, session: &mut Session, key: Vec<u8>) -> Result<Outcome, Stop> {
        let request = RangeRequest { key, serializable: self.reads == Reads::Local, ..RangeRequest::default() };
        let mut kv = session.kv()?;
        let response = session.step(Effect::None, kv.range(request)).await?;
        Ok(match response.kvs.first() {
            Some(pair) => Outcome::ok(decode(&pair.value), Some(pair.mod_revision)),
            None => Outcome::ok(Value::Null, None),
        })
    }

    async fn write(&self, session: &mut Session, key: Vec<u8>, value: &Value) -> Result<Outcome, Stop> {
        let mut kv = session.kv()?;
        let response = session.step(Effect::Write, kv.put(put(key, value))).await?;
        Ok(Outcome::ok(value.clone(), revision(response.header)))
    }

    async fn cas(&self, session: &mut Session, key: Vec<u8>, value: &Value) -> Result<Outcome, Stop> {
        let Some([old, new]) = value.as_array().map(Vec::as_slice) else { return Ok(Outcome::fail("bad-arguments")) };
        let set = RequestOp { request: Some(Request::RequestPut(put(key.clone(), new))) };
        let request = TxnRequest { compare: vec![is(key, old)], success: vec![set], failure: Vec::new() };
        let mut kv = session.kv()?;
        let response = session.step(Effect::Write, kv.txn(request)).await?;
        Ok(match response.succeeded {
            true => Outcome::ok(value.clone(), revision(response.header)),
            false => Outcome::fail("mismatch"),
        })
    }
}

#[async_trait]
impl Calls<Session> for Register {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let key = format!("{ROOT}/{key}").into_bytes();
        match invocation.f {
            "read" => self.read(session, key).await,
            "write" => self.write(session, key, &invocation.value).await,
            "cas" => self.cas(session, key, &invocation.value).await,
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

fn put(key: Vec<u8>, value: &Value) -> PutRequest {
    PutRequest { key, value: value.to_string().into_bytes(), ..PutRequest::default() }
}

/// That the register holds this value. An empty register is a key that does not exist.
fn is(key: Vec<u8>, value: &Value) -> Compare {
    let (target, union) = match value {
        Value::Null => (CompareTarget::Create, TargetUnion::CreateRevision(0)),
        value => (CompareTarget::Value, TargetUnion::Value(value.to_string().into_bytes())),
    };
    Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key,
        target_union: Some(union),
        ..Compare::default()
    }
}

/// The revision in the header, which is that of a write's own effect.
pub(super) fn revision(header: Option<ResponseHeader>) -> Option<i64> {
    header.map(|header| header.revision)
}

fn decode(data: &[u8]) -> Value {
    serde_json::from_slice(data).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(data).into_owned()))
}
