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

mod connections;
mod detour;
mod filter;
mod gate;
mod link;
mod netem;
mod probe;
mod program;
mod sample;
mod switch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

pub(crate) use connections::Resets;
use filter::Filter;
pub use filter::FilterPlace;
pub(crate) use filter::find_restore;
pub(crate) use gate::{Gate, Spared};
pub(crate) use link::inside;
use link::{Bridge, Space, failed};
use netem::Netem;
use probe::Probes;
pub(crate) use probe::{Arrivals, Prober, REPEAT};
pub(crate) use program::enter_namespace;
use sample::Sampler;
pub(crate) use sample::{Burst, HEADER, SHORTEST, Sample};
use switch::Switch;
pub use switch::Tally;
pub(crate) use switch::{BUCKET, QUEUE, Treatment};

/// Directed links, from sender to receiver: nodes as indices from 0, and after the last node the clients, who are in the
/// hub.
pub(crate) type Links = BTreeSet<(usize, usize)>;

/// The most nodes that fit the address range.
pub const MOST_NODES: usize = 100;

/// The type of service (a code point of RFC 2474 for local use) of packets that are in no trouble, whatever is in force:
/// those by which the harness looks at cuts.
const EXEMPT: u8 = 0xfc;

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
    /// A socket or device of the harness's own does not do as told.
    #[error("the cluster's network cannot be used: {0}")]
    Io(#[from] std::io::Error),
    /// Nodes cannot reach each other although nothing is cut, or a test cut does not cut.
    #[error("the cluster's network does not work: {0}")]
    Broken(String),
}

/// The network of one cluster. Dropped, its links are deleted; a namespace lives on while a process is in it.
pub(crate) struct Net {
    /// Dropped, it takes the links with it.
    bridge: Bridge,
    nodes: Vec<Space>,
    filter: Filter,
    probes: Probes,
    trouble: Option<Trouble>,
}

/// What it takes to treat packets.
struct Trouble {
    means: Means,
    switch: Switch,
    sampler: Arc<Mutex<Sampler>>,
    /// The links whose packets go by the switch.
    detours: Links,
}

/// Who treats packets.
enum Means {
    /// The switch.
    Switch,
    /// The kernel, as far as it does just what is asked; and the switch.
    Netem(Netem),
}

/// The address of the node with that index.
pub(crate) fn address(index: usize) -> Ipv4Addr {
    let last = u8::try_from(index + 1).expect("a cluster has at most MOST_NODES nodes");
    Ipv4Addr::new(10, 42, 0, last)
}

/// The index of the node with that address.
fn index(address: Ipv4Addr) -> Option<usize> {
    let [a, b, c, last] = address.octets();
    let node = [a, b, c] == [10, 42, 0] && (1..=MOST_NODES).contains(&usize::from(last));
    node.then(|| usize::from(last) - 1)
}

/// The address of a node, or of the clients in a cluster of so many nodes.
fn address_of(party: usize, nodes: usize) -> Ipv4Addr {
    if party == nodes { HUB } else { address(party) }
}

/// The index of whoever has that address: of a node, or of the clients in a cluster of so many nodes.
fn party(address: Ipv4Addr, nodes: usize) -> Option<usize> {
    if address == HUB { Some(nodes) } else { index(address) }
}

impl Net {
    /// Makes the network for this many nodes and tries it: all reach each other, and a cut cuts. With a seed it is made
    /// ready to treat packets, too.
    pub(crate) async fn up(count: usize, places: &[FilterPlace], trouble: Option<u64>) -> Result<Net, NetError> {
        let restore = filter::find_restore()?;
        let bridge = Bridge::up().await?;
        let nodes = link::spaces(&bridge, count).await?;
        let probes = Probes::new(&nodes, &link::probe("the hub")?)?;
        let filter = Filter::choose(&restore, places, &nodes, &probes).await?;
        let trouble = match trouble {
            Some(seed) => Some(Trouble::up(seed, &bridge, &nodes).await?),
            None => None,
        };
        let net = Net { bridge, nodes, filter, probes, trouble };
        let silent = net.silent(&Links::new()).await;
        if silent.is_empty() {
            Ok(net)
        } else {
            Err(NetError::Broken(format!("nothing is cut, and {} of its links are silent", silent.len())))
        }
    }

    /// The namespace of a node, for whoever starts a process in it.
    pub(crate) fn namespace(&self, index: usize) -> Result<OwnedFd, NetError> {
        Ok(self.nodes[index].namespace.try_clone()?)
    }

