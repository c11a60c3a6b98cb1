//! Faults as values, and the receipts that prove them.
//!
//! A [`Fault`] says what is wanted (`kill the leader`). [`crate::cluster::Cluster::start`] decides whom that means,
//! does it, and measures from the inside that it is so; the answer is an [`Active`] fault with its [`Receipt`].
//! Without a receipt there is no fault: an error. What was started is stopped through the same door, with a receipt
//! of its own. The simulator takes the same values; [`FaultKind::exists`] says what exists where.

mod clients;
mod clocks;
mod cpu;
mod disks;
mod inject;
mod kind;
mod limits;
mod links;
mod members;
pub(crate) mod memory;
mod packets;
pub(crate) mod processes;
mod proof;
mod receipt;
mod reset;
pub(crate) mod resolve;
mod restarts;
mod threads;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::serde::unsigned_duration;
use serde::{Deserialize, Serialize, Serializer};

use cpu::Brake;
pub use cpu::ProcessorSeen;
pub use kind::{Arena, FaultKind};
pub use memory::MemorySeen;
use memory::Squeeze;
pub use packets::PacketsSeen;
pub use receipt::{Active, ClockRead, DiskSeen, Evidence, FaultError, FlippedBit, Hand, PowerLoss, Process, Receipt};
pub use restarts::Lived;
use restarts::Series;
pub use threads::HeldThread;
use threads::Hold;

use crate::net::Links;

/// Something that happens to a cluster.
///
/// In a file: `partition = "halves"`, `kill = "leader"`, `pause = { nodes = ["n1", "n4"] }`,
/// `clock = { targets = "one", change = { jump = "-3s" } }`, `disk = { targets = "leader", trouble = "full" }`,
/// `packets = { targets = "all", loss = 20, jitter = "50ms" }`,
/// `packets = { targets = "leader", peers = ["clients"], direction = "in", delay = "30ms" }`,
/// `cpu = { targets = "one", percent = 10 }`, `restart = { targets = "all", manner = "rolling" }`,
/// `client = { targets = "holder", trouble = "pause" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Packets between some nodes, or between some nodes and the clients, are dropped.
    Partition(Shape),
    /// Processes stop running (SIGSTOP) and later go on (SIGCONT), unaware of the time between.
    Pause(Targets),
    /// One thread of each process stands still, and the others go on.
    Thread(Targets),
    /// Processes are killed (SIGKILL) and later started again on what their disks hold.
    Kill(Targets),
    /// Processes are killed and started again at once, over and over or one after the other.
    Restart {
        /// Whose.
        targets: Targets,
        /// In what order, and how often.
        manner: Restarts,
    },
    /// Machines lose their power and are later started again: what was not fsynced is gone, and the log's tail may
    /// be torn.
    Power(Targets),
    /// Clocks go wrong, and are right again afterwards: the wall clock jumps back to the truth; a monotonic clock that
    /// was behind leaps, and one that was ahead goes at half speed until true time has caught up, which the fault's
    /// end waits for. Real processes are reached where they ask the vDSO, which nearly all do: see [`crate::clock`].
    Clock {
        /// Whose.
        targets: Targets,
        /// How.
        change: ClockChange,
        /// Which of their clocks.
        #[serde(default, skip_serializing_if = "Clocks::is_usual")]
        of: Clocks,
    },
    /// Disks give trouble.
    Disk {
        /// Whose.
        targets: Targets,
        /// Which.
        trouble: DiskTrouble,
    },
    /// Packets to and from some nodes are lost, late, damaged, or come twice: those of other nodes, or of clients.
    Packets(PacketTrouble),
    /// The connections that some nodes have with others are reset at one moment; new ones can be made.
    Reset(Targets),
    /// Processes get little time on the processor.
    Cpu {
        /// Whose.
        targets: Targets,
        /// How many hundredths of one processor each may use, all its threads together.
        percent: u8,
    },
    /// Processes get no more memory than they have, and a little.
    Memory {
        /// Whose.
        targets: Targets,
        /// How many MiB each may still take.
        headroom: u32,
    },
    /// A node is removed from its cluster by the others, loses its disk, and later joins again as a new member. One
    /// at a time, and only of systems whose members can be changed.
    Member(Targets),
    /// Something happens to clients, not to nodes.
    Client {
        /// To whose.
        targets: Workers,
        /// What.
        trouble: ClientTrouble,
    },
}

