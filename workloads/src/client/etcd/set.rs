//! Sets: the keys below `/grudge/set/<key>/`.
//!
//! `add` puts the key `/grudge/set/<key>/<element>`; the `version` of the history is its mod revision. `read` is a
//! linearizable range over the set's keys, `read-local` a serializable one, as the member that is asked has it; their
//! `version` is the store's revision.

use async_trait::async_trait;

use super::directory::names;
use super::outcome::Stop;
use super::pb::PutRequest;
use super::register::revision;
use super::session::Session;
use crate::client::Effect;
use crate::client::adapter::Calls;
use crate::client::{Reads, numbers};
use crate::operation::{Invocation, Outcome};

const ROOT: &str = "/grudge/set";

/// Calls on sets.
#[derive(Clone, Default)]
pub(crate) struct Set;

impl Set {
    async fn read(&self, session: &mut Session, directory: &str, reads: Reads) -> Result<Outcome, Stop> {
        let (names, revision) = names(session, directory, reads).await?;
        Ok(Outcome::ok(numbers(names), revision))
    }
}

#[async_trait]
impl Calls<Session> for Set {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let directory = format!("{ROOT}/{key}");
        match invocation.f {
            "add" => {
                let key = format!("{directory}/{}", invocation.value).into_bytes();
                let mut kv = session.kv()?;
                let put = PutRequest { key, ..PutRequest::default() };
                let response = session.step(Effect::Write, kv.put(put)).await?;
                Ok(Outcome::ok(invocation.value.clone(), revision(response.header)))
            }
            "read" => self.read(session, &directory, Reads::Linearizable).await,
            "read-local" => self.read(session, &directory, Reads::Local).await,
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}