    /// Where the rules sit.
    pub(crate) fn filter_place(&self) -> FilterPlace {
        self.filter.place()
    }

    /// Cuts exactly these links and no others, in one step.
    pub(crate) async fn cut(&self, links: &Links) -> Result<(), NetError> {
        self.filter.apply(links, &self.nodes).await
    }

    /// Treats the packets of exactly these links so.
    pub(crate) async fn treat(&mut self, treatments: &BTreeMap<(usize, usize), Treatment>) -> Result<(), NetError> {
        let Some(trouble) = &mut self.trouble else { return Err(unprepared()) };
        let Trouble { means, switch, detours, .. } = trouble;
        let mut by_switch = treatments.clone();
        if let Means::Netem(netem) = means {
            let by_netem: BTreeMap<_, _>;
            (by_netem, by_switch) = by_switch.into_iter().partition(|(link, treatment)| Netem::can(*link, treatment));
            netem.treat(&self.bridge, &self.nodes, by_netem).await?;
        }
        let links: Links = by_switch.keys().copied().collect();
        // A link is treated before it comes to the switch, and until it has left it.
        switch.treat(&by_switch)?;
        detour::change(&self.bridge, &self.nodes, detours, &links).await?;
        *detours = links;
        Ok(())
    }

    /// Sends numbered packets over links that are not cut, and counts what becomes of them.
    pub(crate) async fn sample(
        &self,
        bursts: BTreeMap<(usize, usize), Burst>,
    ) -> Result<BTreeMap<(usize, usize), Sample>, NetError> {
        sample(&self.trouble.as_ref().ok_or_else(unprepared)?.sampler, bursts).await
    }

    /// Resets all TCP connections between these nodes and others at both ends, within about a millisecond.
    pub(crate) async fn reset(&self, of: &[usize]) -> Result<Resets, NetError> {
        let namespaces = self.nodes.iter().map(|node| node.namespace.try_clone()).collect::<Result<Vec<_>, _>>()?;
        let of = of.to_vec();
        let reset = move || connections::reset(&namespaces, &of);
        Ok(tokio::task::spawn_blocking(reset).await.map_err(std::io::Error::other)??)
    }

    /// Resets all TCP connections with nodes of somebody in the hub, who is called so and holds these sockets.
    pub(crate) async fn cut_off(&self, who: String, inodes: BTreeSet<u64>) -> Result<Resets, NetError> {
        let cut = move || connections::cut(&who, &inodes);
        Ok(tokio::task::spawn_blocking(cut).await.map_err(std::io::Error::other)??)
    }

    /// Whether packets are treated by the kernel, too.
    pub(crate) fn has_netem(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| matches!(trouble.means, Means::Netem(_)))
    }

    /// What became so far of all packets that the switch has treated.
    pub(crate) fn tally(&self) -> Tally {
        self.trouble.as_ref().map(|trouble| trouble.switch.tally()).unwrap_or_default()
    }

    /// The links over which a datagram does not get through. Those expected to be silent are waited for but
    /// shortly; all others get time to deliver.
    pub(crate) async fn silent(&self, expected: &Links) -> Links {
        self.probes.silent(expected).await
    }
}

impl Trouble {
    async fn up(seed: u64, bridge: &Bridge, nodes: &[Space]) -> Result<Trouble, NetError> {
        let switch = Switch::up(seed, nodes.len()).map_err(failed("open /dev/net/tun for the packets' switch"))?;
        detour::prepare(bridge).await?;
        let sampler = Arc::new(Mutex::new(Sampler::new(nodes)?));
        let means = match Netem::find(bridge, nodes, &sampler).await {
            Ok(netem) => Means::Netem(netem),
            Err(error) => {
                tracing::debug!("packets are treated by the switch alone, netem does not work here: {error}");
                Means::Switch
            }
        };
        Ok(Trouble { means, switch, sampler, detours: Links::new() })
    }
}

async fn sample(
    sampler: &Arc<Mutex<Sampler>>,
    bursts: BTreeMap<(usize, usize), Burst>,
) -> Result<BTreeMap<(usize, usize), Sample>, NetError> {
    let sampler = Arc::clone(sampler);
    let sampled = move || sampler.lock().unwrap_or_else(PoisonError::into_inner).sample(&bursts);
    Ok(tokio::task::spawn_blocking(sampled).await.map_err(std::io::Error::other)??)
}

fn unprepared() -> NetError {
    NetError::Broken("it was not made ready to treat packets".to_owned())
}
