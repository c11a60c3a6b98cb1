//! Faults as values, and the receipts that prove them.
//!
//! A [`Fault`] says what is wanted (`kill the leader`). [`crate::cluster::Cluster::start`] decides whom that means,
//! does it, and measures from the inside that it is so; the answer is an [`Active`] fault with its [`Receipt`].
//! Without a receipt there is no fault: an error. What was started is stopped through the same door, with a receipt
//! of its own.

mod inject;
mod links;
mod processes;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::net::Links;

/// Something that happens to a cluster.
///
/// In a file: `partition = "halves"`, `kill = "leader"`, `pause = { nodes = ["n1", "n4"] }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Packets between some nodes are dropped. Clients reach every node.
    Partition(Shape),
    /// Processes stop running (SIGSTOP) and later go on (SIGCONT), unaware of the time between.
    Pause(Targets),
    /// Processes are killed (SIGKILL) and later started again on what their disks hold.
    Kill(Targets),
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
    /// Exactly these.
    Nodes(Vec<String>),
}

impl Fault {
    /// The fault's kind, as the history's `start-` and `stop-` carry it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Partition(_) => "partition",
            Fault::Pause(_) => "pause",
            Fault::Kill(_) => "kill",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Partition(shape) => write!(f, "partition {shape}"),
            Fault::Pause(targets) => write!(f, "pause {targets}"),
            Fault::Kill(targets) => write!(f, "kill {targets}"),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Halves => f.write_str("halves"),
            Shape::One => f.write_str("one"),
            Shape::MajoritiesRing => f.write_str("majorities-ring"),
            Shape::Bridge => f.write_str("bridge"),
            Shape::OneWay => f.write_str("one-way"),
            Shape::Leader => f.write_str("leader"),
            Shape::LeaderMute => f.write_str("leader-mute"),
            Shape::Minority => f.write_str("minority"),
            Shape::Cuts(cuts) => {
                for (index, (node, deaf_to)) in cuts.iter().enumerate() {
                    let deaf_to = deaf_to.iter().map(String::as_str).collect::<Vec<_>>().join("+");
                    write!(f, "{}{deaf_to}→{node}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Targets::One => f.write_str("one"),
            Targets::Minority => f.write_str("minority"),
            Targets::Majority => f.write_str("majority"),
            Targets::All => f.write_str("all"),
            Targets::Leader => f.write_str("leader"),
            Targets::Followers => f.write_str("followers"),
            Targets::Nodes(names) => f.write_str(&names.join("+")),
        }
    }
}

/// A fault that is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Active {
    /// Names it for [`crate::cluster::Cluster::stop`]; unique in the life of a cluster.
    pub id: u64,
    /// What exactly was done: the same kind of fault with `Shape::Cuts` or `Targets::Nodes`. Started again, it does
    /// the same to the same nodes.
    pub fault: Fault,
    /// The proof.
    pub receipt: Receipt,
}

/// What the cluster keeps of a fault in force: nodes as indices from 0.
#[derive(Clone, Debug)]
pub(crate) enum InForce {
    Partition(Links),
    Pause(Vec<usize>),
    Kill(Vec<usize>),
}

/// What was measured from the inside after a fault was put in force or taken away.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Receipt {
    /// The nodes it is about, by name.
    pub nodes: Vec<String>,
    /// The measurement.
    pub evidence: Evidence,
    /// From the decision until it was measured to be in force.
    #[serde(rename = "took_ms", serialize_with = "milliseconds")]
    pub took: Duration,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// A datagram was sent over every directed pair of nodes: which did not arrive, and how many did. Exactly the
    /// links that should be cut were silent. Nothing silent: healed.
    Links {
        /// `n1→n2`: what n1 sent did not arrive at n2.
        silent: Vec<String>,
        /// Links over which the datagram arrived.
        passing: usize,
    },
    /// Every thread of these processes was seen in state T.
    Stopped(Vec<Process>),
    /// No thread of these processes was in state T.
    Running(Vec<Process>),
    /// These processes were reaped with SIGKILL as the cause of death.
    Killed(Vec<Process>),
    /// These processes are new and their client port accepts connections.
    Restarted(Vec<Process>),
}

/// One replica's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// The node's name.
    pub node: String,
    /// Its number inside the sandbox.
    pub pid: i32,
    /// How many threads were looked at; none of a process that is gone.
    pub threads: usize,
}

/// Why there is no (or no proven) fault.
#[derive(Debug, Error)]
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

fn milliseconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((time.as_secs_f64() * 1e6).round() / 1e3)
}
