//! Restarts: processes killed and started again at once, one node after the other or over and over.
//!
//! A series of restarts takes its time, and the nemesis has others to see to: the fault is in force with its first
//! deaths, and the rest goes on beside it. Whoever takes it away ends the series where it stands: no further process is
//! killed, and every one that was started must accept clients. The receipt tells all lives, and how many restarts were
//! left over when the time was short.
//!
//! A node that another fault has paused or killed is waited for: that fault must find what it left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as StdMutex, Weak};
use std::time::{Duration, Instant};

use futures::future::join_all;
use grudge_workloads::client::{Connect, Role};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::processes::{accepting, slay};
use super::{Evidence, FaultError, Process, Receipt, Restarts, clocks};
use crate::cluster::replica::Crashes;
use crate::cluster::{Cluster, Inner, Node, ready};

/// Between two looks at a node that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// One life of a process that a series has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lived {
    /// The node's name.
    pub node: String,
    /// The process that was killed for it.
    pub killed: i32,
    /// Its own process.
    pub pid: i32,
    /// Whether its client port accepted a connection before anything else happened to it.
    pub accepted: bool,
}

/// A series that is under way.
pub(crate) struct Series {
    pub(super) nodes: Vec<usize>,
    /// How many restarts it is to have.
    wanted: usize,
    seen: Arc<StdMutex<Seen>>,
    task: JoinHandle<()>,
}

/// What a series has done so far.
#[derive(Default)]
struct Seen {
    lives: Vec<Lived>,
    failure: Option<FaultError>,
}

/// What a series needs of its cluster, for as long as that is there.
#[derive(Clone)]
struct Scene {
    inner: Weak<Mutex<Inner>>,
    crashes: Crashes,
    connect: Arc<dyn Connect>,
    patience: Duration,
    fault: String,
    seen: Arc<StdMutex<Seen>>,
}

/// Restarts the first and goes on beside the nemesis. The receipt is the first deaths.
pub(super) async fn begin(
    cluster: &Cluster,
    inner: &mut Inner,
    nodes: &[usize],
    manner: Restarts,
    decided: Instant,
) -> Result<(Series, Receipt), FaultError> {
    let fault = format!("restart of {}", inner.called(nodes));
    let seen = Arc::new(StdMutex::new(Seen::default()));
    let scene = Scene {
        inner: Arc::downgrade(&cluster.inner),
        crashes: Arc::clone(&cluster.known.crashes),
        connect: Arc::clone(&cluster.known.connect),
        patience: cluster.patience,
        fault,
        seen: Arc::clone(&seen),
    };
    let (first, times) = match manner {
        Restarts::Rolling => (&nodes[..1], 1),
        Restarts::Storm(times) => (nodes, usize::from(times)),
    };
    let mut killed = Vec::new();
    for node in first {
        killed.push(scene.restart(inner, *node).await?);
    }
    let receipt = Receipt::new(inner.names_of(nodes), Evidence::Killed(killed), decided);
    let all = nodes.to_vec();
    let task = tokio::spawn(async move {
        match manner {
            Restarts::Rolling => scene.roll(&all).await,
            Restarts::Storm(times) => drop(join_all(all.iter().map(|node| scene.storm(*node, times))).await),
        }
    });
    Ok((Series { nodes: nodes.to_vec(), wanted: nodes.len() * times, seen, task }, receipt))
}

/// Ends a series where it stands: whoever was started must accept clients, and nobody has died otherwise.
pub(super) async fn end(
    cluster: &Cluster,
    inner: &Inner,
    series: Series,
    decided: Instant,
) -> Result<Receipt, FaultError> {
    let (seen, nodes, wanted) = (Arc::clone(&series.seen), series.nodes.clone(), series.wanted);
    series.abandon().await;
    let Seen { mut lives, failure } = std::mem::take(&mut *seen.lock().expect("no holder panics"));
    if let Some(failure) = failure {
        return Err(failure);
    }
    let fault = format!("restart of {}", inner.called(&nodes));
    let last: BTreeMap<String, usize> =
        lives.iter().enumerate().map(|(index, life)| (life.node.clone(), index)).collect();
    for node in &nodes {
        let replica = &inner.replicas[*node];
        let Some(index) = last.get(&replica.node.name) else { continue };
        let life = &mut lives[*index];
        // What has become of it since by another fault is that one's to tell.
        if replica.pid().as_raw() == life.pid && !replica.is_condemned() && !replica.is_paused() {
            accepting(&replica.present(), &fault, cluster.patience).await?;
            life.accepted = true;
        }
    }
    let left = wanted - lives.len();
    Ok(Receipt::new(inner.names_of(&nodes), Evidence::Lives { lives, left }, decided))
}

