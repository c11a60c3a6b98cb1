//! Sets: the keys below `/grudge/set/<key>/`; see the real client.

use bytes::Bytes;
use grudge_nodes::kv::api::{Consistency, PutRequest, Request};
use grudge_workloads::client::numbers;
use grudge_workloads::operation::{Invocation, Outcome};

use super::outcome::Stop;
use super::{Calls, Effect, Session};

const ROOT: &str = "/grudge/set";

/// Calls on sets.
pub(super) struct Set;

impl Set {
    async fn read(&self, session: &mut Session, directory: &str, reads: Consistency) -> Result<Outcome, Stop> {
        let (names, revision) = session.names(directory, reads).await?;
        Ok(Outcome::ok(numbers(names), Some(revision)))
    }
}

impl Calls for Set {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let directory = format!("{ROOT}/{key}");
        match invocation.f {
            "add" => {
                let put = PutRequest::new(format!("{directory}/{}", invocation.value), Bytes::new());
                let answer = session.step(Effect::Write, Request::Put(put)).await?;
                Ok(Outcome::ok(invocation.value.clone(), Some(answer.header.revision)))
            }
            "read" => self.read(session, &directory, Consistency::Linearizable).await,
            "read-local" => self.read(session, &directory, Consistency::Serializable).await,
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}
