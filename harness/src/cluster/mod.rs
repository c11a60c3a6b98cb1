//! A cluster: real processes, each in a network namespace of its own, brought up, watched, hurt and taken down.
//!
//! Must live inside the sandbox ([`crate::sandbox::enter`]), within a tokio runtime. Faults are put in force by
//! [`Cluster::start`], which lives with the faults in [`crate::fault`].

mod error;
mod known;
pub(crate) mod lookout;
pub(crate) mod ready;
pub(crate) mod replica;
pub(crate) mod sights;
pub(crate) mod start;
pub(crate) mod tail;
mod traps;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use grudge_nodes::bugs::Bug;
use grudge_nodes::replica::NodeId;
use grudge_workloads::client::{Connect, Membership};
use grudge_workloads::registry;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::client::Roster;
use crate::disk::Disk;
use crate::fault::{FaultError, FaultKind, InForce};
use crate::net::{FilterPlace, MOST_NODES, Net, address};
use crate::system::{self, System};
pub use error::ClusterError;
pub use known::Known;
use replica::{Crashes, Replica};
use start::{Home, Start, starts};
use traps::Traps;

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
    /// The kinds of faults that it must be ready for: some take a layer under or between the nodes from the beginning.
    pub faults: BTreeSet<FaultKind>,
    /// How long the cluster may take until every node serves and one leads, and a node that was restarted until it
    /// accepts clients.
    pub patience: Duration,
}

impl Spec {
    /// Whether there is such a cluster of the system.
    pub(crate) fn check(&self) -> Result<(), ClusterError> {
        self.system.spans(self.nodes)?;
        Ok(self.system.accept(&self.bugs)?)
    }
}

/// One node, for those who talk to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// The node's name.
    pub node: String,
    /// How it ended: `exit code 101`, `killed by SIGSEGV`.
    pub status: String,
    /// The last lines of its log.
    pub log: Vec<String>,
}

/// A running cluster. Dropped, it kills its processes.
pub struct Cluster {
    pub(crate) known: Known,
    /// How long a node that was restarted has until it accepts clients.
    pub(crate) patience: Duration,
    pub(crate) inner: Arc<Mutex<Inner>>,
}

/// How the members of a cluster are changed.
pub(crate) struct Members {
    pub calls: Arc<dyn Membership>,
    /// The port on which each node is reached by its peers.
    pub peer_port: u16,
    /// What the command line of a node ends with that joins.
    pub joining: Vec<String>,
}

impl Members {
    fn of(system: &System) -> Option<Members> {
        let system::Membership { peer_port, joining } = system.membership.clone()?;
        Some(Members { calls: registry::membership(system.protocol?)?, peer_port, joining })
    }
}

/// What only one fault at a time may touch.
pub(crate) struct Inner {
    /// The network between the nodes, where it is ours.
    pub net: Option<Net>,
    pub replicas: Vec<Replica>,
    /// Faults by the number of their [`crate::fault::Active`].
    pub in_force: BTreeMap<u64, InForce>,
    /// The number of the next fault.
    pub next: u64,
    pub traps: Traps,
    /// How members are changed, if they can be.
    pub members: Option<Members>,
    /// The clients, if they are processes, too.
    pub clients: Option<Roster>,
}

impl Cluster {
    /// Brings it up; returns when every node serves and exactly one leads.
    ///
    /// # Errors
    /// It does not come up; what was started was killed.
    pub async fn up(spec: Spec) -> Result<Cluster, ClusterError> {
        Cluster::up_with_rules_in(spec, &[FilterPlace::Hub, FilterPlace::EachNode]).await
    }