impl Scene {
    /// Every node once, the next when the last serves again.
    async fn roll(&self, nodes: &[usize]) {
        for (index, node) in nodes.iter().enumerate() {
            if index > 0 && !self.again(*node).await {
                return;
            }
            if !self.accepts(*node).await || !self.serves(*node).await {
                return;
            }
        }
    }

    /// One node so many times, each time as soon as it accepts clients.
    async fn storm(&self, node: usize, times: u8) {
        for time in 0..times {
            if time > 0 && !self.again(node).await {
                return;
            }
            if !self.accepts(node).await {
                return;
            }
        }
    }

    /// Kills a running node and starts it again.
    async fn restart(&self, inner: &mut Inner, node: usize) -> Result<Process, FaultError> {
        let replicas = &mut inner.replicas;
        let killed = slay(&replicas[node], &self.fault).await?;
        let restarted = replicas[node].restart(&self.crashes);
        restarted.map_err(|error| FaultError::failed(&self.fault, error))?;
        let life = Lived {
            node: replicas[node].node.name.clone(),
            killed: killed.pid,
            pid: replicas[node].pid().as_raw(),
            accepted: false,
        };
        self.seen.lock().expect("no holder panics").lives.push(life);
        clocks::renew(inner, &[node]).await?;
        Ok(killed)
    }

    /// Restarts a node once more, as soon as it runs; no if there is no more to do.
    async fn again(&self, node: usize) -> bool {
        loop {
            {
                let Some(inner) = self.inner.upgrade() else { return false };
                let mut inner = inner.lock().await;
                if inner.replicas[node].is_running() {
                    return self.unless_failed(self.restart(&mut inner, node).await);
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until the present life of a node accepts clients, or another fault has ended it.
    async fn accepts(&self, node: usize) -> bool {
        let Some(inner) = self.inner.upgrade() else { return false };
        let present = inner.lock().await.replicas[node].present();
        drop(inner);
        match accepting(&present, &self.fault, self.patience).await {
            Err(_) if present.is_condemned() => true,
            Err(error) => self.unless_failed(Err::<(), _>(error)),
            Ok(process) => {
                let mut seen = self.seen.lock().expect("no holder panics");
                let life = seen.lives.iter_mut().find(|life| life.pid == process.pid);
                life.expect("every life was written down when it began").accepted = true;
                true
            }
        }
    }

    /// Waits until a node leads or follows.
    async fn serves(&self, node: usize) -> bool {
        loop {
            let Some(inner) = self.inner.upgrade() else { return false };
            let node: Node = inner.lock().await.replicas[node].node.clone();
            drop(inner);
            let roles = ready::roles(&[&node], self.connect.as_ref()).await;
            if matches!(roles[0], Ok(Role::Leader | Role::Follower)) {
                return true;
            }
            sleep(LOOK).await;
        }
    }

    fn unless_failed<T>(&self, outcome: Result<T, FaultError>) -> bool {
        match outcome {
            Ok(_) => true,
            Err(error) => {
                self.seen.lock().expect("no holder panics").failure.get_or_insert(error);
                false
            }
        }
    }
}

impl Series {
    /// Ends it where it stands. It kills and starts with the cluster's lock, which is the caller's: so it is between two
    /// restarts.
    pub(crate) async fn abandon(mut self) {
        self.task.abort();
        drop((&mut self.task).await);
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.task.abort();
    }
}