/// What happens to a client, which is a process of its own then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientTrouble {
    /// Its connections are reset at one moment; new ones can be made.
    Cut,
    /// It stops running (SIGSTOP), heartbeats included, and later goes on (SIGCONT), unaware of the time between. The
    /// harness waits for it: a call that it was about to make, or has made, goes on when it does.
    Pause,
    /// It is killed (SIGKILL), and its session is left to die by itself. Another takes its place when the fault ends.
    Die,
}

/// The workers whose clients a fault hits. Only clients that live and on which no fault is are counted in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workers {
    /// A random one.
    One,
    /// All of them.
    All,
    /// The last that has acquired a lock and has not begun to release it, as far as it knows itself.
    Holder,
    /// Exactly these, by their numbers from 0.
    Numbers(Vec<usize>),
}

/// How processes are restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restarts {
    /// One after the other, each once; the next when the last serves again.
    Rolling,
    /// Each so many times, all at once, as soon as it accepts clients again.
    Storm(u8),
}

/// Which clocks of a process; a simulated one has one only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clocks {
    /// What a jump of the system's clock and a bad oscillator would hit: the wall clock, and for a drift both.
    #[default]
    Usual,
    /// The time of day only.
    Wall,
    /// The monotonic clock only. It never goes backwards.
    Monotonic,
    /// Both.
    Both,
}

impl Clocks {
    fn is_usual(&self) -> bool {
        *self == Clocks::Usual
    }
}

/// What a clock does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockChange {
    /// It jumps by so much, forwards or backwards.
    Jump(#[serde(serialize_with = "signed")] SignedDuration),
    /// It goes too fast by so many parts per million, or too slow.
    Drift(i64),
    /// It jumps to and fro between the right time and a wrong one.
    Strobe {
        /// How wrong.
        #[serde(serialize_with = "signed")]
        by: SignedDuration,
        /// How long it stays at either.
        #[serde(with = "unsigned_duration::friendly::compact::required")]
        every: Duration,
    },
}

/// What a disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskTrouble {
    /// Every fsync takes so much longer.
    Slow(#[serde(with = "unsigned_duration::friendly::compact::required")] Duration),
    /// Nothing can be written.
    Full,
    /// What is read cannot be read: by a running process if it asks, at the latest at its next recovery.
    ReadError,
    /// Every write fails (EIO).
    WriteError,
    /// Every fsync fails (EIO), and what it should have saved may be lost.
    FsyncError,
    /// One bit of a file that nobody has open is another one than was written. It stays so.
    Flip,
}

impl DiskTrouble {
    /// Whether a process may die of it.
    pub(crate) fn kills(self) -> bool {
        !matches!(self, DiskTrouble::Slow(_))
    }
}

/// What happens to packets; at least one thing does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PacketTrouble {
    /// The nodes at either end of whose links it happens.
    pub targets: Targets,
    /// Only on their links with these; with every node if there are none. The clients, all together, are `clients`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// Only to what they send, or receive.
    #[serde(default, skip_serializing_if = "Direction::is_both")]
    pub direction: Direction,
    /// How many of a hundred are lost.
    #[serde(default, skip_serializing_if = "nothing")]
    pub loss: u8,
    /// How many of a hundred come twice.
    #[serde(default, skip_serializing_if = "nothing")]
    pub duplicate: u8,
    /// How many of a hundred are overtaken by later ones.
    #[serde(default, skip_serializing_if = "nothing")]
    pub late: u8,
    /// How many of a hundred have a wrong bit, which the checksum of their transport shows.
    #[serde(default, skip_serializing_if = "nothing")]
    pub corrupt: u8,
    /// By how much each is held up.
    #[serde(
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "unsigned_duration::friendly::compact::required"
    )]
    pub delay: Duration,
    /// By how much more each is held up at most.
    #[serde(
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "unsigned_duration::friendly::compact::required"
    )]
    pub jitter: Duration,
    /// How many kilobits a second cross each link at most; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

impl PacketTrouble {
    /// Whether it hits packets between clients and nodes.
    #[must_use]
    pub fn is_about_clients(&self) -> bool {
        self.peers.iter().any(|peer| peer == resolve::CLIENTS)
    }

    /// No trouble at all, for these.
    #[must_use]
    pub fn none(targets: Targets) -> PacketTrouble {
        PacketTrouble {
            targets,
            peers: Vec::new(),
            direction: Direction::Both,
            loss: 0,
            duplicate: 0,
            late: 0,
            corrupt: 0,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: None,
        }
    }
}

/// Seen from the nodes a fault hits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// What they send and what they receive.
    #[default]
    Both,
    /// What they receive.
    In,
    /// What they send.
    Out,
}

