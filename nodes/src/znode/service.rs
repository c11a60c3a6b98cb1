//! One server of the ZooKeeper service: connections, sessions and watches on top of the broadcast.
//!
//! # What it promises
//!
//! - Each connection's requests are answered in their order, and a read sees the writes before it.
//! - A watch event is sent before anything that the change it tells of can be seen in, the writer's answer included.
//! - A write is answered with its own zxid when it is applied here, and by nobody else.
//! - A `sync` is answered when a quorum has confirmed, after it was asked for, that the leader still led, and all
//!   that was committed before is applied here. (Apache's leader answers without asking.) A read behind it is
//!   therefore linearizable; a plain read is not.
//! - Without an established leader nobody is served: all connections are closed.
//!
//! # How
//!
//! A request that others have to deal with gets a *ticket*. It comes back with the transaction (see
//! [`Origin`]) or with the leader's [`Word`]. Tickets are dropped with their connection, so that an answer
//! that nobody waits for any more is no answer to somebody else.
//!
//! # Left out
//!
//! Access control, quotas, containers and nodes with a time to live, persistent watches, local sessions, observers.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::connection::{Connection, Pending, Phase};
use super::error::ErrorCode;
use super::leader::{Ask, Asker, Office, Order, Word, encode};
use super::op::{Answer, Connect, Mode, Op, Reply, Request, Status, Write};
use super::replica::Config;
use super::session::{Password, SessionId, negotiate};
use super::txn::{Origin, Replay, State, Txn};
use super::watch::Watches;
use crate::bugs::Bug;
use crate::replica::{ClientId, Time};
use crate::zab::{self, Link};

/// What a server wants done.
#[derive(Debug)]
pub(crate) enum Effect {
    Reply { client: ClientId, reply: Reply },
    Propose(Bytes),
    Barrier(u64),
    TellLeader(Bytes),
    TellFollower(Link, Bytes),
}

#[derive(Debug)]
enum Standing {
    Looking,
    Following,
    Leading(Box<Office>),
}

/// One server.
#[derive(Debug)]
pub(crate) struct Service {
    config: Config,
    life: u64,
    rng: ChaCha8Rng,
    pub(super) state: State,
    standing: Standing,
    connections: BTreeMap<ClientId, Connection>,
    attached: BTreeMap<SessionId, ClientId>,
    pub(super) watches: Watches,
    tickets: BTreeMap<u64, ClientId>,
    next_ticket: u64,
    next_session: i64,
    next_barrier: u64,
    /// Sessions heard of since the last report to the leader, and when the next one is due.
    heard: BTreeSet<SessionId>,
    report_at: Time,
    until_snapshot: u32,
    /// Planted by `zab-multi-zxid`, none without it: the state in the middle of the last transaction.
    torn: Option<State>,
    defect: Option<String>,
}

