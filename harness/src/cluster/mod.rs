//! A cluster: real processes, each in a network namespace of its own, brought up, watched, hurt and taken down.
//!
//! Must live inside the sandbox ([`crate::sandbox::enter`]), within a tokio runtime.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use grudge_nodes::bugs::Bug;
use grudge_nodes::replica::NodeId;
use grudge_workloads::client::Connect;
use rand_chacha::ChaCha8Rng;
use thiserror::Error;

use crate::fault::{Active, Fault, FaultError, Receipt};
use crate::system::System;

/// What cluster is wanted.
#[derive(Clone)]
pub struct Spec {
    /// Which system.
    pub system: System,
    /// How many nodes.
    pub nodes: usize,
    /// The run's folder: each node's output goes to `nodes/<name>/log`, its data to `nodes/<name>/data`.
    pub dir: PathBuf,
    /// Planted bugs, on in every node.
    pub bugs: Vec<Bug>,
    /// Each node's own seed is drawn from this.
    pub seed: u64,
    /// Added to each node's environment.
    pub env: BTreeMap<String, String>,
    /// How to ask a node for its role.
    pub connect: Arc<dyn Connect>,
    /// How long the cluster may take until every node serves and one leads.
    pub patience: Duration,
}

/// One node, for those who talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `n1`, `n2`, …
    pub name: String,
    /// Its number, from 1.
    pub id: NodeId,
    /// Its address on the bridge.
    pub address: IpAddr,
    /// Where it serves clients.
    pub client_address: SocketAddr,
}

/// A replica that died without having been killed by the harness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// The node's name.
    pub node: String,
    /// How it ended: `exit code 101`, `killed by SIGSEGV`.
    pub status: String,
    /// The last lines of its log.
    pub log: Vec<String>,
}

/// Why there is no cluster. Each says what to do or where to look.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// Not yet.
    #[error("a cluster cannot be brought up yet")]
    Unfinished,
}

/// A running cluster. Dropped, it kills its processes.
pub struct Cluster {
    nodes: Vec<Node>,
}

impl Cluster {
    /// Brings it up; returns when every node serves and exactly one leads.
    ///
    /// # Errors
    /// It does not come up; what was started was killed.
    pub async fn up(_spec: Spec) -> Result<Cluster, ClusterError> {
        Err(ClusterError::Unfinished)
    }

    /// The nodes, in order of their numbers.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node that says it leads; asks all that run. Of several (one may not know yet that it was deposed) the
    /// first.
    pub async fn leader(&self) -> Option<Node> {
        None
    }

    /// The replicas that died of themselves so far. Each is a finding against the system.
    #[must_use]
    pub fn crashes(&self) -> Vec<Crash> {
        Vec::new()
    }

    /// Puts a fault in force and measures it.
    ///
    /// # Errors
    /// [`FaultError::Inapplicable`]: nothing was done. Anything else: nobody knows what the cluster suffered.
    pub async fn start(&self, fault: &Fault, _rng: &mut ChaCha8Rng) -> Result<Active, FaultError> {
        Err(FaultError::Inapplicable(fault.to_string()))
    }

    /// Takes a fault away and measures that it is gone.
    ///
    /// # Errors
    /// It could not be shown to be gone.
    pub async fn stop(&self, active: Active) -> Result<Receipt, FaultError> {
        Ok(active.receipt)
    }

    /// Stops every fault in force, newest first.
    ///
    /// # Errors
    /// The first that could not be shown to be gone; the others were stopped nevertheless.
    pub async fn heal_all(&self) -> Result<Vec<Receipt>, FaultError> {
        Ok(Vec::new())
    }

    /// Takes it down: every process killed and reaped, every link gone.
    pub async fn down(self) {}
}
