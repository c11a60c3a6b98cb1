//! Where the cluster of a run lives: in namespaces of this machine, or on hosts.

use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::client::Roster;
use crate::cluster::{self, Cluster, Known};
use crate::exit::Failure;
use crate::fault::Arena;
use crate::host::inventory::Inventory;
use crate::host::{Fleet, gather};
use crate::nemesis::Breakable;
use crate::sandbox::Network;

/// Where a cluster is to live.
#[derive(Debug)]
pub(super) enum Ground {
    /// In namespaces of this machine.
    Namespaces,
    /// On these hosts, a node on each; in that network if it is said.
    Hosts(Inventory, Option<Ipv4Net>),
}

impl Ground {
    /// On hosts if there are any.
    ///
    /// # Errors
    /// A network was said, and no hosts.
    pub(super) fn of(hosts: Option<Inventory>, network: Option<Ipv4Net>) -> Result<Ground, Failure> {
        match (hosts, network) {
            (Some(inventory), network) => Ok(Ground::Hosts(inventory, network)),
            (None, None) => Ok(Ground::Namespaces),
            (None, Some(_)) => Err(Failure::BadArguments(
                "--network is about hosts: say which, with --ssh-config FILE or --hosts H,…".to_owned(),
            )),
        }
    }

    /// Which faults there are.
    pub(super) fn arena(&self) -> Arena {
        match self {
            Ground::Namespaces => Arena::Processes,
            Ground::Hosts(..) => Arena::Hosts,
        }
    }

    /// In what network the harness lives.
    pub(super) fn network(&self) -> Network {
        match self {
            Ground::Namespaces => Network::Own,
            Ground::Hosts(..) => Network::Callers,
        }
    }

    /// How many hosts there are, if nodes want some.
    pub(super) fn hosts(&self) -> Option<usize> {
        match self {
            Ground::Namespaces => None,
            Ground::Hosts(inventory, _) => Some(inventory.hosts.len()),
        }
    }

    /// Leaves out the hosts that so many nodes do not need.
    ///
    /// # Errors
    /// There are fewer hosts.
    pub(super) fn for_nodes(self, nodes: usize) -> Result<Ground, Failure> {
        let Ground::Hosts(mut inventory, network) = self else { return Ok(self) };
        let hosts = inventory.hosts.len();
        if hosts < nodes {
            return Err(Failure::BadArguments(format!(
                "{nodes} nodes want {nodes} hosts, and {hosts} are named: name more, or say --nodes {hosts}"
            )));
        }
        inventory.hosts.truncate(nodes);
        Ok(Ground::Hosts(inventory, network))
    }

    /// Brings a cluster up there.
    pub(super) async fn up(&self, spec: cluster::Spec) -> Result<Standing, Failure> {
        match self {
            Ground::Namespaces => {
                Ok(Standing::Cluster(Arc::new(Cluster::up(spec).await.map_err(anyhow::Error::from)?)))
            }
            Ground::Hosts(inventory, network) => {
                let hosts = gather(inventory, *network).await?;
                Ok(Standing::Fleet(Arc::new(Fleet::up(spec, hosts).await.map_err(anyhow::Error::from)?)))
            }
        }
    }
}

/// A cluster that serves.
pub(super) enum Standing {
    /// In namespaces.
    Cluster(Arc<Cluster>),
    /// On hosts.
    Fleet(Arc<Fleet>),
}

impl Standing {
    /// What is known of its nodes.
    pub(super) fn known(&self) -> &Known {
        match self {
            Standing::Cluster(cluster) => cluster.known(),
            Standing::Fleet(fleet) => fleet.known(),
        }
    }

    /// Says which processes are its clients, if faults can hit them there.
    pub(super) async fn employ(&self, clients: Roster) {
        if let Standing::Cluster(cluster) = self {
            cluster.employ(clients).await;
        }
    }

    pub(super) fn breakable(&self) -> Arc<dyn Breakable> {
        match self {
            Standing::Cluster(cluster) => Arc::clone(cluster) as _,
            Standing::Fleet(fleet) => Arc::clone(fleet) as _,
        }
    }

    /// Takes it down.
    pub(super) async fn down(self) {
        let held = match self {
            Standing::Cluster(cluster) => match Arc::into_inner(cluster) {
                Some(cluster) => return cluster.down().await,
                None => "cluster",
            },
            Standing::Fleet(fleet) => match Arc::into_inner(fleet) {
                Some(fleet) => return fleet.down().await,
                None => "fleet",
            },
        };
        // The sandbox takes it down.
        tracing::error!("somebody still holds the {held}, which is a defect of the harness");
    }
}
