//! Locks: the recipe without herd, one directory each, `/grudge/lock/<key>`; see the real client.

use std::collections::BTreeMap;

use grudge_nodes::replica::Time;
use grudge_nodes::znode::{CreateMode, ErrorCode, Read};
use grudge_workloads::operation::{Invocation, Outcome};

use super::outcome::{Stop, half_done};
use super::{Calls, Effect, Session};

const ROOT: &str = "/grudge/lock";
const PREFIX: &str = "hold-";

/// Calls on locks.
#[derive(Default)]
pub(super) struct Lock {
    held: BTreeMap<String, Held>,
}

/// A znode of this client's that holds or waits.
#[derive(Clone)]
struct Held {
    path: String,
    token: i64,
}

/// How the wait for the lock ended.
enum Turn {
    /// The own znode is the lowest.
    Mine,
    /// The own znode is not there any more.
    Gone,
    /// Time is up.
    Late,
}

impl Lock {
    async fn acquire(&mut self, session: &mut Session, key: &str) -> Result<Outcome, Stop> {
        if self.held.contains_key(key) {
            return Ok(Outcome::fail("already-held"));
        }
        let directory = format!("{ROOT}/{key}");
        session.make_directory(&directory).await?;
        // The last third of the time is left for taking the own znode back.
        let give_up = session.deadline() - session.timeout() / 3;
        let prefix = format!("{directory}/{PREFIX}");
        let (path, stat) = session.create(Effect::Write, &prefix, b"", CreateMode::EphemeralSequential).await?;
        let own = Held { path, token: stat.czxid };
        match wait_for_turn(session, &directory, &own.path, give_up).await {
            Ok(Turn::Mine) => {
                let outcome = Outcome::ok(own.token, Some(own.token));
                self.held.insert(key.to_owned(), own);
                Ok(outcome)
            }
            Ok(Turn::Gone) => Ok(Outcome::fail("session-expired")),
            Ok(Turn::Late) => match session.delete(&own.path).await {
                Ok(()) | Err(Stop::Refused(_, ErrorCode::NoNode)) => Ok(Outcome::fail("taken")),
                Err(stop) => Ok(half_done(stop)),
            },
            Err(stop) => Ok(half_done(stop)),
        }
    }

    async fn prove(&mut self, session: &mut Session, key: &str, held: &Held) -> Result<Outcome, Stop> {
        match session.set_data(&held.path, held.token.to_string().into_bytes(), -1).await {
            Ok(_) => Ok(Outcome::ok(held.token, Some(held.token))),
            Err(stop) => {
                self.held.remove(key);
                Err(stop)
            }
        }
    }

    async fn release(&mut self, session: &mut Session, key: &str, held: &Held) -> Result<Outcome, Stop> {
        self.held.remove(key);
        session.delete(&held.path).await?;
        Ok(Outcome::ok(held.token, Some(held.token)))
    }
}

impl Calls for Lock {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        if invocation.f == "acquire" {
            return self.acquire(session, key).await;
        }
        let held = match self.held.get(key) {
            Some(held) if invocation.value.as_i64() == Some(held.token) => held.clone(),
            // Acquired in an earlier session, whose znode this client does not own.
            _ => return Ok(Outcome::fail("not-held")),
        };
        match invocation.f {
            "prove" => self.prove(session, key, &held).await,
            "release" => self.release(session, key, &held).await,
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

/// Waits until the znode at `own` is the lowest. A proof by the one before wakes as well; then the wait goes on.
async fn wait_for_turn(session: &mut Session, directory: &str, own: &str, give_up: Time) -> Result<Turn, Stop> {
    let own = own.rsplit('/').next().unwrap_or(own);
    loop {
        let mut names = session.children(directory).await?;
        names.retain(|name| name.starts_with(PREFIX));
        // Ten digits with leading zeros: the order of the names is the order of the numbers.
        names.sort();
        let before = match names.iter().position(|name| name == own) {
            None => return Ok(Turn::Gone),
            Some(0) => return Ok(Turn::Mine),
            Some(position) => format!("{directory}/{}", names[position - 1]),
        };
        let there = match session.read(Read::Exists { path: before.clone(), watch: true }).await {
            Ok(_) => true,
            Err(Stop::Refused(_, ErrorCode::NoNode)) => false,
            Err(stop) => return Err(stop),
        };
        if there && !session.fired(&before, give_up).await? {
            return Ok(Turn::Late);
        }
    }
}
