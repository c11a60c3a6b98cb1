//! A cluster of hosts, as control sees it: brought up, watched and taken down by its agents.

mod faults;
mod news;
mod wires;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use futures::future::{join_all, try_join_all};
use tokio::sync::{Mutex, watch};

use super::line::Agent;
use super::words::{Answer, Beginning, Order};
use super::{Hello, HostError};
use crate::cluster::replica::Crashes;
use crate::cluster::start::{self, Home, Start, starts};
use crate::cluster::{ClusterError, Known, Node, Spec, ready};
use crate::fault::FaultKind;
use crate::net::Links;
use crate::system::{Need, SystemError};
use wires::HostWires;

/// A machine for one node.
#[derive(Clone, Debug)]
pub struct Host {
    /// The address under which the other nodes and the clients find the node. Partitions touch no other.
    pub address: Ipv4Addr,
    /// Who does there what is to be done.
    pub agent: Agent,
    /// What it said at its beginning.
    pub hello: Hello,
}

/// A running cluster of hosts. Dropped, it leaves nothing there.
pub struct Fleet {
    /// Of copies of what the nodes write.
    known: Known,
    agents: Vec<Agent>,
    /// What cannot be written here of what is told there.
    unwritten: watch::Receiver<Option<String>>,
    /// By what links are cut, if faults may want it.
    wires: Option<HostWires>,
    state: Mutex<State>,
}

/// What only one fault at a time may touch.
struct State {
    /// Faults by the number of their [`crate::fault::Active`].
    in_force: BTreeMap<u64, InForce>,
    /// The number of the next fault.
    next: u64,
}

/// What is kept of a fault in force.
enum InForce {
    Partition(Links),
    /// What each node's agent calls its part.
    Parts(BTreeMap<usize, u64>),
}

impl Fleet {
    /// Brings it up on these hosts, n1 on the first; returns when every node serves and exactly one leads. The nodes'
    /// logs and events go to `nodes/<name>/` of the run's folder; their data stays where it is written.
    ///
    /// # Errors
    /// It does not come up, or a host cannot do what the test wants of it.
    pub async fn up(spec: Spec, hosts: Vec<Host>) -> Result<Fleet, ClusterError> {
        spec.check()?;
        if hosts.is_empty() || spec.nodes != hosts.len() {
            return Err(ClusterError::Size(hosts.len()));
        }
        try_join_all(hosts.iter().map(|host| examine(&host.agent, &spec))).await?;
        let starts = starts(&spec, &hosts.iter().map(home).collect::<Vec<_>>());
        let nodes: Vec<Node> = starts.iter().map(|start| start.node.clone()).collect();
        let (logs, events) = copies(&spec, &nodes)?;
        let agents: Vec<Agent> = hosts.iter().map(|host| host.agent.clone()).collect();
        let crashes = Crashes::default();
        let (wires, arrivals) = match spec.faults.contains(&FaultKind::Partition) {
            true => {
                let wires = HostWires::new(&hosts, spec.seed).await?;
                let arrivals = wires.arrivals();
                (Some(wires), arrivals)
            }
            false => Default::default(),
        };
        let unwritten = news::take_down(&agents, &logs, &events, &crashes, &arrivals)?;
        if let Some(wires) = &wires {
            wires.tried().await?;
        }
        start_all(starts, &agents, &spec).await?;
        let events = if spec.system.replica.is_some() { events } else { Vec::new() };
        let known = Known { nodes, connect: spec.connect, crashes, logs, events };
        tokio::select! {
            served = ready::serving(&known, spec.patience) => served?,
            lost = first_lost(&agents) => return Err(lost.into()),
        }
        let state = Mutex::new(State { in_force: BTreeMap::new(), next: 1 });
        Ok(Fleet { known, agents, unwritten, wires, state })
    }

    /// What is known of its nodes, by copies of what they write.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Takes it down: every process killed, all that they wrote told, nothing left on the hosts.
    pub async fn down(self) {
        join_all(self.agents.iter().map(|agent| async move {
            if let Err(error) = agent.tell(Order::Down).await {
                tracing::warn!("{error}");
            }
            agent.dismiss().await;
        }))
        .await;
    }
}

/// Where a host's node is at home.
fn home(host: &Host) -> Home {
    let Hello { program, folder, .. } = &host.hello;
    Home { address: host.address, grudge: program.clone(), folder: folder.join("node") }
}

/// Where the copies of the nodes' logs and events are.
fn copies(spec: &Spec, nodes: &[Node]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), ClusterError> {
    let folders = nodes.iter().map(|node| start::folder(&spec.dir.join("nodes").join(&node.name)));
    let folders = folders.collect::<Result<Vec<PathBuf>, _>>()?;
    let copies = |name: &str| folders.iter().map(|folder| folder.join(name)).collect();
    Ok((copies("log"), copies("events")))
}

/// Has each agent start its node.
async fn start_all(starts: Vec<Start>, agents: &[Agent], spec: &Spec) -> Result<(), HostError> {
    let started = starts.into_iter().zip(agents).map(|(start, agent)| {
        let beginning = Beginning { start, faults: spec.faults.clone(), patience: spec.patience };
        agent.tell(Order::Start(Box::new(beginning)))
    });
    try_join_all(started).await.map(drop)
}

/// Whether a host has what the system needs, and can do what the test wants of it.
async fn examine(agent: &Agent, spec: &Spec) -> Result<(), ClusterError> {
    let order = Order::Examine { faults: spec.faults.clone(), needs: spec.system.needs.clone() };
    let (unable, missing) = match agent.ask(order).await? {
        Answer::Examined { unable, missing } => (unable, missing),
        other => return Err(agent.nonsense(&other).into()),
    };
    let host = agent.host().to_owned();
    if let Some(Need { file, install }) = missing.into_iter().next() {
        let cause = SystemError::Missing { system: spec.system.name.clone(), file, install };
        return Err(ClusterError::Unfit { host, cause });
    }
    match unable.into_iter().next() {
        Some((fault, why)) => Err(ClusterError::Unable { fault, host, why }),
        None => Ok(()),
    }
}

/// Waits until one of them is lost.
async fn first_lost(agents: &[Agent]) -> HostError {
    let lost = agents.iter().map(|agent| Box::pin(agent.lost()));
    futures::future::select_all(lost).await.0
}
