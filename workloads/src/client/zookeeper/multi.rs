//! Pairs of znodes made by one multi each, below one znode for each key, `/grudge/multi/<key>`.
//!
//! `write` of v is a multi of two creates, `<v>-a` and `<v>-b`; the `version` of the history is their czxid, if the server
//! tells it. `read` is one `getChildren` of the key's znode, as the server that is asked has it: both halves of every
//! pair at one moment. Its value is `[[first halves], [second halves]]`.

use async_trait::async_trait;
use zookeeper_client::{Error, MultiWriteResult};

use super::directory::{Known, PERSISTENT, children};
use super::outcome::Stop;
use super::session::Session;
use crate::client::Effect;
use crate::client::adapter::Calls;
use crate::client::halves;
use crate::operation::{Invocation, Outcome};

const ROOT: &str = "/grudge/multi";

/// Calls on pairs.
#[derive(Clone, Default)]
pub(crate) struct Multi {
    directories: Known,
}

#[async_trait]
impl Calls<Session> for Multi {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let directory = format!("{ROOT}/{key}");
        match invocation.f {
            "write" => {
                self.directories.ensure(session, &directory).await?;
                let version = write(session, &format!("{directory}/{}", invocation.value)).await?;
                Ok(Outcome::ok(invocation.value.clone(), version))
            }
            "read" => Ok(Outcome::ok(halves(children(session, &directory).await?), None)),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

async fn write(session: &mut Session, pair: &str) -> Result<Option<i64>, Stop> {
    let client = session.client()?;
    let mut multi = client.new_multi_writer();
    for half in ["a", "b"] {
        let added = multi.add_create(&format!("{pair}-{half}"), b"", &PERSISTENT);
        added.map_err(|error| Stop::Error(Effect::None, error))?;
    }
    let commit = multi.commit();
    let results = session.step(Effect::Write, async { commit.await.map_err(Error::from) }).await?;
    Ok(match results.first() {
        // Some servers leave the stat out of a multi's answer (ZOOKEEPER-4026, 4667).
        Some(MultiWriteResult::Create { stat, .. }) if !stat.is_invalid() => Some(stat.czxid),
        _ => None,
    })
}
