//! Sets: the children of one znode each, `/grudge/set/<key>`; see the real client.

use grudge_nodes::znode::CreateMode;
use grudge_workloads::client::numbers;
use grudge_workloads::operation::{Invocation, Outcome};

use super::outcome::Stop;
use super::{Calls, Effect, Session};

const ROOT: &str = "/grudge/set";

/// Calls on sets.
pub(super) struct Set;

impl Calls for Set {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let directory = format!("{ROOT}/{key}");
        match invocation.f {
            "add" => {
                session.ensure(&directory).await?;
                let path = format!("{directory}/{}", invocation.value);
                let (_, stat) = session.create(Effect::Write, &path, b"", CreateMode::Persistent).await?;
                Ok(Outcome::ok(invocation.value.clone(), Some(stat.czxid)))
            }
            "read" => {
                session.sync(&directory).await?;
                Ok(Outcome::ok(numbers(session.children(&directory).await?), None))
            }
            "read-local" => Ok(Outcome::ok(numbers(session.children(&directory).await?), None)),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}
