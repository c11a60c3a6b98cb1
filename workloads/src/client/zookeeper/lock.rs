//! Locks: the recipe without herd, one directory each, `/grudge/lock/<key>`.
//!
//! To acquire, make an ephemeral sequential znode. The lowest holds the lock; everybody else waits for exactly one
//! deletion, that of the znode before its own, and looks again. The list of children may be old, which is safe: the
//! numbers are given out in order, so a list that has the own znode has all znodes before it, and at worst some that
//! are gone.
//!
//! The fencing token is the czxid of the own znode. It grows from holder to holder, since the order of the znodes is
//! the order of their creation. To prove is to set the own znode's data: the server refuses once the session has
//! expired, and nobody else can hold before that. To release is to delete it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio::time::Instant;
use zookeeper_client::{Acls, CreateMode, CreateOptions, Error};

use super::directory::make_directory;
use super::outcome::{Stop, half_done};
use super::session::Session;
use crate::client::adapter::Calls;
use crate::client::{Effect, work};
use crate::operation::{Invocation, Outcome};

const ROOT: &str = "/grudge/lock";
const PREFIX: &str = "hold-";
const OWN: CreateOptions<'static> = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());

/// Calls on locks.
#[derive(Clone, Default)]
pub(crate) struct Lock {
    held: BTreeMap<String, Held>,
}

/// A znode of this client's that holds or waits.
#[derive(Clone)]
struct Held {
    path: String,
    token: i64,
}

impl Lock {
    async fn acquire(&mut self, session: &mut Session, key: &str) -> Result<Outcome, Stop> {
        if self.held.contains_key(key) {
            return Ok(Outcome::fail("already-held"));
        }
        let directory = format!("{ROOT}/{key}");
        make_directory(session, &directory).await?;
        // The last third of the time is left for taking the own znode back.
        let give_up = session.deadline() - session.target().timeout / 3;
        let own = create_own(session, &directory).await?;
        match wait_for_turn(session, &directory, &own.path, give_up).await {
            Ok(Turn::Mine) => {
                let outcome = Outcome::ok(own.token, Some(own.token));
                self.held.insert(key.to_owned(), own);
                Ok(outcome)
            }
            Ok(Turn::Gone) => Ok(Outcome::fail("session-expired")),
            Ok(Turn::Late) => match delete(session, &own.path).await {
                Ok(()) | Err(Stop::Error(_, Error::NoNode)) => Ok(Outcome::fail("taken")),
                Err(stop) => Ok(half_done(stop)),
            },
            Err(stop) => Ok(half_done(stop)),
        }
    }

    async fn prove(&mut self, session: &mut Session, key: &str, held: &Held) -> Result<Outcome, Stop> {
        let client = session.client()?;
        let proof = client.set_data(&held.path, held.token.to_string().as_bytes(), None);
        match session.step(Effect::Write, proof).await {
            Ok(_) => Ok(Outcome::ok(held.token, Some(held.token))),
            Err(stop) => {
                self.held.remove(key);
                Err(stop)
            }
        }
    }

    async fn release(&mut self, session: &mut Session, key: &str, held: &Held) -> Result<Outcome, Stop> {
        self.held.remove(key);
        delete(session, &held.path).await?;
        Ok(Outcome::ok(held.token, Some(held.token)))
    }
}

#[async_trait]
impl Calls<Session> for Lock {
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
            "work" => Ok(work(held.token).await),
            "prove" => self.prove(session, key, &held).await,
            "release" => self.release(session, key, &held).await,
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

enum Turn {
    /// The own znode is the lowest.
    Mine,
    /// The own znode is not there any more.
    Gone,
    /// Time is up.
    Late,
}

async fn create_own(session: &mut Session, directory: &str) -> Result<Held, Stop> {
    let prefix = format!("{directory}/{PREFIX}");
    let client = session.client()?;
    let (stat, sequence) = session.step(Effect::Write, client.create(&prefix, b"", &OWN)).await?;
    Ok(Held { path: format!("{prefix}{sequence}"), token: stat.czxid })
}

/// Waits until the znode at `own` is the lowest. A proof by the one before wakes as well; then the wait goes on.
async fn wait_for_turn(session: &mut Session, directory: &str, own: &str, give_up: Instant) -> Result<Turn, Stop> {
    let own = own.rsplit('/').next().unwrap_or(own);
    loop {
        let client = session.client()?;
        let mut names = session.step(Effect::None, client.list_children(directory)).await?;
        names.retain(|name| name.starts_with(PREFIX));
        // Ten digits with leading zeros: the order of the names is the order of the numbers.
        names.sort();
        let before = match names.iter().position(|name| name == own) {
            None => return Ok(Turn::Gone),
            Some(0) => return Ok(Turn::Mine),
            Some(position) => format!("{directory}/{}", names[position - 1]),
        };
        let client = session.client()?;
        let (stat, watcher) = session.step(Effect::None, client.check_and_watch_stat(&before)).await?;
        if stat.is_some() && !session.wait(give_up, watcher.changed()).await? {
            return Ok(Turn::Late);
        }
    }
}

async fn delete(session: &mut Session, path: &str) -> Result<(), Stop> {
    let client = session.client()?;
    session.step(Effect::Write, client.delete(path, None)).await
}