impl Direction {
    fn is_both(&self) -> bool {
        *self == Direction::Both
    }
}

/// `-3s`, not `3s ago`.
fn signed<S: Serializer>(time: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
    let sign = if time.is_negative() { "-" } else { "" };
    serializer.collect_str(&format_args!("{sign}{:#}", time.abs()))
}

fn nothing(percent: &u8) -> bool {
    *percent == 0
}

/// Who no longer hears whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Two halves; of an odd number, one has one node more.
    Halves,
    /// One node alone.
    One,
    /// Every node sees a majority, and no two see the same. With an even majority some links are cut one way only.
    MajoritiesRing,
    /// Two halves that only one node in the middle sees both of.
    Bridge,
    /// Two halves, and packets cross in one direction only.
    OneWay,
    /// The leader alone.
    Leader,
    /// Nobody hears the leader, who hears everybody: it goes on logging what is asked of it.
    LeaderMute,
    /// The leader and the clients do not hear each other; the nodes do.
    LeaderFromClients,
    /// A minority of random size.
    Minority,
    /// The node alone at which the fault's trigger fired.
    Here,
    /// That node alone.
    Node(String),
    /// Exactly this: each named node drops what comes from the nodes listed. The clients, all together, are `clients`.
    Cuts(BTreeMap<String, BTreeSet<String>>),
}

impl Shape {
    /// Whether it keeps clients from nodes.
    #[must_use]
    pub fn is_about_clients(&self) -> bool {
        match self {
            Shape::LeaderFromClients => true,
            Shape::Cuts(cuts) => {
                let parties = cuts.iter().flat_map(|(node, deaf_to)| deaf_to.iter().chain([node]));
                parties.into_iter().any(|party| party == resolve::CLIENTS)
            }
            _ => false,
        }
    }
}

/// Whom a fault hits. Only nodes that run and are not paused are counted in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Targets {
    /// A random node.
    One,
    /// As many random nodes as a cluster may lose and still serve.
    Minority,
    /// One more than that.
    Majority,
    /// All of them.
    All,
    /// The one that says it leads.
    Leader,
    /// All that do not say they lead.
    Followers,
    /// The node at which the fault's trigger fired.
    Here,
    /// Exactly these.
    Nodes(Vec<String>),
}

impl Targets {
    /// Whether they are one node, whoever that is.
    fn is_single(&self) -> bool {
        match self {
            Targets::One | Targets::Leader | Targets::Here => true,
            Targets::Minority | Targets::Majority | Targets::All | Targets::Followers => false,
            Targets::Nodes(names) => names.len() == 1,
        }
    }
}

impl Fault {
    /// What kind it is of.
    #[must_use]
    pub fn sort(&self) -> FaultKind {
        match self {
            Fault::Partition(_) => FaultKind::Partition,
            Fault::Pause(_) => FaultKind::Pause,
            Fault::Thread(_) => FaultKind::Thread,
            Fault::Kill(_) => FaultKind::Kill,
            Fault::Restart { .. } => FaultKind::Restart,
            Fault::Power(_) => FaultKind::Power,
            Fault::Clock { .. } => FaultKind::Clock,
            Fault::Disk { .. } => FaultKind::Disk,
            Fault::Packets(_) => FaultKind::Packets,
            Fault::Reset(_) => FaultKind::Reset,
            Fault::Cpu { .. } => FaultKind::Cpu,
            Fault::Memory { .. } => FaultKind::Memory,
            Fault::Member(_) => FaultKind::Member,
            Fault::Client { .. } => FaultKind::Client,
        }
    }