    /// The same, with a partition's rules in the first of these places where they take effect.
    ///
    /// # Errors
    /// As [`Cluster::up`]; also if they take effect in none of them.
    pub async fn up_with_rules_in(spec: Spec, places: &[FilterPlace]) -> Result<Cluster, ClusterError> {
        spec.check()?;
        spec.system.installed()?;
        if spec.nodes == 0 || spec.nodes > MOST_NODES {
            return Err(ClusterError::Size(spec.nodes));
        }
        let starts = starts(&spec, &homes(&spec)?);
        starts.iter().try_for_each(Start::make_folders)?;
        let known = known(&starts, spec.system.replica.is_some(), &spec.connect);
        let trouble = spec.faults.contains(&FaultKind::Packets).then_some(spec.seed);
        let net = Net::up(spec.nodes, places, trouble).await?;
        let disks = match needs_layer(&spec.faults) {
            true => join_all(starts.iter().map(layer)).await.into_iter().map(|disk| disk.map(Some)).collect(),
            false => Ok(starts.iter().map(|_| None).collect()),
        };
        let members = Members::of(&spec.system);
        let replicas = serving_replicas(starts, disks?, &net, &known, spec.patience).await?;
        let inner = Inner { members, ..Inner::new(Some(net), replicas) };
        Ok(Cluster { known, patience: spec.patience, inner: Arc::new(Mutex::new(inner)) })
    }

    /// Starts one node of a cluster whose others are elsewhere, in the network of this process. Nothing is waited for.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) async fn alone(
        start: Start,
        faults: &BTreeSet<FaultKind>,
        connect: Arc<dyn Connect>,
        patience: Duration,
    ) -> Result<Cluster, ClusterError> {
        start.make_folders()?;
        let disk = if needs_layer(faults) { Some(layer(&start).await?) } else { None };
        let network = PathBuf::from("/proc/self/ns/net");
        let namespace = File::open(&network).map_err(|cause| ClusterError::Folder { path: network, cause })?;
        let known = known(std::slice::from_ref(&start), true, &connect);
        let replica = Replica::start(start, namespace.into(), disk, &known.crashes)?;
        let inner = Arc::new(Mutex::new(Inner::new(None, vec![replica])));
        Ok(Cluster { known, patience, inner })
    }

    /// Whether its nodes run and are not paused, in their order.
    pub(crate) async fn who_runs(&self) -> Vec<bool> {
        self.inner.lock().await.replicas.iter().map(Replica::is_running).collect()
    }

    /// Says which processes are its clients, for faults to hit them.
    pub async fn employ(&self, clients: Roster) {
        self.inner.lock().await.clients = Some(clients);
    }

    /// What is known of its nodes.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// The nodes, in order of their numbers.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        self.known.nodes()
    }

    /// Where the rules of a partition sit, if the network is ours.
    pub async fn filter_place(&self) -> Option<FilterPlace> {
        self.inner.lock().await.net.as_ref().map(Net::filter_place)
    }

    /// The node that says it leads; asks all that run. Of several (one may not know yet that it was deposed) the
    /// first.
    pub async fn leader(&self) -> Option<Node> {
        let inner = self.inner.lock().await;
        let leaders = self.known.leading(&inner.running()).await;
        leaders.first().map(|node| self.nodes()[*node].clone())
    }

    /// The replicas that died of themselves so far. Each is a finding against the system.
    #[must_use]
    pub fn crashes(&self) -> Vec<Crash> {
        self.known.crashes()
    }

    /// Takes it down: every process killed and reaped, every link gone.
    pub async fn down(self) {
        self.end().await;
    }

    /// Kills and reaps every process, and takes the layers away. Nothing can be asked of it any more.
    pub(crate) async fn end(&self) {
        let mut inner = self.inner.lock().await;
        join_all(mem::take(&mut inner.in_force).into_values().map(InForce::abandon)).await;
        bury(&inner.replicas).await;
        let disks = inner.replicas.iter_mut().filter_map(|replica| replica.disk.take());
        join_all(disks.map(Disk::unmount)).await;
    }
}

impl Inner {
    fn new(net: Option<Net>, replicas: Vec<Replica>) -> Inner {
        let traps = Traps::default();
        Inner { net, replicas, in_force: BTreeMap::new(), next: 1, traps, members: None, clients: None }
    }

