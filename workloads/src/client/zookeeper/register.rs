//! Registers: one znode each, `/grudge/register/<key>`.
//!
//! An empty znode is an empty register, and so is none. `write` is `setData` at any version; `cas` is `getData` and then
//! `setData` at the version that was read, so that the server itself compares. The `version` of the history is the mzxid.

use async_trait::async_trait;
use serde_json::Value;
use zookeeper_client::{Error, Stat};

use super::directory::Known;
use super::outcome::Stop;
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
    znodes: Known,
}

impl Register {
    /// Registers that are read so.
    pub(crate) fn new(reads: Reads) -> Self {
        Register { reads, znodes: Known::default() }
    }

    async fn read(&mut self, session: &mut Session, path: &str) -> Result<(Value, Stat), Stop> {
        if self.reads == Reads::Linearizable {
            let client = session.client()?;
            session.step(Effect::None, client.sync(path)).await?;
        }
        let client = session.client()?;
        let (data, stat) = session.step(Effect::None, client.get_data(path)).await?;
        Ok((decode(&data), stat))
    }

    async fn write(&mut self, session: &mut Session, path: &str, value: &Value) -> Result<Outcome, Stop> {
        let client = session.client()?;
        let stat = session.step(Effect::Write, client.set_data(path, value.to_string().as_bytes(), None)).await?;
        Ok(Outcome::ok(value.clone(), Some(stat.mzxid)))
    }

    async fn cas(&mut self, session: &mut Session, path: &str, value: &Value) -> Result<Outcome, Stop> {
        let Some([old, new]) = value.as_array().map(Vec::as_slice) else { return Ok(Outcome::fail("bad-arguments")) };
        let (current, stat) = self.read(session, path).await?;
        if current != *old {
            return Ok(Outcome::fail("mismatch"));
        }
        let client = session.client()?;
        let set = client.set_data(path, new.to_string().as_bytes(), Some(stat.version));
        let stat = session.step(Effect::Write, set).await?;
        Ok(Outcome::ok(value.clone(), Some(stat.mzxid)))
    }
}

#[async_trait]
impl Calls<Session> for Register {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let path = format!("{ROOT}/{key}");
        match invocation.f {
            "read" => match self.read(session, &path).await {
                Ok((value, stat)) => Ok(Outcome::ok(value, Some(stat.mzxid))),
                Err(Stop::Error(_, Error::NoNode)) => Ok(Outcome::ok(Value::Null, None)),
                Err(stop) => Err(stop),
            },
            "write" => {
                self.znodes.ensure(session, &path).await?;
                self.write(session, &path, &invocation.value).await
            }
            "cas" => {
                self.znodes.ensure(session, &path).await?;
                self.cas(session, &path, &invocation.value).await
            }
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

pub(super) fn decode(data: &[u8]) -> Value {
    if data.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(data).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(data).into_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_becomes_a_value() {
        let cases =
            [(&b""[..], Value::Null), (b"17", json!(17)), (b"\"x\"", json!("x")), (b"\xffx", json!("\u{fffd}x"))];
        for (data, value) in cases {
            assert_eq!(decode(data), value);
        }
    }
}