    /// The fault's kind, as the history's `start-` and `stop-` carry it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.sort().name()
    }

    /// Whether it means the node at which its trigger fires.
    #[must_use]
    pub fn is_here(&self) -> bool {
        match self {
            Fault::Partition(shape) => *shape == Shape::Here,
            _ => self.targets() == Some(&Targets::Here),
        }
    }

    /// The same fault, with that node in the place of `here`.
    #[must_use]
    pub fn located(&self, node: &str) -> Fault {
        let mut fault = self.clone();
        if !fault.is_here() {
            return fault;
        }
        match (&mut fault, node.to_owned()) {
            (Fault::Partition(shape), node) => *shape = Shape::Node(node),
            (other, node) => other.aim(Targets::Nodes(vec![node])),
        }
        fault
    }

    /// Which nodes it hits, unless it is a partition or about clients.
    #[must_use]
    pub fn targets(&self) -> Option<&Targets> {
        match self {
            Fault::Partition(_) | Fault::Client { .. } => None,
            Fault::Pause(targets)
            | Fault::Thread(targets)
            | Fault::Kill(targets)
            | Fault::Restart { targets, .. }
            | Fault::Power(targets)
            | Fault::Clock { targets, .. }
            | Fault::Disk { targets, .. }
            | Fault::Packets(PacketTrouble { targets, .. })
            | Fault::Reset(targets)
            | Fault::Cpu { targets, .. }
            | Fault::Memory { targets, .. }
            | Fault::Member(targets) => Some(targets),
        }
    }

    /// The same, to be changed.
    pub(crate) fn targets_mut(&mut self) -> Option<&mut Targets> {
        match self {
            Fault::Partition(_) | Fault::Client { .. } => None,
            Fault::Pause(targets)
            | Fault::Thread(targets)
            | Fault::Kill(targets)
            | Fault::Restart { targets, .. }
            | Fault::Power(targets)
            | Fault::Clock { targets, .. }
            | Fault::Disk { targets, .. }
            | Fault::Packets(PacketTrouble { targets, .. })
            | Fault::Reset(targets)
            | Fault::Cpu { targets, .. }
            | Fault::Memory { targets, .. }
            | Fault::Member(targets) => Some(targets),
        }
    }

    /// Makes it hit these; what has no nodes for targets stays what it is.
    pub(crate) fn aim(&mut self, at: Targets) {
        if let Some(targets) = self.targets_mut() {
            *targets = at;
        }
    }

    /// The nodes that it names.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            Fault::Partition(Shape::Node(name)) => vec![name],
            Fault::Partition(Shape::Cuts(cuts)) => {
                nodes_of(cuts.iter().flat_map(|(node, deaf_to)| deaf_to.iter().chain([node]))).collect()
            }
            _ => {
                let targets = match self.targets() {
                    Some(Targets::Nodes(names)) => names.as_slice(),
                    _ => &[],
                };
                let peers = match self {
                    Fault::Packets(trouble) => trouble.peers.as_slice(),
                    _ => &[],
                };
                nodes_of(targets.iter().chain(peers)).collect()
            }
        }
    }

    /// Whether it takes a leader to say whom it means.
    #[must_use]
    pub fn needs_leader(&self) -> bool {
        match self {
            Fault::Partition(shape) => matches!(shape, Shape::Leader | Shape::LeaderMute | Shape::LeaderFromClients),
            _ => matches!(self.targets(), Some(Targets::Leader | Targets::Followers)),
        }
    }
}

/// The nodes among those that are named.
fn nodes_of<'a>(parties: impl Iterator<Item = &'a String>) -> impl Iterator<Item = &'a str> {
    parties.map(String::as_str).filter(|party| *party != resolve::CLIENTS)
}

/// What the cluster keeps of a fault in force, and what takes it away: nodes as indices from 0.
pub(crate) enum InForce {
    Partition(Links),
    Pause(Vec<usize>),
    Kill(Vec<usize>),
    Restart(Series),
    Thread(Vec<Hold>),
    Member(usize),
    Memory(Vec<usize>, Vec<Squeeze>),
    Cpu(Vec<Brake>),
    Power(Vec<usize>),
    Disk(Vec<usize>, DiskTrouble),
    Clock(clocks::Turned),
    Packets(packets::Troubled),
    /// It is over as soon as it has begun.
    Reset(Vec<usize>),
    /// Workers as indices from 0.
    Client(Vec<usize>, ClientTrouble),
}

impl InForce {
    /// The clocks that it has turned.
    fn turned(&self) -> Option<&clocks::Turned> {
        match self {
            InForce::Clock(turned) => Some(turned),
            _ => None,
        }
    }

    /// Ends what goes on by itself.
    pub(crate) async fn abandon(self) {
        if let InForce::Restart(series) = self {
            series.abandon().await;
        }
    }

    /// The threads that it holds.
    fn holds(&self) -> &[Hold] {
        match self {
            InForce::Thread(holds) => holds,
            _ => &[],
        }
    }

    /// The lives whose processor time it squeezes.
    pub(crate) fn brakes(&self) -> &[Brake] {
        match self {
            InForce::Cpu(brakes) => brakes,
            _ => &[],
        }
    }

    /// The processes whose memory it squeezes.
    fn squeezes(&self) -> &[Squeeze] {
        match self {
            InForce::Memory(_, squeezes) => squeezes,
            _ => &[],
        }
    }
}
