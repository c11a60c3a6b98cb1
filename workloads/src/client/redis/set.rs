//! Sets: one key each, `grudge:set:<key>`. `read` asks the master, `read-local` the server of the node itself.

use async_trait::async_trait;
use redis::cmd;

use super::outcome::Stop;
use super::session::Session;
use crate::client::adapter::Calls;
use crate::client::{Effect, numbers};
use crate::operation::{Invocation, Outcome};

const ROOT: &str = "grudge:set";

/// Calls on sets.
#[derive(Clone, Default)]
pub(crate) struct Set;

#[async_trait]
impl Calls<Session> for Set {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let key = format!("{ROOT}:{key}");
        let mut members = cmd("SMEMBERS");
        members.arg(&key);
        let elements: Vec<String> = match invocation.f {
            "add" => {
                let () = session.step(Effect::Write, cmd("SADD").arg(&key).arg(invocation.value.to_string())).await?;
                return Ok(Outcome::ok(invocation.value.clone(), None));
            }
            "read" => session.step(Effect::None, &members).await?,
            "read-local" => session.step_at_own(&members).await?,
            _ => return Ok(Outcome::fail("unsupported")),
        };
        Ok(Outcome::ok(numbers(elements), None))
    }
}
