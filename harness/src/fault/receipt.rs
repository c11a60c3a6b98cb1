//! The proof that a fault was in force, and what is said when there is none.

use std::fmt::Display;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Fault, HeldThread, Lived, MemorySeen, PacketsSeen, ProcessorSeen};
use crate::disk::{Flip, Loss};
use crate::net::Tally;

/// A fault that is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Active {
    /// Names it for [`crate::cluster::Cluster::stop`]; unique in the life of a cluster.
    pub id: u64,
    /// What exactly was done: the same kind of fault with `Shape::Cuts`, `Targets::Nodes` or `Workers::Numbers`. Started
    /// again, it does the same to the same.
    pub fault: Fault,
    /// The proof.
    pub receipt: Receipt,
}

/// What was measured from the inside after a fault was put in force or taken away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The nodes it is about, or clients, by name.
    pub nodes: Vec<String>,
    /// The measurement.
    pub evidence: Evidence,
    /// From the decision until it was measured to be in force.
    #[serde(rename = "took_ms", with = "milliseconds")]
    pub took: Duration,
}

impl Receipt {
    /// What was measured just now.
    pub(crate) fn new(nodes: Vec<String>, evidence: Evidence, decided: Instant) -> Receipt {
        Receipt { nodes, evidence, took: decided.elapsed() }
    }
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// A datagram was sent over every directed pair of nodes, and between each node and the clients' side: which did not
    /// arrive, and how many did. Exactly the
    /// links that should be cut were silent. Nothing silent: healed.
    Links {
        /// `n1→n2`: what n1 sent did not arrive at n2.
        silent: Vec<String>,
        /// Links over which the datagram arrived.
        passing: usize,
    },
    /// Every thread of these processes was seen in state T.
    Stopped(Vec<Process>),
    /// Exactly these threads were seen in state t (tracing stop), and the others of their processes were not.
    Held(Vec<HeldThread>),
    /// No thread of these processes stood still any more.
    Running(Vec<Process>),
    /// These processes were reaped with SIGKILL as the cause of death.
    Killed(Vec<Process>),
    /// These processes are new, and the client ports of replicas accept connections, or clients have said that they are
    /// there.
    Restarted(Vec<Process>),
    /// These processes were started, each after another was reaped with SIGKILL as the cause of death.
    Lives {
        /// In the order in which they began. The last of each node accepts clients.
        lives: Vec<Lived>,
        /// How many more restarts there would have been if the time had not been up.
        left: usize,
    },
    /// Who belongs to the cluster now, by the number that it has given each, as one of the others said.
    Members(Vec<String>),
    /// These processes were stopped for most of the time, and used no more of a processor than their share.
    Processor(Vec<ProcessorSeen>),
    /// The limits of these processes were read back, and are what they should be.
    Memory(Vec<MemorySeen>),
    /// What the clocks of these processes show, read through their own code.
    Clocks(Vec<ClockRead>),
    /// These processes were reaped, and what was not durable is gone: a write of the harness without an fsync was read
    /// before, and afterwards it was not there.
    PowerLost(Vec<PowerLoss>),
    /// What a file of the harness on these disks saw: the trouble, or that it is over.
    Disks(Vec<DiskSeen>),
    /// These bits were read as other ones than were written. Nothing is there to be taken away.
    Flipped(Vec<FlippedBit>),
    /// These connections between nodes were reset at both ends, and none of them is there any more: `n1:40312→n2:2380`.
    /// Of a client with nodes, at its end: `client 3:40312→n2:2379`. None when the fault is over: new ones can be made all the time.
    Reset(Vec<String>),
    /// Numbered packets were sent over every link that is not cut: those of the troubled ones fared as asked, and all
    /// others arrived once and undamaged.
    Packets {
        /// What was seen of the troubled links. When the trouble is taken away: that it had lasted.
        troubled: Vec<PacketsSeen>,
        /// Troubled links of which nothing could be seen: a partition cut them, or another trouble hit them, too.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unmeasured: Vec<String>,
        /// Links in no trouble.
        calm: usize,
        /// What became of all packets that the switch has treated since the cluster came up. The kernel's netem does not
        /// tell what became of those that it has.
        switch: Tally,
    },
    /// Not measured: the simulator did this, in words.
    Simulated(String),
}

