//! Registers as a client sees them that wanders from server to server, `/grudge/session/<key>`; see the real client.

use std::collections::BTreeSet;

use grudge_nodes::replica::Time;
use grudge_nodes::znode::{
    Answer, Connect, Create, CreateAnswer, CreateMode, ErrorCode, Local, NodeOp, Op, Password, Read, Replica, Reply,
    Request, SessionId, Write,
};
use grudge_workloads::operation::{Invocation, Outcome};
use serde_json::Value;

use super::outcome::Stop;
use super::register::decode;
use super::session::anyone;
use super::{Effect, Heard, Line, Patience, Port};

const ROOT: &str = "/grudge/session";

/// Lives as a nomad: its view has no end before an outcome is unknown.
pub(super) async fn live(port: Port<Replica>, patience: Patience) {
    let mut invocation = port.call().await;
    let at = port.place().home;
    let mut nomad = Nomad {
        port: port.clone(),
        patience,
        deadline: port.now() + patience.timeout,
        at,
        line: None,
        pass: None,
        last_zxid_seen: 0,
        xid: 0,
        known: BTreeSet::new(),
    };
    if let Err(token) = nomad.connect().await {
        // Nothing was sent, so nothing happened.
        port.die();
        return port.complete(Outcome::fail(token), false);
    }
    loop {
        nomad.deadline = port.now() + patience.timeout;
        let outcome = nomad.call(&invocation).await.unwrap_or_else(Outcome::from);
        port.complete(outcome, true);
        invocation = port.call().await;
    }
}

/// One view of the cluster, at one server at a time.
struct Nomad {
    port: Port<Replica>,
    patience: Patience,
    deadline: Time,
    at: usize,
    line: Option<Line>,
    pass: Option<(SessionId, Password)>,
    last_zxid_seen: i64,
    xid: i32,
    /// Keys whose znodes this client has made or seen.
    known: BTreeSet<String>,
}

impl Nomad {
    fn leave(&mut self) {
        if let Some(line) = self.line.take() {
            self.port.close(line);
        }
    }

    /// Connects to the present server. The error is a token: why it did not receive the client.
    async fn connect(&mut self) -> Result<(), &'static str> {
        self.leave();
        let line = self.port.open_to(self.at);
        self.line = Some(line);
        let timeout_ms = i32::try_from(self.patience.ttl.as_millis()).unwrap_or(i32::MAX);
        let hello = Connect { last_zxid_seen: self.last_zxid_seen, timeout_ms, resume: self.pass };
        self.port.send(line, Request::Connect(hello));
        let token = match self.port.receive(line, self.deadline).await {
            Heard::Reply(Reply::Connected { session, password, .. }) => {
                self.pass = Some((session, password));
                return Ok(());
            }
            Heard::Reply(Reply::Expired) => {
                self.pass = None;
                "session-expired"
            }
            Heard::Refused => "refused",
            Heard::Reply(Reply::Close) | Heard::Closed => "not-received",
            Heard::Reply(_) => "bad-reply",
            Heard::Late => "connect-timeout",
        };
        self.leave();
        Err(token)
    }

    /// Makes one request and awaits its answer.
    async fn ask(&mut self, effect: Effect, op: Op) -> Result<Answer, Stop> {
        let line = self.line.ok_or(Stop::Unsent)?;
        self.xid += 1;
        self.port.send(line, Request::Op { xid: self.xid, op });
        let stop = match self.port.receive(line, self.deadline).await {
            Heard::Reply(Reply::Answer { xid, zxid, result }) if xid == self.xid => {
                self.last_zxid_seen = self.last_zxid_seen.max(zxid);
                match result {
                    Ok(answer) => return Ok(answer),
                    Err(error) => Stop::Refused(effect, error),
                }
            }
            Heard::Reply(Reply::Close) | Heard::Refused | Heard::Closed => Stop::Lost(effect),
            Heard::Reply(_) => Stop::BadReply(effect),
            Heard::Late => Stop::Deadline(effect),
        };
        if stop.kills() {
            self.leave();
        }
        Err(stop)
    }

    /// Makes the znode and its parents, if they are not there: set-up, not part of any operation.
    async fn ensure(&mut self, key: &str) -> Result<String, Stop> {
        let path = format!("{ROOT}/{key}");
        if !self.known.contains(key) {
            let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/').map(|(at, _)| at).chain([path.len()]);
            for end in ends {
                let create = Create {
                    path: path[..end].to_owned(),
                    data: Some(Vec::new()),
                    acl: anyone(),
                    mode: CreateMode::Persistent,
                    answer: CreateAnswer::Path,
                };
                match self.ask(Effect::None, Op::Write(Write::Node(NodeOp::Create(create)))).await {
                    Ok(_) | Err(Stop::Refused(_, ErrorCode::NodeExists)) => {}
                    Err(stop) => return Err(stop),
                }
            }
            self.known.insert(key.to_owned());
        }
        Ok(path)
    }

    async fn read(&mut self, key: &str) -> Result<Outcome, Stop> {
        let read = Read::GetData { path: format!("{ROOT}/{key}"), watch: false };
        match self.ask(Effect::None, Op::Local(Local::Read(read))).await {
            Ok(Answer::Data(data, stat)) => Ok(Outcome::ok(decode(&data.unwrap_or_default()), Some(stat.mzxid))),
            Ok(_) => Err(Stop::BadReply(Effect::None)),
            Err(Stop::Refused(_, ErrorCode::NoNode)) => Ok(Outcome::ok(Value::Null, None)),
            Err(stop) => Err(stop),
        }
    }

    async fn write(&mut self, key: &str, value: &Value) -> Result<Outcome, Stop> {
        let path = self.ensure(key).await?;
        let set = NodeOp::SetData { path, data: Some(value.to_string().into_bytes()), version: -1 };
        match self.ask(Effect::Write, Op::Write(Write::Node(set))).await? {
            Answer::Stat(stat) => Ok(Outcome::ok(value.clone(), Some(stat.mzxid))),
            _ => Err(Stop::BadReply(Effect::Write)),
        }
    }

    /// Goes to the n-th server after the present one.
    async fn hop(&mut self, steps: usize) -> Outcome {
        let nodes = self.port.place().nodes;
        self.at = (self.at + steps) % nodes.len();
        let presented = self.last_zxid_seen;
        match self.connect().await {
            Ok(()) => Outcome::ok(nodes[self.at].as_str(), Some(presented)),
            Err(token) => Outcome::fail(token),
        }
    }

    async fn call(&mut self, invocation: &Invocation) -> Result<Outcome, Stop> {
        match (invocation.f, &invocation.key) {
            ("read", Some(key)) => self.read(key).await,
            ("write", Some(key)) => self.write(key, &invocation.value).await,
            ("hop", _) => match invocation.value.as_u64().and_then(|steps| usize::try_from(steps).ok()) {
                Some(steps) => Ok(self.hop(steps).await),
                None => Ok(Outcome::fail("bad-arguments")),
            },
            ("read" | "write", None) => Ok(Outcome::fail("no-key")),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}
