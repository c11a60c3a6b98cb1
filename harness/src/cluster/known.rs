//! What can be learnt of a cluster's nodes without touching them: from their own word, from their logs, from the files of
//! events that replicas of ours write, and of their deaths.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use grudge_nodes::replica::NodeId;
use grudge_workloads::client::{Connect, Role};
use tokio::sync::watch;

use super::replica::Crashes;
use super::{Crash, Node, lookout, ready, sights};
use crate::nemesis::Sign;

/// The nodes, and by what they are known.
pub struct Known {
    pub(crate) nodes: Vec<Node>,
    /// How to ask a node for its role.
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) crashes: Crashes,
    /// The nodes' logs, in their order.
    pub(crate) logs: Vec<PathBuf>,
    /// Where the nodes write their events down, in their order; nowhere if they are not ours.
    pub(crate) events: Vec<PathBuf>,
}

impl Known {
    /// The nodes, in order of their numbers.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// What they are called, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// The files in which the nodes write their events down, if they are replicas of ours.
    #[must_use]
    pub fn events(&self) -> Vec<(NodeId, PathBuf)> {
        self.nodes.iter().map(|node| node.id).zip(self.events.iter().cloned()).collect()
    }

    /// The replicas that died of themselves so far. Each is a finding against the system.
    #[must_use]
    pub fn crashes(&self) -> Vec<Crash> {
        self.crashes.lock().expect("no holder panics").clone()
    }

    /// How often a node has begun to lead, counted from now.
    #[must_use]
    pub fn leaders(&self) -> watch::Receiver<u64> {
        lookout::begin(&self.nodes, self.events.clone(), Arc::clone(&self.connect))
    }

    /// Looks from now on until a sign is seen; answers at which node.
    #[must_use]
    pub fn sight(&self, sign: &Sign) -> BoxFuture<'static, String> {
        let nodes = self.nodes.iter().cloned().zip(self.logs.iter().cloned());
        sights::sight(sign.clone(), nodes, Arc::clone(&self.connect))
    }

    /// Those of these nodes that say they lead. Of several, one may not know yet that it was deposed.
    pub(crate) async fn leading(&self, nodes: &[usize]) -> Vec<usize> {
        let asked: Vec<&Node> = nodes.iter().map(|node| &self.nodes[*node]).collect();
        let roles = ready::roles(&asked, self.connect.as_ref()).await;
        nodes.iter().copied().zip(roles).filter(|(_, role)| *role == Ok(Role::Leader)).map(|(node, _)| node).collect()
    }
}
