//! What control and an agent say to each other: a line of JSON each. The agent begins, with its hello.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Interface;
use crate::cluster::Crash;
use crate::cluster::start::Start;
use crate::fault::{Fault, FaultError, FaultKind, Receipt};
use crate::system::Need;

/// Of the messages below. Whoever speaks another one is another program.
pub(super) const VERSION: u32 = 1;

/// How an agent begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hello {
    /// Of the messages.
    pub version: u32,
    /// The path of the program that runs there.
    pub program: PathBuf,
    /// The folder for all that lies there, which goes with the agent.
    pub folder: PathBuf,
    /// The release of its kernel.
    pub kernel: String,
    /// Its addresses, those of the loopback left out.
    pub addresses: Vec<Interface>,
}

/// An order with the number that its answer bears.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub id: u64,
    pub order: Order,
}

/// What an agent is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// To answer.
    Ping,
    /// To say what is missing there for a run.
    Examine { faults: BTreeSet<FaultKind>, needs: Vec<Need> },
    /// To start its node.
    Start(Box<Beginning>),
    /// To say whether its node runs and is not paused.
    Runs,
    /// To put a fault in force; what is drawn is drawn from the seed.
    Fault { fault: Fault, seed: u64 },
    /// To end the fault of that number.
    Stop { id: u64 },
    /// To end all that are left.
    HealAll,
    /// To open the socket by which links are looked at, at that address.
    Listen { at: Ipv4Addr },
    /// To drop what comes from these and what goes to those, and nothing else.
    Shut { deaf_to: Vec<Ipv4Addr>, mute_to: Vec<Ipv4Addr> },
    /// To send datagrams of a round over these links again and again, and to tell what arrives.
    Probe { round: u64, to: Vec<((usize, usize), SocketAddr)> },
    /// To end its node, and tell what was left to tell.
    Down,
}

/// How a node is started, and what its agent has to know of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Beginning {
    pub start: Start,
    pub faults: BTreeSet<FaultKind>,
    pub patience: Duration,
}

/// What an agent answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    Done,
    /// What is missing: kinds of faults and why they cannot be made, and needs that are not met.
    Examined {
        unable: BTreeMap<FaultKind, String>,
        missing: Vec<Need>,
    },
    Runs(bool),
    /// A fault is in force there under that number.
    InForce {
        id: u64,
        receipt: Receipt,
    },
    /// Faults are over.
    Over(Vec<Receipt>),
    /// There is no (proven) fault.
    NoFault(FaultError),
    /// The port of the socket that was asked for.
    Listens(u16),
    /// It could not be done.
    Failed(String),
}

/// What an agent tells unasked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum News {
    /// What was appended to the node's log.
    Log(String),
    /// What was appended to the node's events.
    Events(String),
    /// The node has died of itself.
    Crash(Crash),
    /// A datagram of that round has arrived.
    Heard { round: u64, link: (usize, usize) },
}

/// A line of an agent's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    Hello(Hello),
    Answer { id: u64, answer: Answer },
    News(News),
}
