//! Faults as values, and the receipts that prove them.
//!
//! A [`Fault`] says what is wanted (`kill the leader`). [`crate::cluster::Cluster::start`] decides whom that means,
//! does it, and measures from the inside that it is so; the answer is an [`Active`] fault with its [`Receipt`].
//! Without a receipt there is no fault: an error. What was started is stopped through the same door, with a receipt
//! of its own. The simulator takes the same values; [`FaultKind::exists`] says what exists where.

mod inject;
mod kind;
mod links;
pub(crate) mod processes;
mod receipt;
pub(crate) mod resolve;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::serde::unsigned_duration;
use serde::{Deserialize, Serialize, Serializer};

pub use kind::{Arena, FaultKind};
pub use receipt::{Active, Evidence, FaultError, Process, Receipt};

use crate::net::Links;

/// The furthest that a clock can jump.
const FURTHEST_JUMP: SignedDuration = SignedDuration::from_hours(24);
/// The fastest that a clock can go wrong, in parts per million.
const FASTEST_DRIFT: i64 = 500_000;
/// The longest that a disk or a packet can be held up.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Something that happens to a cluster.
///
/// In a file: `partition = "halves"`, `kill = "leader"`, `pause = { nodes = ["n1", "n4"] }`,
/// `clock = { targets = "one", change = { jump = "-3s" } }`, `disk = { targets = "leader", trouble = "full" }`,
/// `packets = { targets = "all", loss = 20, delay = "50ms" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Packets between some nodes are dropped. Clients reach every node.
    Partition(Shape),
    /// Processes stop running (SIGSTOP) and later go on (SIGCONT), unaware of the time between.
    Pause(Targets),
    /// Processes are killed (SIGKILL) and later started again on what their disks hold.
    Kill(Targets),
    /// Machines lose their power and are later started again: what was not fsynced is gone, and the log's tail may
    /// be torn.
    Power(Targets),
    /// Clocks go wrong, and are right again afterwards.
    Clock {
        /// Whose.
        targets: Targets,
        /// How.
        change: ClockChange,
    },
    /// Disks give trouble.
    Disk {
        /// Whose.
        targets: Targets,
        /// Which.
        trouble: DiskTrouble,
    },
    /// Packets to and from some nodes are lost, late, or come twice.
    Packets(PacketTrouble),
}

/// What a clock does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockChange {
    /// It jumps by so much, forwards or backwards.
    Jump(#[serde(serialize_with = "signed")] SignedDuration),
    /// It goes too fast by so many parts per million, or too slow.
    Drift(i64),
}

/// What a disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskTrouble {
    /// Every fsync takes so much longer.
    Slow(#[serde(with = "unsigned_duration::friendly::compact::required")] Duration),
    /// Nothing can be written.
    Full,
    /// What is read at the next recovery cannot be read.
    ReadError,
}

/// What happens to packets; at least one thing does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PacketTrouble {
    /// The nodes at either end of whose links it happens.
    pub targets: Targets,
    /// How many of a hundred are lost.
    #[serde(default, skip_serializing_if = "nothing")]
    pub loss: u8,
    /// How many of a hundred come twice.
    #[serde(default, skip_serializing_if = "nothing")]
    pub duplicate: u8,
    /// How many of a hundred are overtaken by later ones.
    #[serde(default, skip_serializing_if = "nothing")]
    pub late: u8,
    /// By how much each is held up at most.
    #[serde(
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "unsigned_duration::friendly::compact::required"
    )]
    pub delay: Duration,
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
    /// A minority of random size.
    Minority,
    /// The node alone at which the fault's trigger fired.
    Here,
    /// That node alone.
    Node(String),
    /// Exactly this: each named node drops what comes from the nodes listed.
    Cuts(BTreeMap<String, BTreeSet<String>>),
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

impl Fault {
    /// What kind it is of.
    #[must_use]
    pub fn sort(&self) -> FaultKind {
        match self {
            Fault::Partition(_) => FaultKind::Partition,
            Fault::Pause(_) => FaultKind::Pause,
            Fault::Kill(_) => FaultKind::Kill,
            Fault::Power(_) => FaultKind::Power,
            Fault::Clock { .. } => FaultKind::Clock,
            Fault::Disk { .. } => FaultKind::Disk,
            Fault::Packets(_) => FaultKind::Packets,
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
        match &mut fault {
            Fault::Partition(shape) => *shape = Shape::Node(node.to_owned()),
            Fault::Pause(targets)
            | Fault::Kill(targets)
            | Fault::Power(targets)
            | Fault::Clock { targets, .. }
            | Fault::Disk { targets, .. }
            | Fault::Packets(PacketTrouble { targets, .. }) => *targets = Targets::Nodes(vec![node.to_owned()]),
        }
        fault
    }

    /// Whom it hits, unless it is a partition.
    #[must_use]
    pub fn targets(&self) -> Option<&Targets> {
        match self {
            Fault::Partition(_) => None,
            Fault::Pause(targets)
            | Fault::Kill(targets)
            | Fault::Power(targets)
            | Fault::Clock { targets, .. }
            | Fault::Disk { targets, .. }
            | Fault::Packets(PacketTrouble { targets, .. }) => Some(targets),
        }
    }

    /// The nodes that it names.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            Fault::Partition(Shape::Node(name)) => vec![name],
            Fault::Partition(Shape::Cuts(cuts)) => {
                cuts.iter().flat_map(|(node, deaf_to)| deaf_to.iter().chain([node])).map(String::as_str).collect()
            }
            _ => match self.targets() {
                Some(Targets::Nodes(names)) => names.iter().map(String::as_str).collect(),
                _ => Vec::new(),
            },
        }
    }

    /// Whether it takes a leader to say whom it means.
    #[must_use]
    pub fn needs_leader(&self) -> bool {
        match self {
            Fault::Partition(shape) => matches!(shape, Shape::Leader | Shape::LeaderMute),
            _ => matches!(self.targets(), Some(Targets::Leader | Targets::Followers)),
        }
    }

    /// Whether its numbers make sense.
    ///
    /// # Errors
    /// One sentence about the first that does not.
    pub fn check(&self) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("`{self}`: {why}"));
        match self {
            Fault::Clock { change: ClockChange::Jump(by), .. } if by.is_zero() || by.abs() > FURTHEST_JUMP => {
                wrong("a clock jumps by more than nothing and by at most a day")
            }
            Fault::Clock { change: ClockChange::Drift(ppm), .. } if *ppm == 0 || ppm.abs() > FASTEST_DRIFT => {
                wrong("a clock drifts by 1 to 500000 parts per million, forwards or backwards")
            }
            Fault::Disk { trouble: DiskTrouble::Slow(by), .. } if by.is_zero() || *by > LONGEST_WAIT => {
                wrong("an fsync is slower by more than nothing and at most a minute")
            }
            Fault::Packets(trouble) => {
                let PacketTrouble { loss, duplicate, late, delay, .. } = trouble;
                if [loss, duplicate, late].into_iter().any(|percent| *percent > 100) {
                    wrong("of a hundred packets at most 100 are hit")
                } else if *delay > LONGEST_WAIT {
                    wrong("a packet is held up by at most a minute")
                } else if [loss, duplicate, late].into_iter().all(nothing) && delay.is_zero() {
                    wrong("nothing would happen: give it a loss, duplicate, late or delay")
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }
}

/// What the cluster keeps of a fault in force: nodes as indices from 0.
#[derive(Clone, Debug)]
pub(crate) enum InForce {
    Partition(Links),
    Pause(Vec<usize>),
    Kill(Vec<usize>),
}
