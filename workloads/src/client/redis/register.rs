//! Registers: one key each, `grudge:register:<key>`, which holds the value as JSON. There is no `version`.

use async_trait::async_trait;
use redis::cmd;
use serde_json::Value;

use super::outcome::Stop;
use super::session::Session;
use crate::client::Effect;
use crate::client::adapter::Calls;
use crate::operation::{Invocation, Outcome};

const ROOT: &str = "grudge:register";

/// Sets the key if it holds that; a key that does not exist holds `null`.
const CAS: &str = "
if (redis.call('GET', KEYS[1]) or 'null') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1";

/// Calls on registers.
#[derive(Clone, Default)]
pub(crate) struct Register;

#[async_trait]
impl Calls<Session> for Register {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let key = format!("{ROOT}:{key}");
        match invocation.f {
            "read" => read(session, &key).await,
            "write" => write(session, &key, &invocation.value).await,
            "cas" => cas(session, &key, &invocation.value).await,
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

async fn read(session: &mut Session, key: &str) -> Result<Outcome, Stop> {
    let held: Option<String> = session.step(Effect::None, cmd("GET").arg(key)).await?;
    let value = held.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
    Ok(Outcome::ok(value, None))
}

async fn write(session: &mut Session, key: &str, value: &Value) -> Result<Outcome, Stop> {
    let () = session.step(Effect::Write, cmd("SET").arg(key).arg(value.to_string())).await?;
    Ok(Outcome::ok(value.clone(), None))
}

async fn cas(session: &mut Session, key: &str, value: &Value) -> Result<Outcome, Stop> {
    let Some([old, new]) = value.as_array().map(Vec::as_slice) else { return Ok(Outcome::fail("bad-arguments")) };
    let mut request = cmd("EVAL");
    request.arg(CAS).arg(1).arg(key).arg(old.to_string()).arg(new.to_string());
    Ok(match session.step(Effect::Write, &request).await? {
        true => Outcome::ok(value.clone(), None),
        false => Outcome::fail("mismatch"),
    })
}
