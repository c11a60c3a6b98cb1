//! The world: its nodes, its agenda of events, and what is known of it.

mod clients;
mod drawn;
mod faults;
mod points;
mod run;
mod step;

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;

use super::agenda::Agenda;
use super::chaos::{Chaos, Crash, Undo};
use super::client::{Arrival, Clients, Replied};
use super::clock::Clock;
use super::disk::Disk;
use super::network::Network;
use super::options::Options;
use super::streams::Purpose;
use super::trace::Trace;
use super::violation::Violation;
use crate::agreement::Agreement;
use crate::outbox::Outbox;
use crate::replica::{ClientId, Event, NodeId, Output, Replica, Time};

use points::Arming;

/// More violations than this are not kept: they are consequences.
const MOST_VIOLATIONS: usize = 32;

type Configure<R> = Box<dyn Fn(NodeId, u64) -> <R as Replica>::Config>;
type Invariant<R> = Box<dyn Fn(&[(NodeId, &R)]) -> Result<(), String>>;

/// A simulated cluster.
pub struct World<R: Replica> {
    seed: u64,
    options: Options,
    now: Time,
    agenda: Agenda<Happening<R>>,
    nodes: Vec<Node<R>>,
    configure: Configure<R>,
    network: Network,
    /// What a schedule of faults is drawn from, and the one in force.
    faults: ChaCha8Rng,
    chaos: Option<Chaos>,
    partition: u64,
    leader: Option<NodeId>,
    agreement: Agreement,
    invariants: Vec<(String, Invariant<R>)>,
    clients: Clients,
    replies: Vec<Replied<R>>,
    arrivals: Vec<Arrival<R>>,
    notices: Vec<(Time, NodeId, Event)>,
    armed: Vec<Arming>,
    trace: Trace<R>,
    violations: Vec<Violation>,
    /// Empty between steps; kept for its memory.
    outputs: Vec<Output<R>>,
}

struct Node<R: Replica> {
    id: NodeId,
    life: u64,
    disk: Disk<R::Record>,
    clock: Clock,
    fsyncs: ChaCha8Rng,
    timing: ChaCha8Rng,
    resumes: ChaCha8Rng,
    crashes: ChaCha8Rng,
    process: Option<Process<R>>,
    /// Why it does not run.
    death: Option<Death>,
}

/// A replica that runs.
struct Process<R: Replica> {
    replica: R,
    outbox: Outbox<R>,
    /// The virtual time of the tick that is on the agenda.
    tick: Option<Time>,
    /// What waits for it while it is stopped.
    stopped: Option<VecDeque<Stimulus<R>>>,
    /// The armed point that it has in its outbox.
    halting: Option<Arming>,
}

/// Why a node does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It was crashed.
    Crash(Crash),
    /// Its disk was full when it wrote.
    DiskFull,
    /// Its log could not be read when it started.
    DiskUnreadable,
    /// It panicked or broke an invariant of its own. It never starts again.
    Broken,
}

/// What happens in the world.
enum Happening<R: Replica> {
    Tick { node: NodeId, life: u64, at: Time },
    Deliver { from: NodeId, to: NodeId, message: R::Message },
    Synced { node: NodeId, life: u64 },
    Connect(ClientId),
    Request { client: ClientId, request: R::Request },
    HangUp(ClientId),
    Arrive(Arrival<R>),
    Fault,
    Undo(Undo),
    Calm,
}

/// What happens to a process, or waits for it while it is stopped.
enum Stimulus<R: Replica> {
    Tick,
    Message { from: NodeId, message: R::Message },
    Request { client: ClientId, request: R::Request },
    Persisted(u64),
    DiskFull,
}

