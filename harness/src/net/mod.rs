//! The cluster's network: a bridge in the hub namespace, and a namespace with an address of its own for each node.
//!
//! ```text
//!   hub (harness, clients) 10.42.0.254
//!   ┌──────────── bridge ────────────┐
//!   n1            n2            n3         veth pairs
//! 10.42.0.1     10.42.0.2     10.42.0.3    one namespace each
//! ```
//!
//! No namespace has a name: each is held by a descriptor and by the processes in it. Sockets stay in the namespace
//! they were made in, so the harness keeps a netlink and a datagram socket of each node and needs no thread there.

mod filter;
mod link;
mod probe;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use thiserror::Error;

use filter::Filter;
pub use filter::FilterPlace;
pub(crate) use filter::{enter_namespace, find_restore};
use link::{Bridge, Space};
use probe::Probes;

/// Directed links between nodes, from sender to receiver, as indices from 0.
pub(crate) type Links = BTreeSet<(usize, usize)>;

/// The most nodes that fit the address range.
pub const MOST_NODES: usize = 100;

/// The hub's address.
pub(crate) const HUB: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 254);

/// Why there is no network.
#[derive(Debug, Error)]
pub enum NetError {
    /// `iptables-restore` is not installed.
    #[error("iptables is missing and partitions are made with it; install iptables: sudo apt-get install iptables")]
    NoIptables,
    /// It is there and does not do as told.
    #[error("iptables-restore failed in {place}: {cause}")]
    Iptables {
        /// Whose namespace.
        place: String,
        /// What it said.
        cause: String,
    },
    /// A namespace, link, address or socket could not be made.
    #[error("the cluster's network could not be made: {step}: {cause}")]
    Setup {
        /// What was being done.
        step: String,
        /// What the kernel said.
        cause: String,
    },
    /// Nodes cannot reach each other although nothing is cut, or a test cut does not cut.
    #[error("the cluster's network does not work: {0}")]
    Broken(String),
}

/// The network of one cluster. Dropped, its links are deleted; a namespace lives on while a process is in it.
pub(crate) struct Net {
    /// Dropped, it takes the links with it.
    _bridge: Bridge,
    nodes: Vec<Space>,
    filter: Filter,
    probes: Probes,
}

/// The address of the node with that index.
pub(crate) fn address(index: usize) -> Ipv4Addr {
    let last = u8::try_from(index + 1).expect("a cluster has at most MOST_NODES nodes");
    Ipv4Addr::new(10, 42, 0, last)
}

impl Net {
    /// Makes the network for this many nodes and tries it: all reach each other, and a cut cuts.
    pub(crate) async fn up(count: usize, places: &[FilterPlace]) -> Result<Net, NetError> {
        let restore = filter::find_restore()?;
        let bridge = Bridge::up().await?;
        let nodes = link::spaces(&bridge, count).await?;
        let probes = Probes::new(&nodes)?;
        let filter = Filter::choose(&restore, places, &nodes, &probes).await?;
        let net = Net { _bridge: bridge, nodes, filter, probes };
        let silent = net.silent(&Links::new()).await;
        if silent.is_empty() {
            Ok(net)
        } else {
            Err(NetError::Broken(format!("nothing is cut, and {} of its links are silent", silent.len())))
        }
    }

    /// The namespace of a node, for whoever starts a process in it.
    pub(crate) fn namespace(&self, index: usize) -> BorrowedFd<'_> {
        self.nodes[index].namespace.as_fd()
    }

    /// Where the rules sit.
    pub(crate) fn filter_place(&self) -> FilterPlace {
        self.filter.place()
    }

    /// Cuts exactly these links and no others, in one step.
    pub(crate) async fn cut(&self, links: &Links) -> Result<(), NetError> {
        self.filter.apply(links, &self.nodes).await
    }

    /// The links over which a datagram does not get through. Those expected to be silent are waited for but
    /// shortly; all others get time to deliver.
    pub(crate) async fn silent(&self, expected: &Links) -> Links {
        self.probes.silent(expected).await
    }
}
