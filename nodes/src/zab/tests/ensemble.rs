//! A few peers on a wire that delivers after a millisecond, with disks that are durable at once: golden scenarios
//! are read from what goes over the wire.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;

use crate::bugs::Bug;
use crate::replica::{NodeId, Time};
use crate::zab::message::{Body, Frame, Notification, Packet, Txn};
use crate::zab::{Config, Effect, Input, Message, Record, Status, Zab, Zxid};

const LATENCY: Duration = Duration::from_millis(1);

/// What is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Show {
    /// What the state machines see.
    States,
    /// And what goes over the links.
    Links,
    /// And the election.
    Votes,
}

pub(super) struct Ensemble {
    pub(super) show: Show,
    configs: BTreeMap<u64, Config>,
    peers: BTreeMap<u64, Zab>,
    disks: BTreeMap<u64, Vec<Record>>,
    writes: BTreeMap<u64, u64>,
    wire: VecDeque<(Time, u64, u64, Message)>,
    cuts: BTreeSet<(u64, u64)>,
    frames: BTreeMap<(u64, u64), Frame>,
    now: Time,
    text: String,
}

impl Ensemble {
    /// An ensemble of which nobody has started yet.
    pub(super) fn new(size: u64, show: Show) -> Self {
        let ids: Vec<NodeId> = (1..=size).map(NodeId).collect();
        let config = |id: &NodeId| (id.0, Config { retain: 0, ..Config::new(*id, ids.clone()) });
        Ensemble {
            show,
            configs: ids.iter().map(config).collect(),
            peers: BTreeMap::new(),
            disks: BTreeMap::new(),
            writes: BTreeMap::new(),
            wire: VecDeque::new(),
            cuts: BTreeSet::new(),
            frames: BTreeMap::new(),
            now: Time::ZERO,
            text: String::new(),
        }
    }

    pub(super) fn plant(mut self, bug: Bug) -> Self {
        self.configs.values_mut().for_each(|config| config.bugs.push(bug));
        self
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// The last thing that one peer sent to another over a link.
    pub(super) fn last_frame(&self, from: u64, to: u64) -> Option<Frame> {
        self.frames.get(&(from, to)).cloned()
    }

    /// What was written down since the last time.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    pub(super) fn start(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            let records = self.disks.entry(id).or_default().clone();
            self.peers.insert(id, Zab::recover(self.configs[&id].clone(), self.now, records));
            self.writes.insert(id, 0);
            self.line(Show::States, &format!("n{id} starts"));
            self.step(id, Input::Tick);
        }
    }

    pub(super) fn stop(&mut self, id: u64) {
        self.peers.remove(&id);
        self.line(Show::States, &format!("n{id} stops"));
    }

    pub(super) fn isolate(&mut self, id: u64) {
        let others: Vec<u64> = self.configs.keys().copied().filter(|other| *other != id).collect();
        self.cuts.extend(others.into_iter().flat_map(|other| [(id, other), (other, id)]));
        self.line(Show::States, &format!("n{id} is isolated"));
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        self.line(Show::States, "the network is healed");
    }

    pub(super) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let arrival = self.wire.front().map(|(at, ..)| *at);
            let wake = self.peers.iter().map(|(id, peer)| (peer.wake(), *id)).min();
            let next = arrival.into_iter().chain(wake.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                self.arrive();
            } else if let Some((_, id)) = wake {
                self.step(id, Input::Tick);
            }
        }
        self.now = end;
    }

    fn arrive(&mut self) {
        let Some((_, from, to, message)) = self.wire.pop_front() else { return };
        if self.cuts.contains(&(from, to)) || !self.peers.contains_key(&to) {
            return;
        }
        match &message {
            Message::Notification(vote) => self.line(Show::Votes, &format!("n{from} > n{to} {}", ballot(vote))),
            Message::Frame(Frame { body: Body::Ping { .. }, .. }) => {}
            Message::Frame(Frame { body, .. }) => self.line(Show::Links, &format!("n{from} > n{to} {}", frame(body))),
        }
        self.step(to, Input::Message { from: NodeId(from), message });
    }

    /// A client of that peer proposes.
    pub(super) fn propose(&mut self, id: u64, payload: &'static str) {
        let mut effects = Vec::new();
        let peer = self.peers.get_mut(&id).expect("it runs");
        let result = peer.propose(self.now, Bytes::from_static(payload.as_bytes()), &mut effects);
        let outcome = result.map_or_else(|refused| refused.to_string(), |zxid| zxid.to_string());
        self.line(Show::States, &format!("n{id} proposes {payload}: {outcome}"));
        self.obey(id, effects);
    }

    /// A peer's state machine takes a snapshot.
    pub(super) fn compact(&mut self, id: u64) {
        let mut effects = Vec::new();
        self.peers.get_mut(&id).expect("it runs").compact(Bytes::from_static(b"state"), &mut effects);
        self.line(Show::States, &format!("n{id} compacts"));
        self.obey(id, effects);
    }

    fn step(&mut self, id: u64, input: Input) {
        let mut effects = Vec::new();
        let peer = self.peers.get_mut(&id).expect("it runs");
        peer.step(self.now, input, &mut effects);
        peer.check().expect("the protocol is kept");
        self.obey(id, effects);
    }

    fn obey(&mut self, id: u64, effects: Vec<Effect>) {
        let before = self.writes[&id];
        for effect in effects {
            match effect {
                Effect::Send { to, message } => {
                    if let Message::Frame(frame) = &message {
                        self.frames.insert((id, to.0), frame.clone());
                    }
                    self.wire.push_back((self.now + LATENCY, id, to.0, message));
                }
                Effect::Persist(records) => self.write(id, |disk| disk.extend(records)),
                Effect::Rewrite(records) => self.write(id, |disk| *disk = records),
                Effect::Deliver { zxid, payload, replayed } => {
                    let how = if replayed { "replays" } else { "delivers" };
                    let payload = String::from_utf8_lossy(&payload).into_owned();
                    self.line(Show::States, &format!("n{id} {how} {zxid} {payload}"));
                }
                Effect::Restore { zxid, .. } => self.line(Show::States, &format!("n{id} restores {zxid}")),
                Effect::Status(status) => self.line(Show::States, &format!("n{id} is {}", standing(status))),
                Effect::Reached(_) => {}
                other => self.line(Show::States, &format!("n{id} {other:?}")),
            }
        }
        let writes = self.writes[&id];
        if writes > before {
            self.step(id, Input::Persisted(writes));
        }
    }

    fn write(&mut self, id: u64, change: impl FnOnce(&mut Vec<Record>)) {
        change(self.disks.entry(id).or_default());
        *self.writes.entry(id).or_default() += 1;
    }

    fn line(&mut self, level: Show, what: &str) {
        if level <= self.show {
            writeln!(self.text, "{:>5} {what}", self.now.as_millis()).expect("a String takes all text");
        }
    }

    /// The zxids in a peer's log.
    pub(super) fn log(&self, id: u64) -> Vec<Zxid> {
        self.peers[&id].core.log.after(Zxid::ZERO).map(|txn| txn.zxid).collect()
    }

    pub(super) fn peer(&mut self, id: u64) -> &mut Zab {
        self.peers.get_mut(&id).expect("it runs")
    }
}

