//! The replica: the consensus and the state machine, joined.

mod leases;

use std::collections::BTreeMap;

use super::api::Consistency;
use super::api::{Answer, Error, Header, MAX_REQUEST_BYTES, RangeRequest, Reply, Request, Response, Status};
use super::command::{Command, Operation, RequestId};
use super::lease::Countdown;
use super::message::{LeaseAnswer, LeaseQuestion, Message};
use super::pending::{Asker, Passed, Proposal, Question, Read, Reads};
use super::{Config, Due, State, txn};
use crate::bugs::Bug;
use crate::raft::{self, Body, Effect, Entry, Position, Raft, Record, Role, Snapshot};
use crate::replica::{self, ClientId, Event, Input, NodeId, Time};

type Output = replica::Output<Replica>;

/// A replica of the key-value store.
#[derive(Debug)]
pub struct Replica {
    config: Config,
    raft: Raft,
    state: State,
    /// The last entry of the log that the state contains.
    applied: Position,
    /// How many requests of this life have a number.
    requests: u64,
    proposals: BTreeMap<u64, Proposal>,
    reads: Reads,
    passed: BTreeMap<u64, Passed>,
    /// Only at a leader that has applied an entry of its term.
    countdown: Option<Countdown>,
    /// The state began with this snapshot; to be reported in the first step.
    restored: Option<u64>,
    /// The state inside a snapshot that was just received.
    received: Option<(Position, State)>,
}