    /// The network, where it is ours.
    pub(crate) fn net(&self) -> Result<&Net, FaultError> {
        self.net.as_ref().ok_or_else(not_ours)
    }

    /// The same, to be changed.
    pub(crate) fn net_mut(&mut self) -> Result<&mut Net, FaultError> {
        self.net.as_mut().ok_or_else(not_ours)
    }

    /// What all nodes are called, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.replicas.iter().map(|replica| replica.node.name.clone()).collect()
    }

    /// What these nodes are called.
    pub(crate) fn names_of(&self, nodes: &[usize]) -> Vec<String> {
        nodes.iter().map(|node| self.replicas[*node].node.name.clone()).collect()
    }

    /// The same in one word: `n1+n3`.
    pub(crate) fn called(&self, nodes: &[usize]) -> String {
        self.names_of(nodes).join("+")
    }

    /// The nodes that run and are not paused.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.replicas.len()).filter(|index| self.replicas[*index].is_running()).collect()
    }
}

/// The folders of nodes that are all on this machine, and their addresses in a network of ours.
fn homes(spec: &Spec) -> Result<Vec<Home>, ClusterError> {
    let grudge = this_binary()?;
    let home = |index| {
        let folder = start::folder(&spec.dir.join("nodes").join(NodeId(index as u64 + 1).to_string()))?;
        Ok(Home { address: address(index), grudge: grudge.clone(), folder })
    };
    (0..spec.nodes).map(home).collect()
}

/// What will be known of nodes that are started like this, and whether they are ours.
fn known(starts: &[Start], ours: bool, connect: &Arc<dyn Connect>) -> Known {
    Known {
        nodes: starts.iter().map(|start| start.node.clone()).collect(),
        connect: Arc::clone(connect),
        crashes: Crashes::default(),
        logs: starts.iter().map(|start| start.log.clone()).collect(),
        events: starts.iter().filter(|_| ours).map(|start| start.events.clone()).collect(),
    }
}

fn not_ours() -> FaultError {
    FaultError::Inapplicable("the network between the nodes is not ours".to_owned())
}

/// Whether faults of these kinds want a layer under the data folder of each node.
fn needs_layer(faults: &BTreeSet<FaultKind>) -> bool {
    [FaultKind::Power, FaultKind::Disk].iter().any(|kind| faults.contains(kind))
}

/// Puts a layer under the data folder of a node.
async fn layer(start: &Start) -> Result<Disk, ClusterError> {
    Ok(Disk::mount(&this_binary()?, &start.data, start.log.with_file_name("disk-log")).await?)
}

fn this_binary() -> Result<PathBuf, ClusterError> {
    std::env::current_exe().map_err(|cause| ClusterError::Folder { path: PathBuf::from("/proc/self/exe"), cause })
}

/// Starts all replicas and waits until they serve; kills them if they do not.
async fn serving_replicas(
    starts: Vec<Start>,
    disks: Vec<Option<Disk>>,
    net: &Net,
    known: &Known,
    patience: Duration,
) -> Result<Vec<Replica>, ClusterError> {
    let started: Result<Vec<Replica>, ClusterError> = starts
        .into_iter()
        .zip(disks)
        .enumerate()
        .map(|(index, (start, disk))| Replica::start(start, net.namespace(index)?, disk, &known.crashes))
        .collect();
    let replicas = started?;
    match ready::serving(known, patience).await {
        Ok(()) => Ok(replicas),
        Err(error) => {
            bury(&replicas).await;
            Err(error)
        }
    }
}

/// Kills and reaps them all.
async fn bury(replicas: &[Replica]) {
    for replica in replicas {
        if let Err(error) = replica.signal(Signal::SIGKILL) {
            tracing::debug!("{error}");
        }
    }
    join_all(replicas.iter().map(Replica::reaped)).await;
}
