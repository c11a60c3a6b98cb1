//! One session on one connection, which dies at the first doubt.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use grudge_nodes::replica::Time;
use grudge_nodes::znode::{
    Acl, Answer, ChildrenAnswer, Connect, Create, CreateAnswer, CreateMode, ErrorCode, Local, NodeOp, Op, Read,
    Replica, Reply, Request, Stat, Write,
};

use super::outcome::Stop;
use super::{Effect, Heard, Line, Patience, Port};

/// The number of a ping.
const PING: i32 = -2;

type Answered = Result<Answer, ErrorCode>;

/// What was read from the connection, and when something last went over it.
struct Inbox {
    answers: BTreeMap<i32, Answered>,
    /// The paths of watches that fired.
    fired: VecDeque<String>,
    sent: Time,
    pinging: bool,
}

/// A session. Its connection is read, and kept alive, beside the calls.
pub(crate) struct Session {
    port: Port<Replica>,
    line: Line,
    inbox: Rc<RefCell<Inbox>>,
    timeout: Duration,
    deadline: Time,
    xid: i32,
    /// Znodes that this client has seen to exist.
    known: BTreeSet<String>,
}

impl Session {
    /// Opens a session.
    pub(super) async fn open(port: &Port<Replica>, patience: Patience) -> Result<Session, &'static str> {
        let line = port.open();
        port.hang_on(line);
        let asked = i32::try_from(patience.ttl.as_millis()).unwrap_or(i32::MAX);
        port.send(line, Request::Connect(Connect { last_zxid_seen: 0, timeout_ms: asked, resume: None }));
        let begun = port.now();
        let granted = match port.receive(line, begun + patience.timeout.min(silence(patience.ttl))).await {
            Heard::Reply(Reply::Connected { timeout_ms, .. }) => Duration::from_millis(timeout_ms.into()),
            Heard::Reply(Reply::Close) | Heard::Refused | Heard::Closed => return Err("refused"),
            Heard::Reply(_) => return Err("bad-reply"),
            Heard::Late if port.now() < begun + patience.timeout => return Err("connection-lost"),
            Heard::Late => return Err("connect-timeout"),
        };
        let inbox = Inbox { answers: BTreeMap::new(), fired: VecDeque::new(), sent: port.now(), pinging: false };
        let inbox = Rc::new(RefCell::new(inbox));
        port.spawn(read(port.clone(), line, Rc::clone(&inbox), granted));
        let (timeout, deadline, known) = (patience.timeout, Time::ZERO, BTreeSet::new());
        Ok(Session { port: port.clone(), line, inbox, timeout, deadline, xid: 0, known })
    }

    /// A new operation begins, and with it its time.
    pub(super) fn begin(&mut self) {
        self.deadline = self.port.now() + self.timeout;
    }

    /// The patience an operation is given.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the current operation's time is up.
    pub(super) fn deadline(&self) -> Time {
        self.deadline
    }

    /// Makes one request and waits for its answer.
    pub(crate) async fn step(&mut self, effect: Effect, op: Op) -> Result<Answer, Stop> {
        if !self.port.alive() {
            return Err(Stop::Unsent);
        }
        self.xid += 1;
        let xid = self.xid;
        self.inbox.borrow_mut().sent = self.port.now();
        self.port.send(self.line, Request::Op { xid, op });
        let answered = self.port.wait(self.deadline, || match self.inbox.borrow_mut().answers.remove(&xid) {
            Some(answer) => Some(answer.map_err(|error| Stop::Refused(effect, error))),
            None if !self.port.alive() => Some(Err(Stop::Lost(effect))),
            None => None,
        });
        let stop = match answered.await {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(stop)) => stop,
            None => Stop::Deadline(effect),
        };
        if stop.kills() {
            self.port.die();
        }
        Err(stop)
    }

    /// Waits for a watch on that path, no longer than until `end`. Whether it fired.
    pub(super) async fn fired(&mut self, path: &str, end: Time) -> Result<bool, Stop> {
        let came = self.port.wait(end, || {
            let mut inbox = self.inbox.borrow_mut();
            match inbox.fired.iter().position(|fired| fired == path) {
                Some(at) => {
                    inbox.fired.remove(at);
                    Some(Ok(true))
                }
                None if !self.port.alive() => Some(Err(Stop::Lost(Effect::None))),
                None => None,
            }
        });
        came.await.unwrap_or(Ok(false))
    }

    /// Creates a znode; answers its path and stat.
    pub(crate) async fn create(
        &mut self,
        effect: Effect,
        path: &str,
        data: &[u8],
        mode: CreateMode,
    ) -> Result<(String, Stat), Stop> {
        let answer = CreateAnswer::PathAndStat;
        let create = Create { path: path.to_owned(), data: Some(data.to_vec()), acl: anyone(), mode, answer };
        match self.step(effect, Op::Write(Write::Node(NodeOp::Create(create)))).await? {
            Answer::PathAndStat(path, stat) => Ok((path, stat)),
            _ => Err(Stop::BadReply(effect)),
        }
    }

    /// As [`Self::make_directory`], asking once only.
    pub(crate) async fn ensure(&mut self, path: &str) -> Result<(), Stop> {
        if !self.known.contains(path) {
            self.make_directory(path).await?;
            self.known.insert(path.to_owned());
        }
        Ok(())
    }

    /// Makes a persistent znode and its parents, if they are not there. This is set-up, not part of any operation.
    pub(crate) async fn make_directory(&mut self, path: &str) -> Result<(), Stop> {
        let mut end = path.len();
        loop {
            match self.create(Effect::None, &path[..end], b"", CreateMode::Persistent).await {
                Ok(_) | Err(Stop::Refused(_, ErrorCode::NodeExists)) if end == path.len() => return Ok(()),
                Ok(_) | Err(Stop::Refused(_, ErrorCode::NodeExists)) => {
                    end = path[end + 1..].find('/').map_or(path.len(), |at| end + 1 + at);
                }
                Err(Stop::Refused(_, ErrorCode::NoNode)) if path[..end].rfind('/').is_some_and(|at| at > 0) => {
                    end = path[..end].rfind('/').unwrap_or(0);
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Deletes a znode, whatever its version.
    pub(crate) async fn delete(&mut self, path: &str) -> Result<(), Stop> {
        let delete = NodeOp::Delete { path: path.to_owned(), version: -1 };
        self.step(Effect::Write, Op::Write(Write::Node(delete))).await.map(drop)
    }

    /// Sets a znode's data at that version, −1 for any.
    pub(crate) async fn set_data(&mut self, path: &str, data: Vec<u8>, version: i32) -> Result<Stat, Stop> {
        let set = NodeOp::SetData { path: path.to_owned(), data: Some(data), version };
        match self.step(Effect::Write, Op::Write(Write::Node(set))).await? {
            Answer::Stat(stat) => Ok(stat),
            _ => Err(Stop::BadReply(Effect::Write)),
        }
    }

    /// A znode's data and stat.
    pub(crate) async fn get_data(&mut self, path: &str) -> Result<(Vec<u8>, Stat), Stop> {
        match self.read(Read::GetData { path: path.to_owned(), watch: false }).await? {
            Answer::Data(data, stat) => Ok((data.unwrap_or_default(), stat)),
            _ => Err(Stop::BadReply(Effect::None)),
        }
    }

    /// The names of a znode's children, as the node has them; none if there is no such znode.
    pub(crate) async fn children(&mut self, path: &str) -> Result<Vec<String>, Stop> {
        let children = Read::GetChildren { path: path.to_owned(), watch: false, answer: ChildrenAnswer::Names };
        match self.read(children).await {
            Ok(Answer::Names(names)) => Ok(names),
            Ok(_) => Err(Stop::BadReply(Effect::None)),
            Err(Stop::Refused(_, ErrorCode::NoNode)) => Ok(Vec::new()),
            Err(stop) => Err(stop),
        }
    }

    /// Sees everything that was committed before.
    pub(crate) async fn sync(&mut self, path: &str) -> Result<(), Stop> {
        self.step(Effect::None, Op::Sync { path: path.to_owned() }).await.map(drop)
    }

    /// Asks the node for what it has.
    pub(crate) async fn read(&mut self, read: Read) -> Result<Answer, Stop> {
        self.step(Effect::None, Op::Local(Local::Read(read))).await
    }
}

/// Reads the connection until it is gone: a session that has lost it, or has not heard anything for too long, is not
/// carried over to another one. Pings when nothing was sent for a while.
async fn read(port: Port<Replica>, line: Line, inbox: Rc<RefCell<Inbox>>, session_timeout: Duration) {
    let silence = silence(session_timeout);
    let quiet = session_timeout * 3 / 20;
    let mut heard = port.now();
    while port.alive() {
        let ping = match &*inbox.borrow() {
            Inbox { pinging: true, .. } => Time::MAX,
            inbox => inbox.sent + quiet,
        };
        let came = port.receive(line, ping.min(heard + silence)).await;
        let now = port.now();
        let mut inbox = inbox.borrow_mut();
        match came {
            Heard::Reply(Reply::Close) | Heard::Refused | Heard::Closed => return port.die(),
            Heard::Late if now >= heard + silence => return port.die(),
            Heard::Late if !inbox.pinging && now >= inbox.sent + quiet => {
                (inbox.pinging, inbox.sent) = (true, now);
                port.send(line, Request::Op { xid: PING, op: Op::Local(Local::Ping) });
            }
            Heard::Late => {}
            Heard::Reply(reply) => {
                heard = now;
                match reply {
                    Reply::Answer { xid: PING, .. } => inbox.pinging = false,
                    Reply::Answer { xid, result, .. } => drop(inbox.answers.insert(xid, result)),
                    Reply::Event { path, .. } => inbox.fired.push_back(path),
                    Reply::Connected { .. } | Reply::Expired | Reply::Status(_) | Reply::Close => {}
                }
            }
        }
    }
}

/// A connection that was silent for so long is given up.
fn silence(session_timeout: Duration) -> Duration {
    session_timeout * 2 / 5
}

pub(super) fn anyone() -> Vec<Acl> {
    vec![Acl { perms: 31, scheme: "world".to_owned(), id: "anyone".to_owned() }]
}
