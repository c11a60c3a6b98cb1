//! Registers as a client sees them that wanders from server to server: one znode each, `/grudge/session/<key>`.
//!
//! # The operations
//!
//! - `read`: `getData`, as the server that the client is connected to has it. No znode or an empty one is `null`; the
//!   `version` is the mzxid, none if there is no znode.
//! - `write`: `setData` at any version; the `version` is the mzxid.
//! - `hop` of n: the client leaves its server without a word, connects to the n-th after it (in the order of
//!   [`Target::cluster`], round and round), and presents its session and the last zxid it has seen anywhere. The result
//!   is the node's name, the `version` the zxid that was presented. A server that has not got so far, or does not serve,
//!   refuses; then the client is nowhere, and what is not a `hop` fails as `disconnected`.
//!
//! # What is promised
//!
//! A client is one view of the world, however many servers it visits: ZooKeeper promises that it never sees an older
//! state after a newer one. The view outlives its session. When the session has expired, the next `hop` opens another
//! and presents the same zxid; so the client stays alive until an outcome is unknown. It sends each request once: there
//! is one request at a time on a connection, and the connection is closed when its answer does not come.
//!
//! # How
//!
//! A bare connection, because the library of the other clients can neither be told where to go nor what to present.

mod wire;

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use zookeeper_client::Error;

use super::outcome::{BAD_REPLY, Stop};
use super::register::decode;
use super::role;
use crate::client::Effect;
use crate::client::adapter::{Calls, Conversation};
use crate::client::{Peer, Role, Target};
use crate::operation::{Invocation, Outcome};
use wire::{Malformed, Pass, op};

const ROOT: &str = "/grudge/session";

/// One view of the cluster, at one server at a time.
pub(crate) struct Nomad {
    peers: Vec<Peer>,
    at: usize,
    patience: Duration,
    ttl: Duration,
    deadline: Instant,
    stream: Option<TcpStream>,
    pass: Option<Pass>,
    last_zxid_seen: i64,
    xid: i32,
}

#[async_trait]
impl Conversation for Nomad {
    type Stop = Stop;

    async fn open(target: &Target) -> Result<Nomad, String> {
        let mut peers = target.cluster.to_vec();
        let home = Peer { node: target.node.clone(), address: target.address };
        let at = peers.iter().position(|peer| *peer == home).unwrap_or(peers.len());
        if at == peers.len() {
            peers.push(home);
        }
        let mut nomad = Nomad {
            peers,
            at,
            patience: target.timeout,
            ttl: target.ttl,
            deadline: Instant::now() + target.timeout,
            stream: None,
            pass: None,
            last_zxid_seen: 0,
            xid: 0,
        };
        nomad.connect().await.map(|()| nomad).map_err(str::to_owned)
    }

    fn begin(&mut self) {
        self.deadline = Instant::now() + self.patience;
    }

    /// A view has no end: without a connection it can still go somewhere.
    fn alive(&self) -> bool {
        true
    }

    async fn close(&mut self) {
        // A session that cannot be closed now expires by itself.
        let _ = self.ask(Effect::None, op::CLOSE, &[]).await;
        self.stream = None;
    }

    async fn role(target: &Target) -> Result<Role, String> {
        role::ask(target).await
    }
}

impl Nomad {
    /// Goes to the n-th server after the present one. The error is a token: why it did not receive the client.
    async fn hop(&mut self, steps: usize) -> Result<(), &'static str> {
        self.at = (self.at + steps) % self.peers.len();
        self.stream = None;
        self.connect().await
    }

    async fn connect(&mut self) -> Result<(), &'static str> {
        let (stream, pass) = match timeout_at(self.deadline, self.greet()).await {
            Ok(greeted) => greeted?,
            Err(_) => return Err("connect-timeout"),
        };
        self.pass = pass;
        if self.pass.is_none() {
            return Err("session-expired");
        }
        self.stream = Some(stream);
        Ok(())
    }

    async fn greet(&self) -> Result<(TcpStream, Option<Pass>), &'static str> {
        let mut stream = TcpStream::connect(self.peers[self.at].address).await.map_err(|_| "refused")?;
        stream.set_nodelay(true).map_err(|_| "refused")?;
        let ttl = i32::try_from(self.ttl.as_millis()).unwrap_or(i32::MAX);
        let hello = wire::connect(self.last_zxid_seen, ttl, self.pass.as_ref());
        // A server that will not have this client says nothing and hangs up.
        let greeted = async {
            wire::send(&mut stream, &hello).await?;
            wire::receive(&mut stream).await
        };
        let welcome = greeted.await.map_err(|_| "not-received")?;
        let pass = wire::connected(welcome).map_err(|Malformed| BAD_REPLY)?;
        Ok((stream, pass))
    }

    /// Makes one request and awaits its answer.
    async fn ask(&mut self, effect: Effect, op: i32, body: &[u8]) -> Result<Bytes, Stop> {
        // Taken out: whatever is not put back is closed, also if this future is dropped.
        let mut stream = self.stream.take().ok_or(Stop::Unsent)?;
        self.xid = self.xid.checked_add(1).unwrap_or(1);
        let request = wire::request(self.xid, op, body);
        let (head, answer) = match timeout_at(self.deadline, exchange(&mut stream, self.xid, &request)).await {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(Malformed))) => return Err(Stop::BadReply(effect)),
            Ok(Err(_)) => return Err(Stop::Lost(effect)),
            Err(_) => return Err(Stop::Deadline(effect)),
        };
        self.last_zxid_seen = self.last_zxid_seen.max(head.zxid);
        match error(head.error) {
            None => {
                self.stream = Some(stream);
                Ok(answer)
            }
            Some(error) => {
                let stop = Stop::Error(effect, error);
                self.stream = (!stop.kills()).then_some(stream);
                Err(stop)
            }
        }
    }
}

