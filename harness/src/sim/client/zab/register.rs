//! Registers: one znode each, `/grudge/register/<key>`; see the real client. The `version` of the history is the
//! mzxid.

use grudge_nodes::znode::{ErrorCode, Stat};
use grudge_workloads::operation::{Invocation, Outcome};
use serde_json::Value;

use super::outcome::Stop;
use super::{Calls, Session};

const ROOT: &str = "/grudge/register";

/// Which reads a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// A read sees every write that was acknowledged before it began.
    Linearizable,
    /// A read is served by the node that is asked, from what it has.
    Local,
}

/// Calls on registers.
pub(super) struct Register {
    reads: Reads,
}

impl Register {
    /// Registers that are read so.
    pub(super) fn new(reads: Reads) -> Self {
        Register { reads }
    }

    async fn read(&mut self, session: &mut Session, path: &str) -> Result<(Value, Stat), Stop> {
        if self.reads == Reads::Linearizable {
            session.sync(path).await?;
        }
        let (data, stat) = session.get_data(path).await?;
        Ok((decode(&data), stat))
    }

    async fn write(&mut self, session: &mut Session, path: &str, value: &Value) -> Result<Outcome, Stop> {
        let stat = session.set_data(path, value.to_string().into_bytes(), -1).await?;
        Ok(Outcome::ok(value.clone(), Some(stat.mzxid)))
    }

    async fn cas(&mut self, session: &mut Session, path: &str, value: &Value) -> Result<Outcome, Stop> {
        let Some([old, new]) = value.as_array().map(Vec::as_slice) else { return Ok(Outcome::fail("bad-arguments")) };
        let (current, stat) = self.read(session, path).await?;
        if current != *old {
            return Ok(Outcome::fail("mismatch"));
        }
        let stat = session.set_data(path, new.to_string().into_bytes(), stat.version).await?;
        Ok(Outcome::ok(value.clone(), Some(stat.mzxid)))
    }
}

impl Calls for Register {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let path = format!("{ROOT}/{key}");
        match invocation.f {
            "read" => match self.read(session, &path).await {
                Ok((value, stat)) => Ok(Outcome::ok(value, Some(stat.mzxid))),
                Err(Stop::Refused(_, ErrorCode::NoNode)) => Ok(Outcome::ok(Value::Null, None)),
                Err(stop) => Err(stop),
            },
            "write" => {
                session.ensure(&path).await?;
                self.write(session, &path, &invocation.value).await
            }
            "cas" => {
                session.ensure(&path).await?;
                self.cas(session, &path, &invocation.value).await
            }
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

/// An empty znode is an empty register.
pub(super) fn decode(data: &[u8]) -> Value {
    if data.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(data).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(data).into_owned()))
}