impl Replica {
    /// The consensus.
    #[must_use]
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The state machine.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The last index of the log that the state machine contains.
    #[must_use]
    pub fn applied(&self) -> raft::Index {
        self.applied.index
    }

    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId { node: self.config.id, life: self.raft.life(), seq: self.requests }
    }

    fn has_bug(&self, bug: Bug) -> bool {
        self.config.bugs.contains(&bug)
    }

    fn is_leader(&self) -> bool {
        self.raft.role() == Role::Leader
    }

    fn reply(&self, client: ClientId, result: Result<Response, Error>, out: &mut Vec<Output>) {
        let header = Header { member: self.config.id, revision: self.state.revision(), term: self.raft.term() };
        let reply: Reply = result.map(|response| Answer { header, response });
        out.push(Output::Reply { client, reply });
    }

    fn on_request(&mut self, now: Time, client: ClientId, request: Request, out: &mut Vec<Output>) {
        if let Err(error) = self.begin(now, client, request, out) {
            self.reply(client, Err(error), out);
        }
    }

    /// Starts a request, or says why not.
    fn begin(&mut self, now: Time, client: ClientId, request: Request, out: &mut Vec<Output>) -> Result<(), Error> {
        let operation = match request {
            Request::Range(range) => return self.begin_range(now, client, range, out),
            Request::Txn(request) => {
                txn::validate(&request)?;
                if request.is_read_only() {
                    return self.ask(now, Asker::Client(client), Question::Txn(request));
                }
                Operation::Txn(request)
            }
            Request::Put(put) => {
                txn::validate_put(&put)?;
                Operation::Put(put)
            }
            Request::DeleteRange(delete) => {
                txn::validate_span(&delete.span)?;
                Operation::DeleteRange(delete)
            }
            Request::Compact { revision } => Operation::Compact { revision },
            Request::LeaseGrant { id, ttl } => self.grant(id, ttl)?,
            Request::LeaseRevoke { id } => Operation::LeaseRevoke { id },
            Request::LeaseKeepAlive { id } => {
                return self.ask_leader(now, client, LeaseQuestion::KeepAlive { id }, out);
            }
            Request::LeaseTimeToLive { id, keys } => {
                return self.ask_leader(now, client, LeaseQuestion::TimeToLive { id, keys }, out);
            }
            Request::Leases => return self.ask(now, Asker::Client(client), Question::Leases),
            Request::Status => {
                self.reply(client, Ok(Response::Status(self.status())), out);
                return Ok(());
            }
        };
        self.propose(now, client, operation)
    }

    fn begin_range(
        &mut self,
        now: Time,
        client: ClientId,
        range: RangeRequest,
        out: &mut Vec<Output>,
    ) -> Result<(), Error> {
        txn::validate_span(&range.span)?;
        match range.consistency {
            Consistency::Linearizable => self.ask(now, Asker::Client(client), Question::Range(range)),
            Consistency::Serializable => {
                self.reply(client, self.state.range(&range).map(Response::Range), out);
                Ok(())
            }
        }
    }

    fn propose(&mut self, now: Time, client: ClientId, operation: Operation) -> Result<(), Error> {
        let id = self.next_request();
        let data = Command { id, operation }.encode();
        if data.len() > MAX_REQUEST_BYTES {
            return Err(Error::RequestTooLarge);
        }
        let term = self.raft.propose(data).map_err(|_| Error::NoLeader)?;
        let deadline = now + self.config.timeouts.request;
        self.proposals.insert(id.seq, Proposal { client, term, deadline });
        Ok(())
    }

    /// Asks the consensus when a question may be answered.
    fn ask(&mut self, now: Time, asker: Asker, question: Question) -> Result<(), Error> {
        let id = self.raft.read().map_err(|_| Error::NoLeader)?;
        self.reads.add(id, asker, question, now + self.config.timeouts.request);
        Ok(())
    }

    fn on_message(&mut self, now: Time, from: NodeId, message: Message, out: &mut Vec<Output>) {
        match message {
            Message::Raft(message) => {
                if let Body::Install { snapshot, .. } = &message.body {
                    let Some(state) = State::decode(&snapshot.data) else {
                        tracing::warn!(%from, "dropped a snapshot that cannot be decoded");
                        return;
                    };
                    self.received = Some((snapshot.last, state));
                }
                self.raft.receive(now, from, message);
            }
            Message::Ask { id, question } => {
                if self.is_leader() && self.ask(now, Asker::Peer(from, id), Question::Lease(question)).is_err() {
                    tracing::debug!(%from, "a lease's time is asked of a replica that knows no leader");
                }
            }
            Message::Told { id, answer } => {
                let mine = id.node == self.config.id && id.life == self.raft.life();
                if let Some(passed) = mine.then(|| self.passed.remove(&id.seq)).flatten() {
                    self.reply(passed.client, Ok(answer.into()), out);
                }
            }
        }
    }

    /// Does what the consensus wants done.
    fn perform(&mut self, now: Time, out: &mut Vec<Output>) {
        let mut effects = Vec::new();
        self.raft.drain(&mut effects);
        for effect in effects {
            match effect {
                Effect::Send { to, message } => out.push(Output::Send { to, message: Message::Raft(message) }),
                Effect::Persist(records) => out.push(Output::Persist(records)),
                Effect::Rewrite(records) => out.push(Output::Rewrite(records)),
                Effect::Event(event) => out.push(Output::Event(event)),
                Effect::Apply(entry) => self.apply(now, &entry, out),
                Effect::Restore(snapshot) => self.restore(&snapshot, out),
                Effect::ReadReady { id, index } => self.reads.ready(id, index),
                Effect::LeaderChanged => self.on_leader_change(now, out),
            }
        }
        while let Some(read) = self.reads.take_ready(self.applied.index) {
            self.answer(now, &read, out);
        }
    }

    fn apply(&mut self, now: Time, entry: &Entry, out: &mut Vec<Output>) {
        if entry.at.term > self.applied.term {
            self.give_up_proposals_before(entry.at.term, Error::LeaderChanged, out);
        }
        self.applied = entry.at;
        // Kv-index-early (etcd issue 13766): a snapshot is taken between the index and what belongs to it.
        if self.has_bug(Bug::KvIndexEarly) {
            self.compact();
        }
        out.push(Output::Event(Event::Applied { position: entry.at.index, digest: raft::digest(entry) }));
        self.begin_countdown(now, entry.at.term);
        if entry.data.is_empty() {
            return;
        }
        let Some(command) = Command::decode(&entry.data) else {
            tracing::error!(index = entry.at.index, "passed over a command that cannot be decoded");
            return;
        };
        let Some(result) = self.state.apply(&command) else { return };
        self.count_down(now, &result, &command.operation);
        let mine = command.id.node == self.config.id && command.id.life == self.raft.life();
        if let Some(proposal) = mine.then(|| self.proposals.remove(&command.id.seq)).flatten() {
            self.reply(proposal.client, result, out);
        }
    }

    fn restore(&mut self, snapshot: &Snapshot, out: &mut Vec<Output>) {
        let (last, state) = self.received.take().expect("a snapshot is decoded before the consensus sees it");
        assert_eq!(last, snapshot.last, "the consensus restores what it was just handed");
        (self.applied, self.state, self.countdown) = (last, state, None);
        // Whether they are in the snapshot or never will be in the log is not to be seen any more.
        self.give_up_proposals_before(last.term + 1, Error::Timeout, out);
        out.push(Output::Event(Event::Restored { position: last.index }));
    }

    fn give_up_proposals_before(&mut self, term: raft::Term, error: Error, out: &mut Vec<Output>) {
        let mut lost = Vec::new();
        self.proposals.retain(|_, proposal| {
            let alive = proposal.term >= term;
            if !alive {
                lost.push(proposal.client);
            }
            alive
        });
        for client in lost {
            self.reply(client, Err(error), out);
        }
    }

    fn on_leader_change(&mut self, now: Time, out: &mut Vec<Output>) {
        self.end_countdown(now);
        for read in self.reads.take_unready() {
            self.refuse(&read, Error::LeaderChanged, out);
        }
        for passed in std::mem::take(&mut self.passed).into_values() {
            self.reply(passed.client, Err(Error::Timeout), out);
        }
    }

    fn refuse(&self, read: &Read, error: Error, out: &mut Vec<Output>) {
        // Another replica learns of the change itself, and its clients have deadlines there.
        if let Asker::Client(client) = read.asker {
            self.reply(client, Err(error), out);
        }
    }

    fn answer(&mut self, now: Time, read: &Read, out: &mut Vec<Output>) {
        let result = match &read.question {
            Question::Range(range) => self.state.range(range).map(Response::Range),
            Question::Txn(request) => self.state.read_txn(request).map(Response::Txn),
            Question::Leases => Ok(Response::Leases(self.state.leases().ids().collect())),
            Question::Lease(question) => match self.answer_lease(now, *question) {
                Some(answer) => return self.tell(read.asker, answer, out),
                None => Err(Error::LeaderChanged),
            },
        };
        match (read.asker, result) {
            (Asker::Client(client), result) => self.reply(client, result, out),
            (Asker::Peer(..), _) => {}
        }
    }

    fn tell(&self, asker: Asker, answer: LeaseAnswer, out: &mut Vec<Output>) {
        match asker {
            Asker::Client(client) => self.reply(client, Ok(answer.into()), out),
            Asker::Peer(to, id) => out.push(Output::Send { to, message: Message::Told { id, answer } }),
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        self.raft.tick(now);
        while let Some((&seq, proposal)) = self.proposals.first_key_value()
            && proposal.deadline <= now
        {
            let client = proposal.client;
            self.proposals.remove(&seq);
            self.reply(client, Err(Error::Timeout), out);
        }
        while let Some(read) = self.reads.take_late(now) {
            self.refuse(&read, Error::Timeout, out);
        }
        while let Some((&seq, passed)) = self.passed.first_key_value()
            && passed.deadline <= now
        {
            let client = passed.client;
            self.passed.remove(&seq);
            self.reply(client, Err(Error::Timeout), out);
        }
        self.end_leases(now, out);
    }

    /// Replaces the log by the state when enough of it is there.
    fn compact(&mut self) -> bool {
        let snapshot = self.raft.snapshot();
        let due = match self.config.compaction.when {
            Due::Bytes(bytes) => self.raft.log_bytes() > bytes.max(snapshot.map_or(0, |snapshot| snapshot.data.len())),
            Due::Entries(most) => self.applied.index >= snapshot.map_or(0, |snapshot| snapshot.last.index) + most,
        };
        due && self.raft.compact(self.applied.index, || self.state.encode())
    }

    fn status(&self) -> Status {
        Status {
            role: self.raft.role(),
            leader: self.raft.leader(),
            term: self.raft.term(),
            last_index: self.raft.log().last().index,
            commit_index: self.raft.commit(),
            applied_index: self.applied.index,
            revision: self.state.revision(),
        }
    }
}

