//! Sets: the children of one znode each, `/grudge/set/<key>`.
//!
//! `add` creates the persistent znode `/grudge/set/<key>/<element>`; the `version` of the history is its czxid. `read` is
//! `sync` and then `getChildren`; `read-local` is `getChildren` alone, as the server that is asked has it.

use async_trait::async_trait;

use super::directory::{Known, PERSISTENT, children};
use super::outcome::Stop;
use super::session::Session;
use crate::client::Effect;
use crate::client::adapter::Calls;
use crate::client::numbers;
use crate::operation::{Invocation, Outcome};

const ROOT: &str = "/grudge/set";

/// Calls on sets.
#[derive(Clone, Default)]
pub(crate) struct Set {
    directories: Known,
}

#[async_trait]
impl Calls<Session> for Set {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let directory = format!("{ROOT}/{key}");
        match invocation.f {
            "add" => {
                self.directories.ensure(session, &directory).await?;
                let path = format!("{directory}/{}", invocation.value);
                let client = session.client()?;
                let (stat, _) = session.step(Effect::Write, client.create(&path, b"", &PERSISTENT)).await?;
                Ok(Outcome::ok(invocation.value.clone(), Some(stat.czxid)))
            }
            "read" => {
                let client = session.client()?;
                session.step(Effect::None, client.sync(&directory)).await?;
                Ok(Outcome::ok(numbers(children(session, &directory).await?), None))
            }
            "read-local" => Ok(Outcome::ok(numbers(children(session, &directory).await?), None)),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}