impl Evidence {
    /// What was seen of two parts of a cluster at which the same was done. None if these are no two measurements of the
    /// same kind, or of one that is made of a whole cluster only.
    pub(crate) fn and(self, more: Evidence) -> Option<Evidence> {
        fn all<T>(mut some: Vec<T>, more: Vec<T>) -> Vec<T> {
            some.extend(more);
            some
        }
        Some(match (self, more) {
            (Evidence::Stopped(some), Evidence::Stopped(more)) => Evidence::Stopped(all(some, more)),
            (Evidence::Held(some), Evidence::Held(more)) => Evidence::Held(all(some, more)),
            (Evidence::Running(some), Evidence::Running(more)) => Evidence::Running(all(some, more)),
            (Evidence::Killed(some), Evidence::Killed(more)) => Evidence::Killed(all(some, more)),
            (Evidence::Restarted(some), Evidence::Restarted(more)) => Evidence::Restarted(all(some, more)),
            (Evidence::Lives { lives, left }, Evidence::Lives { lives: more, left: also }) => {
                Evidence::Lives { lives: all(lives, more), left: left + also }
            }
            (Evidence::Processor(some), Evidence::Processor(more)) => Evidence::Processor(all(some, more)),
            (Evidence::Memory(some), Evidence::Memory(more)) => Evidence::Memory(all(some, more)),
            (Evidence::Clocks(some), Evidence::Clocks(more)) => Evidence::Clocks(all(some, more)),
            (Evidence::PowerLost(some), Evidence::PowerLost(more)) => Evidence::PowerLost(all(some, more)),
            (Evidence::Disks(some), Evidence::Disks(more)) => Evidence::Disks(all(some, more)),
            (Evidence::Flipped(some), Evidence::Flipped(more)) => Evidence::Flipped(all(some, more)),
            _ => return None,
        })
    }
}

/// One replica's process, or one client's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The node's name, or `client 3`.
    pub node: String,
    /// Its number inside the sandbox.
    pub pid: i32,
    /// How many threads were looked at; none of a process that is gone.
    pub threads: usize,
}

/// What the clocks of one process show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockRead {
    /// The node's name.
    pub node: String,
    /// The process's number inside the sandbox.
    pub pid: i32,
    /// The time of day.
    pub wall: Hand,
    /// The monotonic clock.
    pub monotonic: Hand,
    /// How often the wall clock was seen to jump while it was watched; it is watched if it should strobe.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub flips: u64,
}

/// How far a clock is ahead of the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hand {
    /// In nanoseconds, as it was read.
    #[serde(rename = "ahead_ms", with = "in_milliseconds")]
    pub ahead: i64,
    /// In nanoseconds, as it should be.
    #[serde(rename = "expected_ms", with = "in_milliseconds")]
    pub expected: i64,
}

/// What a node lost with its power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerLoss {
    /// The process that died.
    #[serde(flatten)]
    pub process: Process,
    /// What its disk lost, the harness's own write not counted.
    #[serde(flatten)]
    pub loss: Loss,
    /// What became of the harness's own write, which was not fsynced.
    pub seen: String,
}

/// What was seen of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSeen {
    /// The node's name.
    pub node: String,
    /// A call and what came of it.
    pub seen: String,
    /// Whether its process had died of its disk, and was started again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
}

/// A bit that is another one than was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlippedBit {
    /// The node's name.
    pub node: String,
    /// Where, and what it was.
    #[serde(flatten)]
    pub flip: Flip,
    /// The byte as it was read afterwards.
    pub now: u8,
}

/// Why there is no (or no proven) fault.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultError {
    /// It means nobody at the moment: no leader is known, no node is left to pause. Nothing was done.
    #[error("{0}")]
    Inapplicable(String),
    /// It was done, and what was measured afterwards does not show it. It was undone as far as possible; nobody
    /// knows what the cluster suffered, so the run proves nothing.
    #[error("{fault} has no receipt: {seen}")]
    NoReceipt {
        /// What was wanted.
        fault: String,
        /// What was measured instead.
        seen: String,
    },
    /// The harness could not do it.
    #[error("{fault} could not be done: {cause}")]
    Failed {
        /// What was wanted.
        fault: String,
        /// Why not.
        cause: String,
    },
}

