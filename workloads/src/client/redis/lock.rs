//! Locks: one key each, `grudge:lock:<key>`, set with a time to live if it does not exist.
//!
//! The fencing token comes from a counter of the lock's, `grudge:fence:<key>`, raised in the same script. It is also what
//! the fenced resource goes by, `grudge:resource:<key>`: to prove is to write there, which is done unless a higher token
//! was given out. To release is to delete the key if it still holds the token.
//!
//! A lock that is taken is not waited for: to try again is a new operation. A holder's lock is renewed in the background
//! three times in its life, as long as the client lives; a dead client's is left to expire.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, RedisResult, cmd};
use tokio::time::{sleep, timeout};

use super::link::Link;
use super::outcome::Stop;
use super::session::Session;
use crate::client::adapter::Calls;
use crate::client::{Effect, work};
use crate::operation::{Invocation, Outcome};

const LOCK: &str = "grudge:lock";
const FENCE: &str = "grudge:fence";
const RESOURCE: &str = "grudge:resource";

/// The token, or nothing if the lock is taken.
const ACQUIRE: &str = "
local token = (redis.call('GET', KEYS[2]) or 0) + 1
if not redis.call('SET', KEYS[1], token, 'NX', 'PX', ARGV[1]) then return false end
return redis.call('INCR', KEYS[2])";

/// Whether the token is still that of the lock, which then lives so much longer.
const RENEW: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

/// Whether the resource has taken what the token's holder writes.
const PROVE: &str = "
if tonumber(redis.call('GET', KEYS[1]) or 0) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
return 1";

/// Whether the token was that of the lock, which is free now.
const RELEASE: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])";

/// Calls on locks.
#[derive(Clone, Default)]
pub(crate) struct Lock {
    /// Locks and tokens that this client acquired and has not lost.
    held: BTreeSet<(String, i64)>,
}

impl Lock {
    async fn acquire(&mut self, session: &mut Session, key: &str) -> Result<Outcome, Stop> {
        let life = session.target().ttl;
        let request = script(ACQUIRE, &[&of(LOCK, key), &of(FENCE, key)], &[milliseconds(life)]);
        let Some(token) = session.step::<Option<i64>>(Effect::Write, &request).await? else {
            return Ok(Outcome::fail("taken"));
        };
        if let Ok((link, spawner)) = session.link() {
            let renewal = script(RENEW, &[&of(LOCK, key)], &[token, milliseconds(life)]);
            spawner.spawn(keep_alive(link, renewal, life / 3));
        }
        self.held.insert((key.to_owned(), token));
        Ok(Outcome::ok(token, Some(token)))
    }

    async fn prove(&mut self, session: &mut Session, key: &str, token: i64) -> Result<Outcome, Stop> {
        let request = script(PROVE, &[&of(FENCE, key), &of(RESOURCE, key)], &[token]);
        let is_taken = as_holder(session, &request).await?;
        if !is_taken {
            self.held.remove(&(key.to_owned(), token));
        }
        Ok(told(token, is_taken))
    }

    async fn release(&mut self, session: &mut Session, key: &str, token: i64) -> Result<Outcome, Stop> {
        self.held.remove(&(key.to_owned(), token));
        let request = script(RELEASE, &[&of(LOCK, key)], &[token]);
        Ok(told(token, as_holder(session, &request).await?))
    }
}

#[async_trait]
impl Calls<Session> for Lock {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        if invocation.f == "acquire" {
            return self.acquire(session, key).await;
        }
        let token = match invocation.value.as_i64() {
            Some(token) if self.held.contains(&(key.clone(), token)) => token,
            // Acquired by an earlier client, whose lock nobody renews.
            _ => return Ok(Outcome::fail("not-held")),
        };
        match invocation.f {
            "prove" => self.prove(session, key, token).await,
            "release" => self.release(session, key, token).await,
            "work" => Ok(work(token).await),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }

    async fn close(&mut self, session: &mut Session) {
        for (key, token) in std::mem::take(&mut self.held) {
            // What cannot be released now expires by itself.
            let _ = self.release(session, &key, token).await;
        }
    }
}

/// A holder that does not know what became of its proof or release does not come back to the lock. So it must not go on
/// renewing it: the client ends, and its lock is left to expire.
async fn as_holder(session: &mut Session, request: &Cmd) -> Result<bool, Stop> {
    let answer = session.step(Effect::Write, request).await;
    if answer.is_err() {
        session.end();
    }
    answer
}

/// Renews a lock until it is another's or nobody's. A renewal that gets no answer is followed by the next one in time; it
/// is no operation of the history.
async fn keep_alive(link: Link, renewal: Cmd, pause: Duration) {
    loop {
        sleep(pause).await;
        let renewed: Result<RedisResult<bool>, _> = timeout(pause, link.ask(&renewal)).await;
        if matches!(renewed, Ok(Ok(false))) {
            return;
        }
    }
}

fn told(token: i64, is_done: bool) -> Outcome {
    if is_done { Outcome::ok(token, Some(token)) } else { Outcome::fail("lost") }
}

fn of(root: &str, key: &str) -> String {
    format!("{root}:{key}")
}

fn script(text: &str, keys: &[&str], arguments: &[i64]) -> Cmd {
    let mut request = cmd("EVAL");
    request.arg(text).arg(keys.len()).arg(keys).arg(arguments);
    request
}

fn milliseconds(life: Duration) -> i64 {
    i64::try_from(life.as_millis()).unwrap_or(i64::MAX).max(1)
}
