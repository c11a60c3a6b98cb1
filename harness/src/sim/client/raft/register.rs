//! Registers: one key each, `/grudge/register/<key>`. The `version` of the history is the mod revision.

use bytes::Bytes;
use grudge_nodes::kv::api::{
    Compare, Consistency, Op, Operand, PutRequest, RangeRequest, Relation, Request, Response, Span, TxnRequest,
};
use grudge_workloads::operation::{Invocation, Outcome};
use serde_json::Value;

use super::outcome::Stop;
use super::{Calls, Effect, Session};

const ROOT: &str = "/grudge/register";

/// Calls on registers.
pub(super) struct Register {
    reads: Consistency,
}

impl Register {
    /// Registers that are read so.
    pub(super) fn new(reads: Consistency) -> Self {
        Register { reads }
    }

    async fn read(&self, session: &mut Session, key: Bytes) -> Result<Outcome, Stop> {
        let request = RangeRequest { consistency: self.reads, ..RangeRequest::new(Span::Key(key)) };
        let answer = session.step(Effect::None, Request::Range(request)).await?;
        let Response::Range(range) = answer.response else { return Err(Stop::BadReply(Effect::None)) };
        Ok(match range.kvs.first() {
            Some(pair) => Outcome::ok(decode(&pair.value), Some(pair.mod_revision)),
            None => Outcome::ok(Value::Null, None),
        })
    }

    async fn write(&self, session: &mut Session, key: Bytes, value: &Value) -> Result<Outcome, Stop> {
        let answer = session.step(Effect::Write, Request::Put(PutRequest::new(key, encode(value)))).await?;
        Ok(Outcome::ok(value.clone(), Some(answer.header.revision)))
    }

    async fn cas(&self, session: &mut Session, key: Bytes, value: &Value) -> Result<Outcome, Stop> {
        let Some([old, new]) = value.as_array().map(Vec::as_slice) else { return Ok(Outcome::fail("bad-arguments")) };
        let request = TxnRequest {
            compare: vec![is(key.clone(), old)],
            success: vec![Op::Put(PutRequest::new(key, encode(new)))],
            failure: Vec::new(),
        };
        let answer = session.step(Effect::Write, Request::Txn(request)).await?;
        let Response::Txn(txn) = answer.response else { return Err(Stop::BadReply(Effect::Write)) };
        Ok(match txn.succeeded {
            true => Outcome::ok(value.clone(), Some(answer.header.revision)),
            false => Outcome::fail("mismatch"),
        })
    }
}

impl Calls for Register {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let key = Bytes::from(format!("{ROOT}/{key}"));
        match invocation.f {
            "read" => self.read(session, key).await,
            "write" => self.write(session, key, &invocation.value).await,
            "cas" => self.cas(session, key, &invocation.value).await,
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

/// That the register holds this value. An empty register is a key that does not exist.
fn is(key: Bytes, value: &Value) -> Compare {
    let operand = match value {
        Value::Null => Operand::Create(0),
        value => Operand::Value(encode(value)),
    };
    Compare { span: Span::Key(key), relation: Relation::Equal, operand }
}

fn encode(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn decode(data: &[u8]) -> Value {
    serde_json::from_slice(data).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(data).into_owned()))
}