impl FaultError {
    /// This was seen instead.
    pub(crate) fn no_receipt(fault: &str, seen: impl Into<String>) -> FaultError {
        FaultError::NoReceipt { fault: fault.to_owned(), seen: seen.into() }
    }

    /// It was in force, and this was seen instead when it should end.
    pub(crate) fn not_lasted(fault: &str, seen: impl Display) -> FaultError {
        FaultError::no_receipt(fault, format!("at its end {seen}"))
    }

    /// This was in the way.
    pub(crate) fn failed(fault: &str, cause: impl ToString) -> FaultError {
        FaultError::Failed { fault: fault.to_owned(), cause: cause.to_string() }
    }
}

fn is_nought(count: &u64) -> bool {
    *count == 0
}

/// A signed number of nanoseconds as milliseconds with three places.
mod in_milliseconds {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(nanoseconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((*nanoseconds as f64 / 1e3).round() / 1e3)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        Ok((f64::deserialize(deserializer)? * 1e6).round() as i64)
    }
}

/// A time as milliseconds with three places.
mod milliseconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((time.as_secs_f64() * 1e6).round() / 1e3)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)? / 1e3).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn process(node: &str) -> Process {
        Process { node: node.to_owned(), pid: 7, threads: 3 }
    }

    fn evidence() -> Vec<Evidence> {
        let hand = Hand { ahead: -3_600_000_001_000, expected: -3_600_000_000_000 };
        let clock = ClockRead { node: "n1".to_owned(), pid: 7, wall: hand, monotonic: hand, flips: 0 };
        let loss = Loss { bytes: 9, files: 1, names: 0 };
        let flip = Flip { file: PathBuf::from("wal"), offset: 5, bit: 3, before: 8 };
        let disk = DiskSeen { node: "n1".to_owned(), seen: "EIO".to_owned(), restarted: false };
        let held = HeldThread { node: "n1".to_owned(), pid: 7, thread: 8, name: "raft".to_owned(), others: 2 };
        let memory = MemorySeen { node: "n1".to_owned(), pid: 7, limit_kib: None, used_kib: 4, restarted: true };
        let processor = ProcessorSeen { node: "n1".to_owned(), pid: 7, stopped_percent: 80, used_percent: 19 };
        let lived = Lived { node: "n1".to_owned(), killed: 6, pid: 7, accepted: true };
        vec![
            Evidence::Stopped(vec![process("n1")]),
            Evidence::Held(vec![held]),
            Evidence::Running(vec![process("n1")]),
            Evidence::Killed(vec![process("n1")]),
            Evidence::Restarted(vec![process("n1")]),
            Evidence::Lives { lives: vec![lived], left: 2 },
            Evidence::Processor(vec![processor]),
            Evidence::Memory(vec![memory]),
            Evidence::Clocks(vec![clock]),
            Evidence::PowerLost(vec![PowerLoss { process: process("n1"), loss, seen: "gone".to_owned() }]),
            Evidence::Disks(vec![disk]),
            Evidence::Flipped(vec![FlippedBit { node: "n1".to_owned(), flip, now: 0 }]),
            Evidence::Links { silent: vec!["n1→n2".to_owned()], passing: 5 },
        ]
    }

    #[test]
    fn a_receipt_that_was_told_by_another_machine_is_the_same() {
        for evidence in evidence() {
            let receipt = Receipt { nodes: vec!["n1".to_owned()], evidence, took: Duration::from_micros(1_234_567) };
            let told = serde_json::to_string(&receipt).expect("it can be told");
            assert_eq!(serde_json::from_str::<Receipt>(&told).expect(&told), receipt, "{told}");
        }
    }

    #[test]
    fn what_was_seen_of_two_parts_is_added_up_if_it_is_of_one_kind() {
        let both = Evidence::Killed(vec![process("n1")]).and(Evidence::Killed(vec![process("n2")]));
        assert_eq!(both, Some(Evidence::Killed(vec![process("n1"), process("n2")])));
        for some in evidence() {
            for other in evidence() {
                let same = std::mem::discriminant(&some) == std::mem::discriminant(&other);
                let whole = matches!(some, Evidence::Links { .. });
                assert_eq!(some.clone().and(other.clone()).is_some(), same && !whole, "{some:?} and {other:?}");
            }
        }
    }
}