fn ballot(heard: &Notification) -> String {
    let Notification { round, standing, vote, .. } = heard;
    format!("{standing:?} round {round}: {} {} epoch {}", vote.leader, vote.zxid, vote.epoch).to_lowercase()
}

fn standing(status: Status) -> String {
    match status {
        Status::Looking => "LOOKING".to_owned(),
        Status::Following { leader, epoch } => format!("FOLLOWING {leader} in epoch {epoch}"),
        Status::Leading { epoch } => format!("LEADING epoch {epoch}"),
    }
}

fn frame(body: &Body) -> String {
    let Body::Packet { packet, .. } = body else { return format!("{body:?}").to_uppercase() };
    match packet {
        Packet::FollowerInfo { accepted_epoch } => format!("FOLLOWERINFO {accepted_epoch}"),
        Packet::LeaderInfo { epoch } => format!("LEADERINFO {epoch}"),
        Packet::AckEpoch { counts, current_epoch, summary } => {
            let ends: Vec<String> = summary.ends.iter().map(Zxid::to_string).collect();
            format!("ACKEPOCH {} epoch {current_epoch} log {}", if *counts { "yes" } else { "again" }, ends.join(" "))
        }
        Packet::Trunc { zxid } => format!("TRUNC {zxid}"),
        Packet::Snap { zxid, .. } => format!("SNAP {zxid}"),
        Packet::Diff { txns } => {
            let zxids: Vec<String> = txns.iter().map(|txn| txn.zxid.to_string()).collect();
            format!("DIFF {}", zxids.join(" "))
        }
        Packet::NewLeader { epoch } => format!("NEWLEADER {epoch}"),
        Packet::AckNewLeader => "ACK of NEWLEADER".to_owned(),
        Packet::UpToDate { committed } => format!("UPTODATE {committed}"),
        Packet::Proposal(Txn { zxid, .. }) => format!("PROPOSAL {zxid}"),
        Packet::Ack { zxid } => format!("ACK {zxid}"),
        Packet::Commit { zxid } => format!("COMMIT {zxid}"),
        Packet::App(_) => "APP".to_owned(),
    }
}
