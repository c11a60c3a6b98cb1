//! Clients of the key-value store, as `grudge_workloads::client::etcd` has them.
//!
//! A client has one connection for its calls, of which it makes one at a time, and one for the renewals of its
//! lease. A dead client's lease is left to expire.

mod lease;
mod lock;
mod multi;
mod outcome;
mod register;
mod set;

use std::time::Duration;

use bytes::Bytes;
use grudge_nodes::kv::Replica;
use grudge_nodes::kv::api::{Answer, Consistency, Projection, RangeRequest, Request, Response, Span};
use grudge_nodes::replica::Time;
use grudge_workloads::operation::{Invocation, Outcome};

use super::{Effect, Heard, Life, Line, Patience, Port, Task};
use lease::Lease;
use lock::Lock;
use multi::Multi;
use outcome::Stop;
use register::Register;
use set::Set;

/// How the clients of that workload live, if there are any.
pub(crate) fn hire(workload: &str) -> Option<Life<Replica>> {
    Some(match workload {
        "register" => |port, patience| live(port, patience, Register::new(Consistency::Linearizable)),
        "register-local" | "register-unsynced" => {
            |port, patience| live(port, patience, Register::new(Consistency::Serializable))
        }
        "lock" => |port, patience| live(port, patience, Lock::default()),
        "set" => |port, patience| live(port, patience, Set),
        "multi" => |port, patience| live(port, patience, Multi),
        "lease" => |port, patience| live(port, patience, Lease),
        _ => return None,
    })
}

/// What a workload's operations mean in this protocol.
pub(crate) trait Calls: 'static {
    /// Makes the call. Every request goes through the session's steps.
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop>;
}

fn live(port: Port<Replica>, patience: Patience, mut calls: impl Calls) -> Task {
    Box::pin(async move {
        let line = port.open();
        port.hang_on(line);
        let mut session = Session { port: port.clone(), line, patience, deadline: Time::ZERO };
        while session.alive() {
            let invocation = port.call().await;
            session.deadline = port.now() + patience.timeout;
            let outcome = calls.call(&mut session, &invocation).await.unwrap_or_else(Outcome::from);
            let reached = session.alive() || !matches!(outcome, Outcome::Fail { .. });
            port.complete(outcome, reached);
        }
        port.die();
    })
}

/// One connection to one node, which dies at the first doubt.
pub(crate) struct Session {
    port: Port<Replica>,
    line: Line,
    patience: Patience,
    deadline: Time,
}

impl Session {
    fn alive(&self) -> bool {
        self.port.alive() && self.port.is_open(self.line)
    }

    /// How long a lease shall live, in seconds.
    fn ttl(&self) -> i64 {
        i64::try_from(self.patience.ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1)
    }

    /// Leaves everything that the server keeps for this client to expire.
    fn abandon(&self) {
        self.port.die();
    }

    /// Makes one request and waits for its answer.
    pub(crate) async fn step(&mut self, effect: Effect, request: Request) -> Result<Answer, Stop> {
        if !self.alive() {
            return Err(Stop::Unsent);
        }
        self.port.send(self.line, request);
        let stop = match self.port.receive(self.line, self.deadline).await {
            Heard::Reply(Ok(answer)) => return Ok(answer),
            Heard::Reply(Err(error)) => Stop::of(effect, error),
            Heard::Refused => Stop::Unreachable,
            Heard::Closed => Stop::Lost(effect),
            Heard::Late => Stop::Deadline(effect),
        };
        if stop.kills() {
            self.port.die();
        }
        Err(stop)
    }

    /// The names of the keys below `directory`, and the store's revision at that moment.
    async fn names(&mut self, directory: &str, consistency: Consistency) -> Result<(Vec<String>, i64), Stop> {
        // The character after the slash.
        let span = Span::Range(Bytes::from(format!("{directory}/")), Bytes::from(format!("{directory}0")));
        let request = RangeRequest { consistency, projection: Projection::KeysOnly, ..RangeRequest::new(span) };
        let answer = self.step(Effect::None, Request::Range(request)).await?;
        let Response::Range(range) = answer.response else { return Err(Stop::BadReply(Effect::None)) };
        let names = range.kvs.iter().map(|pair| {
            let key = String::from_utf8_lossy(&pair.key);
            key.rsplit('/').next().unwrap_or_default().to_owned()
        });
        Ok((names.collect(), answer.header.revision))
    }

    /// Renews a lease in the background, three times in its life, until it is gone.
    fn keep_alive(&self, id: i64, ttl: i64) {
        let pause = Duration::from_secs(u64::try_from(ttl).unwrap_or(1).max(1)) / 3;
        let port = self.port.clone();
        self.port.spawn(async move {
            let mut line = port.open();
            let mut renew = port.now() + pause;
            loop {
                port.sleep_until(renew).await;
                renew += pause;
                port.send(line, Request::LeaseKeepAlive { id });
                match port.receive(line, renew).await {
                    Heard::Reply(Ok(Answer { response: Response::LeaseKeepAlive { ttl, .. }, .. })) if ttl <= 0 => {
                        return;
                    }
                    Heard::Reply(_) => {}
                    Heard::Refused | Heard::Closed => return,
                    // A late answer must not be taken for that to the next renewal.
                    Heard::Late => line = port.open(),
                }
            }
        });
    }
}
