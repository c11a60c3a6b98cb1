//! Clients of the key-value store, as `grudge_workloads::client::etcd` has them.
//!
//! A client has one connection for its calls, of which it makes one at a time, and one for the renewals of its
//! lease. A dead client's lease is left to expire.

mod lock;
mod outcome;
mod register;

use std::time::Duration;

use grudge_nodes::kv::Replica;
use grudge_nodes::kv::api::{Answer, Consistency, Request, Response};
use grudge_nodes::replica::Time;
use grudge_workloads::operation::{Invocation, Outcome};

use super::{Effect, Heard, Life, Line, Patience, Port, Task};
use lock::Lock;
use outcome::Stop;
use register::Register;

/// How the clients of that workload live, if there are any.
pub(crate) fn hire(workload: &str) -> Option<Life<Replica>> {
    Some(match workload {
        "register" => |port, patience| live(port, patience, Register::new(Consistency::Linearizable)),
        "register-local" => |port, patience| live(port, patience, Register::new(Consistency::Serializable)),
        "lock" => |port, patience| live(port, patience, Lock::default()),
        _ => return None,
    })
}

/// What a workload's operations mean in this protocol.
pub(crate) trait Calls: 'static {
    /// Makes the call. Every request goes through the session's steps.
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Outcome;
}

fn live(port: Port<Replica>, patience: Patience, mut calls: impl Calls) -> Task {
    Box::pin(async move {
        let line = port.open();
        let mut session = Session { port: port.clone(), line, patience, deadline: Time::ZERO };
        while session.alive() {
            let invocation = port.call().await;
            session.deadline = port.now() + patience.timeout;
            let outcome = calls.call(&mut session, &invocation).await;
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
