//! The world: its nodes, its agenda of events, and what a test does to it.

mod step;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::agreement::Agreement;
use super::chaos::{Chaos, Crash, Undo};
use super::disk::Disk;
use super::network::{Cut, Network, between};
use super::options::Options;
use super::trace::{Line, Trace};
use super::violation::Violation;
use crate::outbox::Outbox;
use crate::replica::{ClientId, NodeId, Replica, Time};

/// An answer that has left its replica.
#[derive(Clone, Debug)]
pub struct Replied<R: Replica> {
    /// The virtual time at which it left.
    pub at: Time,
    /// The conversation.
    pub client: ClientId,
    /// The node that answered.
    pub node: NodeId,
    /// The answer.
    pub reply: R::Reply,
}

type Configure<R> = Box<dyn Fn(NodeId, u64) -> <R as Replica>::Config>;
type Invariant<R> = Box<dyn Fn(&[(NodeId, &R)]) -> Result<(), String>>;

/// A simulated cluster.
pub struct World<R: Replica> {
    seed: u64,
    options: Options,
    now: Time,
    scheduled: u64,
    agenda: BinaryHeap<Appointment<R>>,
    nodes: Vec<Node<R>>,
    configure: Configure<R>,
    network: Network,
    crashes: ChaCha8Rng,
    timing: ChaCha8Rng,
    faults: ChaCha8Rng,
    chaos: Option<Chaos>,
    partition: u64,
    leader: Option<NodeId>,
    agreement: Agreement,
    invariants: Vec<(String, Invariant<R>)>,
    clients: u64,
    homes: BTreeMap<ClientId, (NodeId, u64)>,
    replies: Vec<Replied<R>>,
    trace: Trace<R>,
    broken: Option<Violation>,
}

struct Node<R: Replica> {
    id: NodeId,
    life: u64,
    disk: Disk<R::Record>,
    slow: bool,
    process: Option<Process<R>>,
}

/// A replica that runs.
struct Process<R: Replica> {
    replica: R,
    /// What its own clock shows at virtual time 0.
    clock: Duration,
    outbox: Outbox<R>,
    /// The virtual time of the tick that is on the agenda.
    tick: Option<Time>,
    /// What waits for it while it is paused.
    paused: Option<VecDeque<Happening<R>>>,
}

enum Happening<R: Replica> {
    Tick { node: NodeId, life: u64, at: Time },
    Deliver { from: NodeId, to: NodeId, message: R::Message },
    Request { node: NodeId, life: u64, client: ClientId, request: R::Request },
    Synced { node: NodeId, life: u64 },
    Fault,
    Undo(Undo),
    Calm,
}

struct Appointment<R: Replica> {
    at: Time,
    order: u64,
    what: Happening<R>,
}

