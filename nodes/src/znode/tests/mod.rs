//! A server over a broadcast that is always there: the tests hold its commits back where they want to.

mod chaos;
mod properties;
mod serving;
mod sessions;
mod trees;
mod watching;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::op::*;
use super::replica::Config;
use super::service::{Effect, Service};
use super::tree::Acl;
use super::{ErrorCode, Password, SessionId};
use crate::replica::{ClientId, NodeId, Time};
use crate::zab;

const TICK: Duration = Duration::from_millis(500);

pub(super) fn config() -> Config {
    let zab = zab::Config::new(NodeId(1), vec![NodeId(1)]);
    Config { tick: TICK, ..Config::new(zab, 1_700_000_000_000, 7) }
}

/// One leading server; whatever it proposes is committed at once, unless it is told to hold.
pub(super) struct Server {
    pub(super) service: Service,
    pub(super) now: Time,
    pub(super) zxid: i64,
    holding: bool,
    proposed: VecDeque<Bytes>,
    barriers: VecDeque<u64>,
    replies: BTreeMap<ClientId, VecDeque<Reply>>,
    next_client: u64,
    next_xid: i32,
}

impl Server {
    pub(super) fn start() -> Server {
        let mut server = Server {
            service: Service::new(config(), Duration::ZERO),
            now: Duration::ZERO,
            zxid: 1 << 32,
            holding: false,
            proposed: VecDeque::new(),
            barriers: VecDeque::new(),
            replies: BTreeMap::new(),
            next_client: 1,
            next_xid: 1,
        };
        server.stand(zab::Status::Leading { epoch: 1 });
        server
    }

    pub(super) fn stand(&mut self, status: zab::Status) {
        let mut effects = Vec::new();
        self.service.stand(self.now, status, &mut effects);
        self.carry_out(effects);
    }

    pub(super) fn say(&mut self, client: ClientId, request: Request) {
        let mut effects = Vec::new();
        self.service.request(self.now, client, request, &mut effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { client, reply } => self.replies.entry(client).or_default().push_back(reply),
                Effect::Propose(payload) => self.proposed.push_back(payload),
                Effect::Barrier(token) => self.barriers.push_back(token),
                Effect::TellLeader(_) | Effect::TellFollower(..) => panic!("a leader alone talks to nobody"),
            }
        }
        while !self.holding
            && let Some(payload) = self.proposed.pop_front()
        {
            self.commit(&payload);
        }
        while !self.holding
            && let Some(token) = self.barriers.pop_front()
        {
            let mut effects = Vec::new();
            self.service.confirmed(self.now, token, &mut effects);
            self.carry_out(effects);
        }
    }

    fn commit(&mut self, payload: &[u8]) {
        self.zxid += 1;
        let mut effects = Vec::new();
        self.service.deliver(self.now, self.zxid, payload, false, &mut effects);
        self.carry_out(effects);
        assert_eq!(self.service.check(), Ok(()));
    }

    /// From now on nothing is committed or confirmed.
    pub(super) fn hold(&mut self) {
        self.holding = true;
    }

    /// Whatever was held back is committed and confirmed.
    pub(super) fn release(&mut self) {
        self.holding = false;
        self.carry_out(Vec::new());
    }

    pub(super) fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        while self.service.wake() <= end {
            self.now = self.now.max(self.service.wake());
            self.tick();
        }
        self.now = end;
        self.tick();
    }

    fn tick(&mut self) {
        let mut effects = Vec::new();
        self.service.tick(self.now, &mut effects);
        self.carry_out(effects);
    }

    pub(super) fn client(&mut self) -> ClientId {
        self.next_client += 1;
        ClientId(self.next_client)
    }

    /// What a client was told since it was last asked.
    pub(super) fn heard(&mut self, client: ClientId) -> Vec<Reply> {
        self.replies.remove(&client).unwrap_or_default().into()
    }

    pub(super) fn connect(&mut self, resume: Option<(SessionId, Password)>) -> (ClientId, Vec<Reply>) {
        let client = self.client();
        self.say(client, Request::Connect(Connect { last_zxid_seen: 0, timeout_ms: 2000, resume }));
        (client, self.heard(client))
    }

    /// A client with a session of its own.
    pub(super) fn open(&mut self) -> (ClientId, SessionId, Password) {
        let (client, replies) = self.connect(None);
        match replies.as_slice() {
            [Reply::Connected { session, password, timeout_ms: 2000 }] => (client, *session, *password),
            other => panic!("a new session was answered by {other:?}"),
        }
    }

    pub(super) fn send(&mut self, client: ClientId, op: Op) -> i32 {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.say(client, Request::Op { xid, op });
        xid
    }

    /// Asks, and takes the one answer there must be.
    pub(super) fn call(&mut self, client: ClientId, op: Op) -> Result<Answer, ErrorCode> {
        let xid = self.send(client, op.clone());
        let mut replies = self.heard(client);
        match replies.pop() {
            Some(Reply::Answer { xid: answered, result, .. }) if answered == xid && replies.is_empty() => result,
            last => panic!("{op:?} was answered by {replies:?} and {last:?}"),
        }
    }
}

pub(super) fn node(op: NodeOp) -> Op {
    Op::Write(Write::Node(op))
}

pub(super) fn create_op(path: &str, mode: CreateMode) -> NodeOp {
    let data = Some(b"x".to_vec());
    NodeOp::Create(Create { path: path.into(), data, acl: Acl::open(), mode, answer: CreateAnswer::Path })
}

pub(super) fn create(path: &str, mode: CreateMode) -> Op {
    node(create_op(path, mode))
}

pub(super) fn delete(path: &str) -> Op {
    node(NodeOp::Delete { path: path.into(), version: -1 })
}

pub(super) fn set(path: &str, data: &str) -> Op {
    node(NodeOp::SetData { path: path.into(), data: Some(data.into()), version: -1 })
}

pub(super) fn get(path: &str, watch: bool) -> Op {
    Op::Local(Local::Read(Read::GetData { path: path.into(), watch }))
}

pub(super) fn exists(path: &str, watch: bool) -> Op {
    Op::Local(Local::Read(Read::Exists { path: path.into(), watch }))
}

pub(super) fn children(path: &str, watch: bool) -> Op {
    Op::Local(Local::Read(Read::GetChildren { path: path.into(), watch, answer: ChildrenAnswer::Names }))
}

pub(super) fn ping() -> Op {
    Op::Local(Local::Ping)
}

pub(super) fn path(path: &str) -> Result<Answer, ErrorCode> {
    Ok(Answer::Path(path.into()))
}

pub(super) fn names(names: &[&str]) -> Result<Answer, ErrorCode> {
    Ok(Answer::Names(names.iter().map(|&name| name.to_owned()).collect()))
}

pub(super) fn event(kind: EventKind, path: &str) -> Reply {
    Reply::Event { kind, path: path.into() }
}