/// Sends a request and awaits the answer with its number.
async fn exchange(
    stream: &mut TcpStream,
    xid: i32,
    request: &[u8],
) -> std::io::Result<Result<(wire::Head, Bytes), Malformed>> {
    wire::send(stream, request).await?;
    let mut answer = wire::receive(stream).await?;
    Ok(match wire::head(&mut answer) {
        Ok(head) if head.xid == xid => Ok((head, answer)),
        // Nothing else was asked, and no watch is set.
        Ok(_) | Err(Malformed) => Err(Malformed),
    })
}

/// A code of the protocol as the library's error, for which there is a table.
fn error(code: i32) -> Option<Error> {
    Some(match code {
        0 => return None,
        -6 => Error::Unimplemented,
        -8 => Error::BadArguments(&"refused by the server"),
        -101 => Error::NoNode,
        -102 => Error::NoAuth,
        -103 => Error::BadVersion,
        -108 => Error::NoChildrenForEphemerals,
        -110 => Error::NodeExists,
        -111 => Error::NotEmpty,
        -112 => Error::SessionExpired,
        -118 => Error::SessionMoved,
        -127 => Error::Throttled,
        code => Error::UnexpectedErrorCode(code),
    })
}

/// What the operations mean; see the module's text.
#[derive(Clone, Default)]
pub(crate) struct Travels {
    /// Keys whose znodes this client has made or seen.
    known: BTreeSet<String>,
}

impl Travels {
    /// Makes the znode and its parents, if they are not there: set-up, not part of any operation.
    async fn ensure(&mut self, nomad: &mut Nomad, key: &str) -> Result<String, Stop> {
        let path = format!("{ROOT}/{key}");
        if !self.known.contains(key) {
            for (at, _) in path.char_indices().skip(1).filter(|(_, c)| *c == '/').chain([(path.len(), '/')]) {
                match nomad.ask(Effect::None, op::CREATE, &wire::create(&path[..at])).await {
                    Ok(_) | Err(Stop::Error(_, Error::NodeExists)) => {}
                    Err(stop) => return Err(stop),
                }
            }
            self.known.insert(key.to_owned());
        }
        Ok(path)
    }
}

#[async_trait]
impl Calls<Nomad> for Travels {
    async fn call(&mut self, nomad: &mut Nomad, invocation: &Invocation) -> Result<Outcome, Stop> {
        match (invocation.f, &invocation.key) {
            ("read", Some(key)) => read(nomad, &format!("{ROOT}/{key}")).await,
            ("write", Some(key)) => {
                let path = self.ensure(nomad, key).await?;
                write(nomad, &path, &invocation.value).await
            }
            ("hop", _) => {
                let steps = invocation.value.as_u64().and_then(|steps| usize::try_from(steps).ok());
                let Some(steps) = steps else { return Ok(Outcome::fail("bad-arguments")) };
                let presented = nomad.last_zxid_seen;
                Ok(match nomad.hop(steps).await {
                    Ok(()) => Outcome::ok(nomad.peers[nomad.at].node.clone(), Some(presented)),
                    Err(token) => Outcome::fail(token),
                })
            }
            ("read" | "write", None) => Ok(Outcome::fail("no-key")),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

async fn read(nomad: &mut Nomad, path: &str) -> Result<Outcome, Stop> {
    match nomad.ask(Effect::None, op::GET_DATA, &wire::get_data(path)).await {
        Ok(answer) => {
            let (data, zxid) = wire::data(answer).map_err(|Malformed| Stop::BadReply(Effect::None))?;
            Ok(Outcome::ok(decode(&data), Some(zxid)))
        }
        Err(Stop::Error(_, Error::NoNode)) => Ok(Outcome::ok(Value::Null, None)),
        Err(stop) => Err(stop),
    }
}

async fn write(nomad: &mut Nomad, path: &str, value: &Value) -> Result<Outcome, Stop> {
    let data = value.to_string();
    let answer = nomad.ask(Effect::Write, op::SET_DATA, &wire::set_data(path, data.as_bytes())).await?;
    let zxid = wire::modified(answer).map_err(|Malformed| Stop::BadReply(Effect::Write))?;
    Ok(Outcome::ok(value.clone(), Some(zxid)))
}