impl<R: Replica> PartialEq for Appointment<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<R: Replica> Eq for Appointment<R> {}
impl<R: Replica> PartialOrd for Appointment<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<R: Replica> Ord for Appointment<R> {
    /// The earliest is the greatest: the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<R: Replica> World<R> {
    /// Starts all nodes at virtual time 0. `configure` is asked for the configuration of each life, from 1.
    pub fn new(seed: u64, configure: impl Fn(NodeId, u64) -> R::Config + 'static, options: Options) -> Self {
        let stream = |number| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(number);
            rng
        };
        let nodes = (1..=options.nodes)
            .map(|id| Node { id: NodeId(id), life: 0, disk: Disk::new(), slow: false, process: None })
            .collect();
        let mut world = World {
            seed,
            now: Time::ZERO,
            scheduled: 0,
            agenda: BinaryHeap::new(),
            nodes,
            configure: Box::new(configure),
            network: Network::new(stream(1)),
            crashes: stream(2),
            timing: stream(3),
            faults: stream(4),
            chaos: None,
            partition: 0,
            leader: None,
            agreement: Agreement::default(),
            invariants: Vec::new(),
            clients: 0,
            homes: BTreeMap::new(),
            replies: Vec::new(),
            trace: Trace::new(options.trace_lines),
            broken: None,
            options,
        };
        for id in world.ids() {
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

    /// The last trace lines, as text.
    #[must_use]
    pub fn trace(&self) -> String {
        self.trace.text()
    }

    /// Runs for that long.
    ///
    /// # Errors
    /// The first violation of an invariant; the world stays broken from then on.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Violation> {
        let end = self.now + duration;
        while self.agenda.peek().is_some_and(|next| next.at <= end) {
            self.advance()?;
        }
        self.now = end;
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Runs until the condition holds; it is asked after each event.
    ///
    /// # Errors
    /// A violation of an invariant, or of liveness if `limit` passes first; `what` names the condition.
    pub fn run_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut condition: impl FnMut(&World<R>) -> bool,
    ) -> Result<(), Violation> {
        let end = self.now + limit;
        while !condition(self) {
            if self.agenda.peek().is_none_or(|next| next.at > end) {
                self.now = end;
                self.breaks(format!("liveness: not within {limit:?}: {what}"));
            }
            self.advance()?;
        }
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// A new client asks a node. A node that is down never answers.
    pub fn request(&mut self, node: NodeId, request: R::Request) -> ClientId {
        self.clients += 1;
        let client = ClientId(self.clients);
        self.homes.insert(client, (node, self.node(node).life));
        self.request_as(client, request);
        client
    }

    /// A client asks again in the same conversation. If the node has died since, nobody hears.
    pub fn request_as(&mut self, client: ClientId, request: R::Request) {
        let Some(&(node, life)) = self.homes.get(&client) else { return };
        self.happen(Happening::Request { node, life, client, request });
    }

    /// All answers that have not been taken yet, in the order in which they left.
    pub fn take_replies(&mut self) -> Vec<Replied<R>> {
        std::mem::take(&mut self.replies)
    }

    /// The answers that have not been taken yet.
    #[must_use]
    pub fn replies(&self) -> &[Replied<R>] {
        &self.replies
    }

    /// A node dies. Without effect on one that is down.
    pub fn crash(&mut self, node: NodeId, how: Crash) {
        if self.node(node).process.is_none() {
            return;
        }
        self.trace.note(self.now, Some(node), Line::Crashed(how));
        if self.leader == Some(node) {
            self.leader = None;
        }
        let at = self.index(node);
        self.nodes[at].process = None;
        self.nodes[at].disk.crash(how, &mut self.crashes);
    }

    /// A dead node starts a new life from its disk. Without effect on one that runs.
    pub fn restart(&mut self, node: NodeId) {
        if self.node(node).process.is_some() {
            return;
        }
        let at = self.index(node);
        let life = self.nodes[at].life + 1;
        self.nodes[at].life = life;
        self.agreement.reborn(node);
        let records = self.nodes[at].disk.records().iter().map(through_bytes).collect::<Vec<_>>();
        self.trace.note(self.now, Some(node), Line::Started { life, records: records.len() });
        let clock = Duration::from_micros(self.timing.random_range(0..3_600_000_000));
        let config = (self.configure)(node, life);
        let now = self.now + clock;
        match catch_unwind(AssertUnwindSafe(|| R::recover(config, now, records))) {
            Ok(replica) => {
                self.nodes[at].process =
                    Some(Process { replica, clock, outbox: Outbox::new(), tick: None, paused: None });
                self.schedule_tick(node);
            }
            Err(panic) => self.breaks(format!("{node} panics in recovery: {}", said(&*panic))),
        }
    }

    /// A process stops; what arrives waits for it.
    pub fn pause(&mut self, node: NodeId) {
        let now = self.now;
        if let Some(process) = self.node_mut(node).process.as_mut()
            && process.paused.is_none()
        {
            process.paused = Some(VecDeque::new());
            self.trace.note(now, Some(node), Line::Paused);
        }
    }

    /// A paused process goes on.
    pub fn resume(&mut self, node: NodeId) {
        let Some(waiting) = self.node_mut(node).process.as_mut().and_then(|process| process.paused.take()) else {
            return;
        };
        self.trace.note(self.now, Some(node), Line::Resumed);
        for happening in waiting {
            self.happen(happening);
        }
    }

    /// Cuts links, beside those that are cut already.
    pub fn cut(&mut self, cuts: impl IntoIterator<Item = Cut>) {
        let cuts: Vec<Cut> = cuts.into_iter().collect();
        self.network.cut(cuts.iter().copied());
        self.trace.note(self.now, None, Line::Cut(cuts));
    }

    /// Cuts all links between a node and the others, in both directions.
    pub fn isolate(&mut self, node: NodeId) {
        let others: Vec<NodeId> = self.ids().into_iter().filter(|&other| other != node).collect();
        self.cut(between(&[node], &others));
    }

    /// Mends all links.
    pub fn heal(&mut self) {
        self.partition += 1;
        self.network.heal();
        self.trace.note(self.now, None, Line::Healed);
    }

    /// Ends all faults: links are mended, dead nodes restarted, paused ones resumed, disks fast again.
    pub fn calm(&mut self) {
        self.chaos = None;
        self.heal();
        for node in self.ids() {
            self.undo(Undo::FastDisk(node));
            self.resume(node);
            self.restart(node);
        }
    }

    /// Puts a random schedule of faults on the agenda, drawn from the world's seed. It ends with
    /// [`calm`](World::calm).
    pub fn chaos(&mut self, chaos: Chaos) {
        let first = self.now + chaos.gap.draw(&mut self.faults);
        self.at(first, Happening::Fault);
        self.at(chaos.until, Happening::Calm);
        self.chaos = Some(chaos);
    }

    fn index(&self, node: NodeId) -> usize {
        let at = usize::try_from(node.0).unwrap_or(0).wrapping_sub(1);
        assert!(at < self.nodes.len(), "this world has no {node}");
        at
    }

    fn node(&self, node: NodeId) -> &Node<R> {
        &self.nodes[self.index(node)]
    }

    fn node_mut(&mut self, node: NodeId) -> &mut Node<R> {
        let at = self.index(node);
        &mut self.nodes[at]
    }

    fn at(&mut self, at: Time, what: Happening<R>) {
        self.scheduled += 1;
        self.agenda.push(Appointment { at, order: self.scheduled, what });
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
