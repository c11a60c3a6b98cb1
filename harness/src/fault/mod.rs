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
mod in_force;
mod inject;
mod kind;
mod limits;
mod links;
mod manner;
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
mod whom;
mod words;

use serde::{Deserialize, Serialize};

use cpu::Brake;
pub use cpu::ProcessorSeen;
pub(crate) use in_force::InForce;
pub use kind::{Arena, FaultKind};
pub(crate) use links::{Wires, Wiring};
pub use manner::{ClientTrouble, ClockChange, Clocks, DiskTrouble, PacketTrouble, Restarts};
pub use memory::MemorySeen;
use memory::Squeeze;
pub use packets::PacketsSeen;
pub use receipt::{Active, ClockRead, DiskSeen, Evidence, FaultError, FlippedBit, Hand, PowerLoss, Process, Receipt};
pub use restarts::Lived;
use restarts::Series;
pub use threads::HeldThread;
use threads::Hold;
pub use whom::{Direction, Shape, Targets, Workers};

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
            Fault::Partition(shape) => shape.needs_leader(),
            _ => self.targets().is_some_and(Targets::needs_leader),
        }
    }
}

/// The nodes among those that are named.
fn nodes_of<'a>(parties: impl Iterator<Item = &'a String>) -> impl Iterator<Item = &'a str> {
    parties.map(String::as_str).filter(|party| *party != resolve::CLIENTS)
}