impl replica::Replica for Replica {
    type Config = Config;
    type Record = Record;
    type Message = Message;
    type Request = Request;
    type Reply = Reply;

    fn recover(config: Config, now: Time, records: Vec<Record>) -> Self {
        let raft_config = raft::Config {
            id: config.id,
            peers: config.peers.clone(),
            timeouts: config.timeouts.raft,
            seed: config.seed,
            bugs: config.bugs.clone(),
            keep_entries: config.compaction.keep_entries,
        };
        let raft = Raft::recover(raft_config, now, records);
        let snapshot = raft.snapshot();
        let state = snapshot.map(|snapshot| State::decode(&snapshot.data).expect("it was decoded before it was kept"));
        Replica {
            config,
            applied: snapshot.map_or_else(Position::default, |snapshot| snapshot.last),
            restored: snapshot.map(|snapshot| snapshot.last.index),
            raft,
            state: state.unwrap_or_default(),
            requests: 0,
            proposals: BTreeMap::new(),
            reads: Reads::default(),
            passed: BTreeMap::new(),
            countdown: None,
            received: None,
        }
    }

    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Vec<Output>) {
        if let Some(position) = self.restored.take() {
            out.push(Output::Event(Event::Restored { position }));
        }
        match input {
            Input::Tick => self.tick(now, out),
            Input::Message { from, message } => self.on_message(now, from, message, out),
            Input::Request { client, request } => self.on_request(now, client, request, out),
            Input::Persisted(n) => self.raft.persisted(n),
        }
        self.perform(now, out);
        self.received = None;
        if self.compact() {
            self.perform(now, out);
        }
    }

    fn wake(&self) -> Time {
        let deadlines = [
            self.proposals.first_key_value().map(|(_, proposal)| proposal.deadline),
            self.reads.deadline(),
            self.passed.first_key_value().map(|(_, passed)| passed.deadline),
            self.countdown.as_ref().filter(|_| self.is_leader()).and_then(Countdown::next),
        ];
        deadlines.into_iter().flatten().fold(self.raft.wake(), Time::min)
    }

    fn check(&self) -> Result<(), String> {
        self.raft.check()?;
        if self.applied.index > self.raft.commit() {
            return Err(format!(
                "{}: applied {}, but only {} is committed",
                self.config.id,
                self.applied.index,
                self.raft.commit()
            ));
        }
        Ok(())
    }
}
