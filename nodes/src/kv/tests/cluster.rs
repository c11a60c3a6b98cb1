//! A simulated cluster of replicas with clients.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::history::{History, Key};
use crate::bugs::Bug;
use crate::kv::api::{Answer, Error, PutRequest, RangeRequest, Reply, Request, Response, Span};
use crate::kv::{Compaction, Config, Replica};
use crate::raft::Invariants;
use crate::replica::{ClientId, NodeId, Time};
use crate::sim::{Options, Violation, World};

/// How a cluster differs from the usual one.
#[derive(Clone, Debug, Default)]
pub(super) struct Setup {
    pub(super) bugs: Vec<Bug>,
    pub(super) compaction: Option<Compaction>,
}

pub(super) fn world(seed: u64, options: Options, setup: Setup) -> World<Replica> {
    let peers: Vec<NodeId> = (1..=options.nodes).map(NodeId).collect();
    let configure = move |id, _life| {
        let mut config = Config::new(id, peers.clone(), seed);
        config.bugs.clone_from(&setup.bugs);
        config.compaction = setup.compaction.unwrap_or(config.compaction);
        config.timeouts.request = PATIENCE / 2;
        config
    };
    let mut world = World::new(seed, configure, options);
    let invariants = RefCell::new(Invariants::default());
    world.invariant("raft", move |live: &[(NodeId, &Replica)]| {
        invariants.borrow_mut().observe(live.iter().map(|(_, replica)| replica.raft()))
    });
    world
}

/// Runs until a leader is there that the majority follows.
pub(super) fn elect(world: &mut World<Replica>) -> Result<NodeId, Violation> {
    world.run_until(Duration::from_secs(5), "a leader", |world| {
        let live = world.live();
        let followed = |leader: Option<NodeId>| {
            leader.is_some() && live.iter().filter(|(_, r)| r.raft().leader() == leader).count() * 2 > world.ids().len()
        };
        live.iter().any(|(id, replica)| replica.raft().leader() == Some(*id) && followed(Some(*id)))
    })?;
    let leader = world.live().iter().find(|(id, replica)| replica.raft().leader() == Some(*id)).map(|(id, _)| *id);
    Ok(leader.expect("it was just seen"))
}

/// Asks and waits for the answer.
pub(super) fn ask(world: &mut World<Replica>, node: NodeId, request: Request) -> Result<Reply, Violation> {
    let what = format!("an answer of {node} to {request:?}");
    let client = world.request(node, request);
    world.run_until(Duration::from_secs(8), &what, |world| world.replies().iter().any(|r| r.client == client))?;
    let reply = world.take_replies().into_iter().find(|replied| replied.client == client);
    Ok(reply.expect("it was just seen").reply)
}

/// Asks again until it works: also a calm network loses something now and then, and nobody asks twice by himself.
/// With the answer comes when its own attempt began.
pub(super) fn insist(world: &mut World<Replica>, node: NodeId, request: &Request) -> Result<(Time, Answer), Violation> {
    for _ in 0..5 {
        elect(world)?;
        let began = world.now();
        let reply = ask(world, node, request.clone())?;
        if let Ok(answer) = reply {
            return Ok((began, answer));
        }
        world.run_for(Duration::from_millis(100))?;
    }
    let what = format!("liveness: {node} never carried out {request:?}");
    Err(Violation { seed: world.seed(), at: world.now(), what, trace: world.trace() })
}

pub(super) fn put(key: &str, value: &str) -> Request {
    Request::Put(PutRequest::new(key.to_owned(), value.to_owned()))
}

pub(super) fn get(key: &str) -> Request {
    Request::Range(RangeRequest::new(Span::Key(key.to_owned().into())))
}

/// The value in an answer to [`get`]; none if there is no key.
pub(super) fn value(answer: &Answer) -> Option<Bytes> {
    match &answer.response {
        Response::Range(range) => range.kvs.first().map(|kv| kv.value.clone()),
        other => panic!("a read was answered by {other:?}"),
    }
}

/// What clients do, and what they find wrong.
pub(super) trait Work {
    /// Lets them work until a time.
    fn run_until(&mut self, world: &mut World<Replica>, end: Time) -> Result<(), Violation>;

    /// Whether what they saw can be.
    fn check(&self) -> Result<(), String>;

    /// How many of their calls told them something.
    fn done(&self) -> usize;
}