impl Service {
    /// A server that has applied nothing yet.
    pub(crate) fn new(config: Config, now: Time) -> Service {
        let life = config.wall_ms.wrapping_add(now.as_millis() as i64);
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed ^ (life as u64));
        let until_snapshot = draw_snapshot(&config, &mut rng);
        // As ZooKeeper does: the server's number, 40 bits of clock, 16 bits of counter.
        let server = (config.zab.id.0 << 56) as i64;
        let next_session = server | ((life << 16) & 0x00ff_ffff_ffff_ffff);
        Service {
            life: life as u64,
            rng,
            state: State::default(),
            standing: Standing::Looking,
            connections: BTreeMap::new(),
            attached: BTreeMap::new(),
            watches: Watches::default(),
            tickets: BTreeMap::new(),
            next_ticket: 1,
            next_session,
            next_barrier: 1,
            heard: BTreeSet::new(),
            report_at: Time::MAX,
            until_snapshot,
            torn: None,
            defect: None,
            config,
        }
    }

    /// When it wants to be ticked at the latest.
    pub(crate) fn wake(&self) -> Time {
        match &self.standing {
            Standing::Looking => Time::MAX,
            Standing::Following => self.report_at,
            Standing::Leading(office) => office.next_expiry().unwrap_or(Time::MAX),
        }
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(defect) = &self.defect {
            return Err(defect.clone());
        }
        let bug = self.config.zab.bugs.contains(&Bug::ZabEphemeralReplay);
        match self.state.tree.owners().find(|owner| !self.state.sessions.contains_key(owner)) {
            Some(owner) if !bug => Err(format!("ephemeral nodes outlive their session {owner}")),
            _ => Ok(()),
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Time, out: &mut Vec<Effect>) {
        let clock = self.clock(now);
        match &mut self.standing {
            Standing::Looking => {}
            Standing::Following if now >= self.report_at => {
                self.report_at = Time::MAX;
                let heard = std::mem::take(&mut self.heard).into_iter().collect();
                out.push(Effect::TellLeader(encode(&Ask::Heard(heard))));
            }
            Standing::Following => {}
            Standing::Leading(office) => {
                let mut orders = Vec::new();
                office.expire(now, clock, &mut orders);
                self.obey(now, orders, out);
            }
        }
    }

    /// The broadcast's standing has changed: whoever is connected has to connect again.
    pub(crate) fn stand(&mut self, now: Time, status: zab::Status, out: &mut Vec<Effect>) {
        let clients: Vec<ClientId> = self.connections.keys().copied().collect();
        for client in clients {
            self.hang_up(client, out);
        }
        self.heard.clear();
        self.report_at = Time::MAX;
        if let Standing::Leading(office) = &self.standing {
            self.next_barrier = office.next_barrier();
        }
        self.standing = match status {
            zab::Status::Looking => Standing::Looking,
            zab::Status::Following { .. } => Standing::Following,
            zab::Status::Leading { .. } => {
                let office = Office::new(now, self.config.tick, self.next_barrier, &self.state);
                Standing::Leading(Box::new(office))
            }
        };
    }

    /// A client speaks.
    pub(crate) fn request(&mut self, now: Time, client: ClientId, request: Request, out: &mut Vec<Effect>) {
        match request {
            Request::Status => {
                let reply = Reply::Status(Box::new(self.status()));
                out.push(Effect::Reply { client, reply });
            }
            Request::Disconnected => self.forget(client),
            Request::Connect(connect) => self.connect(now, client, &connect, out),
            Request::Op { xid, op } => self.op(now, client, xid, op, out),
        }
    }

    /// A follower speaks to this leader.
    pub(crate) fn hear_follower(&mut self, now: Time, link: Link, app: &[u8], out: &mut Vec<Effect>) {
        match postcard::from_bytes(app) {
            Ok(ask) => self.ask(now, Asker::Follower(link), ask, out),
            Err(error) => tracing::warn!(from = %link.follower, %error, "dropped an unreadable request of a follower"),
        }
    }

    /// The leader speaks to this follower.
    pub(crate) fn hear_leader(&mut self, now: Time, app: &[u8], out: &mut Vec<Effect>) {
        match postcard::from_bytes(app) {
            Ok(word) => self.word(now, word, out),
            Err(error) => tracing::warn!(%error, "dropped an unreadable word of the leader"),
        }
    }

    /// A barrier was reached.
    pub(crate) fn confirmed(&mut self, now: Time, token: u64, out: &mut Vec<Effect>) {
        if let Standing::Leading(office) = &mut self.standing {
            let mut orders = Vec::new();
            office.confirmed(token, &mut orders);
            self.obey(now, orders, out);
        }
    }

    /// The state is replaced by another server's, or by that of a former life.
    pub(crate) fn restore(&mut self, zxid: i64, state: &[u8]) {
        match State::decode(state) {
            Ok(state) => self.state = State { zxid, ..state },
            Err(error) => self.defect = Some(format!("the snapshot of {zxid:#x} cannot be read: {error}")),
        }
        self.until_snapshot = draw_snapshot(&self.config, &mut self.rng);
    }

    /// A transaction is committed.
    pub(crate) fn deliver(&mut self, now: Time, zxid: i64, payload: &[u8], replayed: bool, out: &mut Vec<Effect>) {
        self.until_snapshot = self.until_snapshot.saturating_sub(1);
        let txn = match Txn::decode(payload) {
            Ok(txn) => txn,
            Err(error) => {
                self.defect = Some(format!("the transaction {zxid:#x} cannot be read: {error}"));
                return;
            }
        };
        let bug = self.config.zab.bugs.contains(&Bug::ZabEphemeralReplay);
        let replay = if replayed && bug { Replay::KeepsEphemerals } else { Replay::No };
        let torn = self.tears(&txn).then(|| self.state.halfway(zxid, &txn));
        let applied = self.state.apply(zxid, &txn, replay);
        self.torn = torn.filter(|_| matches!(applied.result, Ok(Answer::Multi(_))));
        for change in &applied.changes {
            for (client, kind, path) in self.watches.fire(change) {
                out.push(Effect::Reply { client, reply: Reply::Event { kind, path } });
            }
        }
        self.note_session(now, &txn);
        if let Some(Origin { node, life, ticket }) = txn.origin
            && (node, life) == (self.config.zab.id, self.life)
        {
            self.written(now, ticket, &txn.write, zxid, applied.result, out);
        }
        if txn.write == Write::CloseSession
            && let Some(client) = self.attached.get(&txn.session).copied()
        {
            self.hang_up(client, out);
        }
    }

    /// Is it time for a snapshot? Asked when nothing more is to be delivered for the moment.
    pub(crate) fn snapshot(&mut self) -> Option<Bytes> {
        if self.until_snapshot > 0 {
            return None;
        }
        self.until_snapshot = draw_snapshot(&self.config, &mut self.rng);
        Some(self.torn.take().map_or_else(|| self.state.encode(), |torn| torn.encode()))
    }

    /// Is a snapshot due in the middle of this one?
    fn tears(&self, txn: &Txn) -> bool {
        self.until_snapshot == 0
            && matches!(txn.write, Write::Multi(_))
            && self.config.zab.bugs.contains(&Bug::ZabMultiZxid)
    }

    /// What is built so far.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    fn note_session(&mut self, now: Time, txn: &Txn) {
        let Standing::Leading(office) = &mut self.standing else { return };
        match &txn.write {
            Write::OpenSession { .. } => {
                if let Some(session) = self.state.sessions.get(&txn.session) {
                    office.opened(now, txn.session, session.timeout());
                }
            }
            Write::CloseSession => office.ended(txn.session),
            Write::Node(_) | Write::Multi(_) => {}
        }
    }

    fn connect(&mut self, now: Time, client: ClientId, connect: &Connect, out: &mut Vec<Effect>) {
        let serving = !matches!(self.standing, Standing::Looking);
        // A server that is behind what the client has seen would show it the past.
        let stale_connect = self.config.zab.bugs.contains(&Bug::ZabStaleConnect);
        let behind = connect.last_zxid_seen > self.state.zxid && !stale_connect;
        if !serving || behind || self.connections.contains_key(&client) {
            return self.hang_up(client, out);
        }
        self.connections.insert(client, Connection::new());
        let ticket = self.ticket(client);
        let (session, ask) = match connect.resume {
            Some((session, password)) => (session, Ask::Resume { ticket, client, session, password }),
            None => {
                let session = SessionId(self.next_session);
                self.next_session = self.next_session.wrapping_add(1);
                let mut password: Password = [0; 16];
                self.rng.fill_bytes(&mut password);
                let timeout_ms = negotiate(connect.timeout_ms, self.config.tick);
                let write = Write::OpenSession { password, timeout_ms };
                (session, Ask::Write { origin: self.origin(ticket), client, session, write })
            }
        };
        if let Some(connection) = self.connections.get_mut(&client) {
            connection.phase = Phase::Opening { ticket, session };
        }
        if stale_connect && connect.resume.is_some() && self.state.sessions.contains_key(&session) {
            self.granted(now, ticket, out);
        }
        self.ask_leader(now, ask, out);
    }

    fn op(&mut self, now: Time, client: ClientId, xid: i32, op: Op, out: &mut Vec<Effect>) {
        let Some(connection) = self.connections.get_mut(&client) else {
            return self.hang_up(client, out);
        };
        connection.held.push_back((xid, op));
        if let Phase::Open(session) = connection.phase {
            self.hear_of(now, session);
        }
        self.take_up(now, client, out);
    }

    /// Passes on what the client said, as far as nothing holds it.
    fn take_up(&mut self, now: Time, client: ClientId, out: &mut Vec<Effect>) {
        while let Some(connection) = self.connections.get_mut(&client)
            && let Some(session) = connection.taking()
            && let Some((xid, op)) = connection.held.pop_front()
        {
            let (pending, ask) = match op {
                Op::Write(write) => {
                    let ticket = self.ticket(client);
                    let ask = Ask::Write { origin: self.origin(ticket), client, session, write };
                    (Pending::Write { ticket, xid }, Some(ask))
                }
                Op::Sync { path } => {
                    let ticket = self.ticket(client);
                    (Pending::Sync { ticket, xid, path }, Some(Ask::Sync { ticket }))
                }
                Op::Local(op) => (Pending::Local { xid, op }, None),
            };
            if let Some(connection) = self.connections.get_mut(&client) {
                connection.queue.push_back(pending);
            }
            match ask {
                Some(ask) => self.ask_leader(now, ask, out),
                None => self.drain(client, out),
            }
        }
    }

    /// The session's client is alive: the leader gets to know.
    fn hear_of(&mut self, now: Time, session: SessionId) {
        match &mut self.standing {
            Standing::Looking => {}
            Standing::Following => {
                self.heard.insert(session);
                self.report_at = self.report_at.min(now + self.config.tick / 2);
            }
            Standing::Leading(_) => self.ask_self(now, Ask::Heard(vec![session])),
        }
    }

    fn ask_self(&mut self, now: Time, ask: Ask) {
        self.ask(now, Asker::Me, ask, &mut Vec::new());
    }

    fn ask_leader(&mut self, now: Time, ask: Ask, out: &mut Vec<Effect>) {
        match self.standing {
            Standing::Looking => {}
            Standing::Following => out.push(Effect::TellLeader(encode(&ask))),
            Standing::Leading(_) => self.ask(now, Asker::Me, ask, out),
        }
    }

    fn ask(&mut self, now: Time, asker: Asker, ask: Ask, out: &mut Vec<Effect>) {
        let clock = self.clock(now);
        if let Standing::Leading(office) = &mut self.standing {
            let mut orders = Vec::new();
            office.hear(now, clock, &self.state, asker, ask, &mut orders);
            self.obey(now, orders, out);
        }
    }

    fn obey(&mut self, now: Time, orders: Vec<Order>, out: &mut Vec<Effect>) {
        for order in orders {
            match order {
                Order::Propose(txn) => out.push(Effect::Propose(txn.encode())),
                Order::Barrier(token) => out.push(Effect::Barrier(token)),
                Order::Say(Asker::Me, word) => self.word(now, word, out),
                Order::Say(Asker::Follower(link), word) => out.push(Effect::TellFollower(link, encode(&word))),
            }
        }
    }

    fn word(&mut self, now: Time, word: Word, out: &mut Vec<Effect>) {
        match word {
            Word::Granted { ticket } => self.granted(now, ticket, out),
            Word::Refused { ticket } => self.refused(ticket, out),
            Word::Detach { session, client } => {
                if self.attached.get(&session) == Some(&client) {
                    self.hang_up(client, out);
                }
            }
        }
    }

    /// The leader has granted a sync or the continuation of a session.
    fn granted(&mut self, now: Time, ticket: u64, out: &mut Vec<Effect>) {
        let Some(client) = self.tickets.remove(&ticket) else { return };
        let Some(connection) = self.connections.get_mut(&client) else { return };
        if let Some(pending) = connection.find(ticket) {
            if let Pending::Sync { xid, path, .. } = pending {
                *pending = Pending::Synced { xid: *xid, path: std::mem::take(path) };
            }
            self.drain(client, out);
            self.take_up(now, client, out);
        } else if matches!(connection.phase, Phase::Opening { ticket: opening, .. } if opening == ticket) {
            self.open(now, client, out);
        }
    }

    /// The leader knows no such session, or that it goes on over another connection.
    fn refused(&mut self, ticket: u64, out: &mut Vec<Effect>) {
        let Some(client) = self.tickets.remove(&ticket) else { return };
        if let Some(Connection { phase: Phase::Opening { .. }, .. }) = self.connections.get(&client) {
            out.push(Effect::Reply { client, reply: Reply::Expired });
        }
        self.hang_up(client, out);
    }

    /// A write of this server's own has been applied.
    fn written(
        &mut self,
        now: Time,
        ticket: u64,
        write: &Write,
        zxid: i64,
        result: Result<Answer, ErrorCode>,
        out: &mut Vec<Effect>,
    ) {
        let Some(client) = self.tickets.remove(&ticket) else { return };
        if let Write::OpenSession { .. } = write {
            return match result {
                Ok(_) => self.open(now, client, out),
                Err(_) => self.hang_up(client, out),
            };
        }
        if let Some(pending) = self.connections.get_mut(&client).and_then(|connection| connection.find(ticket))
            && let Pending::Write { xid, .. } = pending
        {
            *pending = Pending::Done(Reply::Answer { xid: *xid, zxid, result });
            self.drain(client, out);
            self.take_up(now, client, out);
        }
    }

    /// The session is there, and this connection is now its only one.
    fn open(&mut self, now: Time, client: ClientId, out: &mut Vec<Effect>) {
        let Some(connection) = self.connections.get_mut(&client) else { return };
        let Phase::Opening { session, .. } = connection.phase else { return };
        let Some(known) = self.state.sessions.get(&session) else {
            out.push(Effect::Reply { client, reply: Reply::Expired });
            return self.hang_up(client, out);
        };
        let reply = Reply::Connected { session, password: known.password, timeout_ms: known.timeout_ms };
        connection.phase = Phase::Open(session);
        if let Some(old) = self.attached.insert(session, client) {
            self.hang_up(old, out);
        }
        out.push(Effect::Reply { client, reply });
        self.hear_of(now, session);
        self.take_up(now, client, out);
    }

    /// Answers whatever can be answered now.
    fn drain(&mut self, client: ClientId, out: &mut Vec<Effect>) {
        while let Some(connection) = self.connections.get_mut(&client)
            && let Phase::Open(session) = connection.phase
            && let Some(pending) = connection.pop_ready()
        {
            let reply = match pending {
                Pending::Done(reply) => reply,
                Pending::Synced { xid, path } => {
                    Reply::Answer { xid, zxid: self.state.zxid, result: Ok(Answer::Path(path)) }
                }
                Pending::Local { xid, op } => self.answer(client, session, xid, op, out),
                Pending::Write { .. } | Pending::Sync { .. } => return,
            };
            out.push(Effect::Reply { client, reply });
        }
    }

    /// Ends a conversation from this side.
    fn hang_up(&mut self, client: ClientId, out: &mut Vec<Effect>) {
        self.forget(client);
        out.push(Effect::Reply { client, reply: Reply::Close });
    }

    fn forget(&mut self, client: ClientId) {
        self.watches.forget(client);
        let Some(connection) = self.connections.remove(&client) else { return };
        for ticket in connection.tickets() {
            self.tickets.remove(&ticket);
        }
        if let Phase::Open(session) = connection.phase
            && self.attached.get(&session) == Some(&client)
        {
            self.attached.remove(&session);
        }
    }

    fn ticket(&mut self, client: ClientId) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.tickets.insert(ticket, client);
        ticket
    }

    fn origin(&self, ticket: u64) -> Origin {
        Origin { node: self.config.zab.id, life: self.life, ticket }
    }

    /// Milliseconds since 1970, as this server believes.
    fn clock(&self, now: Time) -> i64 {
        self.config.wall_ms.saturating_add(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    }

    fn status(&self) -> Status {
        let mode = match self.standing {
            Standing::Looking => Mode::Looking,
            _ if self.config.zab.peers.len() == 1 => Mode::Standalone,
            Standing::Following => Mode::Follower,
            Standing::Leading(_) => Mode::Leader,
        };
        Status {
            mode,
            zxid: self.state.zxid,
            nodes: self.state.tree.len(),
            ephemerals: self.state.tree.ephemeral_count(),
            watches: self.watches.len(),
            sessions: self.state.sessions.len(),
            connections: self.connections.len(),
            outstanding: self.tickets.len(),
            server: self.config.zab.id.0,
            tick_ms: u64::try_from(self.config.tick.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// How many transactions lie between two snapshots: drawn, so that the servers do not all write theirs at once.
fn draw_snapshot(config: &Config, rng: &mut ChaCha8Rng) -> u32 {
    rng.random_range(config.snap_count / 2 + 1..=config.snap_count.max(1))
}
