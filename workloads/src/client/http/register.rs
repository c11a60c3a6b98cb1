//! Registers, as the description has them.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::api::{Api, Call};
use super::line::Fillings;
use super::outcome::{Said, meaning};
use super::session::{Answer, Session};
use super::sign::found;
use crate::client::Effect;
use crate::client::adapter::Calls;
use crate::client::stop::Stop;
use crate::operation::{Invocation, Outcome};

/// Calls on registers.
#[derive(Clone)]
pub(crate) struct Register {
    api: Arc<Api>,
}

impl Register {
    /// Registers that are described so.
    pub(crate) fn new(api: Arc<Api>) -> Self {
        Register { api }
    }

    async fn read(&self, session: &mut Session, key: &str) -> Result<Outcome, Stop> {
        let call = &self.api.read;
        let (said, answer) = step(session, call, Effect::None, &[("{key}", key.to_owned())]).await?;
        let value = match said {
            Said::Absent => Some(Value::Null),
            Said::Done => found(&answer.body, &call.value),
        };
        Ok(value.map_or_else(|| Outcome::fail("no-value"), |value| Outcome::ok(plain(value), None)))
    }

    async fn write(&self, session: &mut Session, key: &str, value: &Value) -> Result<Outcome, Stop> {
        let fillings = [("{key}", key.to_owned()), ("{value}", value.to_string())];
        step(session, &self.api.write, Effect::Write, &fillings).await?;
        Ok(Outcome::ok(value.clone(), None))
    }

    async fn cas(&self, session: &mut Session, key: &str, value: &Value) -> Result<Outcome, Stop> {
        let Some(call) = &self.api.cas else { return Ok(Outcome::fail("unsupported")) };
        let Some([old, new]) = value.as_array().map(Vec::as_slice) else { return Ok(Outcome::fail("bad-arguments")) };
        let fillings = [("{key}", key.to_owned()), ("{old}", old.to_string()), ("{new}", new.to_string())];
        step(session, call, Effect::Write, &fillings).await?;
        Ok(Outcome::ok(value.clone(), None))
    }
}

#[async_trait]
impl Calls<Session> for Register {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        match invocation.f {
            "read" => self.read(session, key).await,
            "write" => self.write(session, key, &invocation.value).await,
            "cas" => self.cas(session, key, &invocation.value).await,
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

async fn step(session: &mut Session, call: &Call, effect: Effect, with: &Fillings<'_>) -> Result<(Said, Answer), Stop> {
    let request = call
        .filled(&session.target().address.to_string(), with)
        .ok_or_else(|| Stop::Refused("bad-request".to_owned()))?;
    let answer = session.step(effect, request).await?;
    Ok((meaning(call, effect, &answer)?, answer))
}

/// A value that was written as JSON and may have come back as a text.
fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        value => value,
    }
}