/// Clients who write and read registers and remember what they saw.
#[derive(Debug)]
pub(super) struct Clients {
    rng: ChaCha8Rng,
    nodes: u64,
    processes: Vec<Process>,
    next_key: Key,
    calls: BTreeMap<ClientId, Call>,
    pub(super) history: History,
}

/// A client who writes one register, and reads.
#[derive(Debug)]
struct Process {
    key: Key,
    value: u64,
    busy: Option<ClientId>,
}

#[derive(Debug)]
struct Call {
    process: usize,
    key: Key,
    began: Time,
    /// The value written; none for a read.
    writes: Option<u64>,
}

/// A client whose answer has not come after this long gives up.
const PATIENCE: Duration = Duration::from_secs(2);

impl Clients {
    pub(super) fn new(seed: u64, nodes: u64, processes: u64) -> Self {
        let process = |key| Process { key, value: 0, busy: None };
        Clients {
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x00c1_1e47),
            nodes,
            processes: (1..=processes).map(process).collect(),
            next_key: processes + 1,
            calls: BTreeMap::new(),
            history: History::default(),
        }
    }

    fn call(&mut self, world: &mut World<Replica>, process: usize) {
        let node = NodeId(self.rng.random_range(1..=self.nodes));
        let began = world.now();
        let writes = self.rng.random_bool(0.6);
        let one = &mut self.processes[process];
        let (key, request, writes) = if writes {
            one.value += 1;
            self.history.write_begins(one.key, one.value, began);
            (one.key, put(&name(one.key), &one.value.to_string()), Some(one.value))
        } else {
            let other = self.rng.random_range(0..self.processes.len());
            let key = self.processes[other].key;
            (key, get(&name(key)), None)
        };
        let client = world.request(node, request);
        self.processes[process].busy = Some(client);
        self.calls.insert(client, Call { process, key, began, writes });
    }

    fn take_replies(&mut self, world: &mut World<Replica>) {
        for replied in world.take_replies() {
            let Some(call) = self.calls.remove(&replied.client) else { continue };
            match (call.writes, &replied.reply) {
                (Some(value), Ok(_)) => self.history.write_ends(call.key, value, replied.at),
                (Some(_), Err(Error::Timeout)) => self.retire(&call),
                (Some(value), Err(_)) => self.history.write_fails(call.key, value),
                (None, Ok(answer)) => {
                    let seen = value(answer).map_or(0, |value| number(&value));
                    self.history.read(call.key, seen, call.began, replied.at);
                }
                (None, Err(_)) => {}
            }
            let process = &mut self.processes[call.process];
            if process.busy == Some(replied.client) {
                process.busy = None;
            }
        }
    }

    fn give_up(&mut self, now: Time) {
        let late: Vec<ClientId> =
            self.calls.iter().filter(|(_, call)| now > call.began + PATIENCE).map(|(client, _)| *client).collect();
        for client in late {
            let call = self.calls.remove(&client).expect("it was just seen");
            if call.writes.is_some() {
                self.retire(&call);
            }
            self.processes[call.process].busy = None;
        }
    }

    /// After an unknown outcome nobody writes that register any more.
    fn retire(&mut self, call: &Call) {
        let process = &mut self.processes[call.process];
        (process.key, process.value) = (self.next_key, 0);
        self.next_key += 1;
    }

    /// Reads every register once, at one node.
    pub(super) fn read_all(&mut self, world: &mut World<Replica>, node: NodeId) -> Result<(), Violation> {
        for key in self.history.keys() {
            let (began, answer) = insist(world, node, &get(&name(key)))?;
            let seen = value(&answer).map_or(0, |value| number(&value));
            self.history.read(key, seen, began, world.now());
        }
        Ok(())
    }
}

impl Work for Clients {
    fn run_until(&mut self, world: &mut World<Replica>, end: Time) -> Result<(), Violation> {
        while world.now() < end {
            for process in 0..self.processes.len() {
                if self.processes[process].busy.is_none() && self.rng.random_bool(0.5) {
                    self.call(world, process);
                }
            }
            world.run_for(Duration::from_millis(5))?;
            self.take_replies(world);
            self.give_up(world.now());
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        self.history.check()
    }

    fn done(&self) -> usize {
        self.history.acknowledged() + self.history.reads()
    }
}

fn name(key: Key) -> String {
    format!("register/{key}")
}

fn number(value: &Bytes) -> u64 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).expect("clients write numbers")
}