impl<R: Replica> World<R> {
    /// Starts all nodes at virtual time 0. `configure` is asked for the configuration of each life, from 1.
    pub fn new(seed: u64, configure: impl Fn(NodeId, u64) -> R::Config + 'static, options: Options) -> Self {
        let ids: Vec<NodeId> = (1..=options.nodes).map(NodeId).collect();
        let node = |&id: &NodeId| Node {
            id,
            life: 0,
            disk: Disk::new(),
            clock: Clock::new(Time::ZERO, Time::ZERO, 0),
            fsyncs: Purpose::Fsync(id).stream(seed),
            timing: Purpose::Clock(id).stream(seed),
            resumes: Purpose::Resume(id).stream(seed),
            crashes: Purpose::Crash(id).stream(seed),
            process: None,
            death: None,
        };
        let mut world = World {
            seed,
            now: Time::ZERO,
            agenda: Agenda::new(),
            nodes: ids.iter().map(node).collect(),
            configure: Box::new(configure),
            network: Network::new(seed, &ids, options.packets),
            faults: Purpose::Chaos.stream(seed),
            chaos: None,
            partition: 0,
            leader: None,
            agreement: Agreement::default(),
            invariants: Vec::new(),
            clients: Clients::new(),
            replies: Vec::new(),
            arrivals: Vec::new(),
            notices: Vec::new(),
            armed: Vec::new(),
            trace: Trace::new(options.trace_lines),
            violations: Vec::new(),
            outputs: Vec::new(),
            options,
        };
        for id in ids {
            world.restart(id);
        }
        world
    }

    /// Adds an invariant over all live replicas, asserted after each step.
    pub fn invariant(
        &mut self,
        name: impl Into<String>,
        holds: impl Fn(&[(NodeId, &R)]) -> Result<(), String> + 'static,
    ) {
        self.invariants.push((name.into(), Box::new(holds)));
    }

    /// The seed that everything is drawn from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// All nodes, dead or alive, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    /// A node's replica, if it runs.
    #[must_use]
    pub fn replica(&self, node: NodeId) -> Option<&R> {
        self.node(node).process.as_ref().map(|process| &process.replica)
    }

    /// All replicas that run.
    #[must_use]
    pub fn live(&self) -> Vec<(NodeId, &R)> {
        live(&self.nodes)
    }

    /// Why a node does not run; none if it runs.
    #[must_use]
    pub fn death(&self, node: NodeId) -> Option<Death> {
        self.node(node).death
    }

    /// Whether a node's process is stopped, by a pause or at a point.
    #[must_use]
    pub fn is_paused(&self, node: NodeId) -> bool {
        self.node(node).process.as_ref().is_some_and(|process| process.stopped.is_some())
    }

    /// The durable records of a node: what its next life would read after a power loss.
    #[must_use]
    pub fn durable(&self, node: NodeId) -> &[R::Record] {
        self.node(node).disk.records()
    }

    /// The node that was the last to say that it leads, if it has not said otherwise or died since.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// What has been applied so far.
    #[must_use]
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// What was broken so far, the first first; of very many the first ones.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Who began to lead, to follow or to look for a leader, and who was halted at an armed point, since this was last
    /// asked.
    pub fn take_notices(&mut self) -> Vec<(Time, NodeId, Event)> {
        std::mem::take(&mut self.notices)
    }

    /// The last trace lines, as text.
    #[must_use]
    pub fn trace(&self) -> String {
        self.trace.text()
    }

    fn index(&self, node: NodeId) -> usize {
        let at = usize::try_from(node.0).unwrap_or(0).wrapping_sub(1);
        assert!(at < self.nodes.len(), "this world has no {node}");
        at
    }

    fn node(&self, node: NodeId) -> &Node<R> {
        &self.nodes[self.index(node)]
    }

    fn at(&mut self, at: Time, what: Happening<R>) {
        self.agenda.push(at, what);
    }
}

fn live<R: Replica>(nodes: &[Node<R>]) -> Vec<(NodeId, &R)> {
    nodes.iter().filter_map(|node| node.process.as_ref().map(|process| (node.id, &process.replica))).collect()
}

/// What a value is after a way over the network or the disk.
fn through_bytes<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let bytes = postcard::to_stdvec(value).expect("messages and records have a form in bytes");
    postcard::from_bytes(&bytes).expect("messages and records are read back from their own bytes")
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without words")
}
