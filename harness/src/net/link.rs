//! Namespaces, the bridge and the links between them, through rtnetlink.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::thread;

use futures::TryStreamExt;
use futures::future::try_join_all;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::{Handle, LinkBridge, LinkUnspec, LinkVeth, new_connection};
use tokio::runtime;

use super::{EXEMPT, HUB, NetError, address};

pub(super) const BRIDGE: &str = "grudge0";
/// The device of each node in its own namespace.
pub(super) const OWN: &str = "eth0";
const PREFIX: u8 = 24;

pub(super) fn failed<E: std::fmt::Display>(step: impl Into<String>) -> impl FnOnce(E) -> NetError {
    move |cause| NetError::Setup { step: step.into(), cause: cause.to_string() }
}

/// The bridge in the hub, and the hub's own address on it.
pub(super) struct Bridge {
    links: Handle,
    index: u32,
}

/// One node's namespace.
pub(super) struct Space {
    /// The node's address on the bridge.
    pub address: Ipv4Addr,
    /// The namespace itself.
    pub namespace: OwnedFd,
    /// A datagram socket inside it, on a port of the kernel's choice.
    pub probe: UdpSocket,
    /// A netlink socket inside it.
    pub links: Handle,
    /// The number of its link to the bridge.
    pub interface: u32,
    /// Names it in errors.
    pub name: String,
}

impl Bridge {
    pub(super) async fn up() -> Result<Bridge, NetError> {
        let (connection, links, _) = new_connection().map_err(failed("open a netlink socket"))?;
        tokio::spawn(connection);
        loopback_up(&links).await?;
        // The bridge hands what it forwards to iptables, whatever the namespace's default is.
        let bridge = LinkBridge::new(BRIDGE).nf_call_iptables(true).address(hardware(HUB)).build();
        links.link().add(bridge).execute().await.map_err(failed(format!("add bridge {BRIDGE}")))?;
        let index = index_of(&links, BRIDGE).await?;
        add_address(&links, index, HUB).await?;
        Ok(Bridge { links, index })
    }

    /// A netlink socket in the hub.
    pub(super) fn links(&self) -> &Handle {
        &self.links
    }

    pub(super) fn index(&self) -> u32 {
        self.index
    }
}

/// What a node is called, and the bridge's port towards it.
pub(super) fn port(node: usize) -> String {
    format!("n{}", node + 1)
}

/// A datagram socket in the namespace of the calling thread. What is in trouble is the systems' traffic: the proof of a
/// cut goes past a switch's treatment.
pub(super) fn probe(name: &str) -> Result<UdpSocket, NetError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(failed(format!("open a socket of {name}")))?;
    setsockopt(&socket, sockopt::Ipv4Tos, &i32::from(EXEMPT)).map_err(failed(format!("mark a socket of {name}")))?;
    socket.set_nonblocking(true).map_err(failed(format!("open a socket of {name}")))?;
    Ok(socket)
}

/// Does something on a thread of its own in that namespace: a socket that is made so stays there.
pub(crate) fn inside<T: Send>(namespace: BorrowedFd<'_>, task: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let entered = || {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        task()
    };
    thread::scope(|scope| scope.spawn(entered).join()).expect("what is done in a namespace does not panic")
}

/// A namespace on the bridge for each of `count` nodes.
pub(super) async fn spaces(bridge: &Bridge, count: usize) -> Result<Vec<Space>, NetError> {
    let rooms = (0..count).map(Room::new).collect::<Result<Vec<_>, _>>()?;
    let addresses: Vec<Ipv4Addr> = rooms.iter().map(|room| room.address).collect();
    add_neighbours(&bridge.links, bridge.index, &addresses).await?;
    try_join_all(rooms.into_iter().map(|room| room.connect(bridge, &addresses))).await
}

/// A new namespace, not yet connected to anything.
struct Room {
    name: String,
    address: Ipv4Addr,
    namespace: OwnedFd,
    links: Handle,
    probe: UdpSocket,
}

impl Room {
    /// Made on a thread of its own, which leaves the namespace of the harness and ends there.
    fn new(node: usize) -> Result<Room, NetError> {
        let runtime = runtime::Handle::current();
        let made = thread::scope(|scope| scope.spawn(|| Room::in_new_namespace(node, &runtime)).join());
        made.expect("making a namespace does not panic")
    }

    fn in_new_namespace(node: usize, runtime: &runtime::Handle) -> Result<Room, NetError> {
        let name = port(node);
        unshare(CloneFlags::CLONE_NEWNET).map_err(failed(format!("make a network namespace for {name}")))?;
        let namespace = File::open("/proc/thread-self/ns/net").map_err(failed(format!("open {name}'s namespace")))?;
        let _inside = runtime.enter();
        let (connection, links, _) = new_connection().map_err(failed(format!("open a netlink socket of {name}")))?;
        runtime.spawn(connection);
        let probe = probe(&name)?;
        Ok(Room { name, address: address(node), namespace: namespace.into(), links, probe })
    }

    async fn connect(self, bridge: &Bridge, all: &[Ipv4Addr]) -> Result<Space, NetError> {
        let Room { name, address, namespace, links, probe } = self;
        let inner = LinkUnspec::new_with_name(OWN);
        let inner = inner.setns_by_fd(namespace.as_raw_fd()).address(hardware(address)).build();
        let pair = LinkVeth::new(&name, OWN)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(inner)))
            .controller(bridge.index)
            .up()
            .build();
        bridge.links.link().add(pair).execute().await.map_err(failed(format!("add the link of {name}")))?;
        loopback_up(&links).await?;
        let inner = index_of(&links, OWN).await?;
        add_address(&links, inner, address).await?;
        set_up(&links, inner).await.map_err(failed(format!("bring the link of {name} up")))?;
        let others: Vec<Ipv4Addr> = all.iter().copied().filter(|other| *other != address).chain([HUB]).collect();
        add_neighbours(&links, inner, &others).await?;
        Ok(Space { address, namespace, probe, links, interface: inner, name })
    }
}

impl Drop for Bridge {
    /// Deletes the bridge and the links on it, both ends of each. Blocks for as long as that takes, a few milliseconds,
    /// on a thread and a netlink socket of its own: a cluster may be dropped with its runtime already gone.
    fn drop(&mut self) {
        let bridge = self.index;
        let deletion = move || -> Result<(), NetError> {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(failed("start a runtime"))?.block_on(delete_with_ports(bridge))
        };
        match thread::spawn(deletion).join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("{error}"),
            Err(_) => tracing::warn!("deleting the links of a cluster panicked"),
        }
    }
}

async fn delete_with_ports(bridge: u32) -> Result<(), NetError> {
    let (connection, links, _) = new_connection().map_err(failed("open a netlink socket"))?;
    tokio::spawn(connection);
    let all: Vec<_> = links.link().get().execute().try_collect().await.map_err(failed("list links"))?;
    let ports = all.into_iter().filter(|link| link.attributes.contains(&LinkAttribute::Controller(bridge)));
    for index in ports.map(|link| link.header.index).chain([bridge]) {
        links.link().del(index).execute().await.map_err(failed(format!("delete link {index}")))?;
    }
    Ok(())
}

async fn loopback_up(links: &Handle) -> Result<(), NetError> {
    let index = index_of(links, "lo").await?;
    set_up(links, index).await.map_err(failed("bring the loopback link up"))
}

async fn set_up(links: &Handle, index: u32) -> Result<(), rtnetlink::Error> {
    links.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await
}

async fn add_address(links: &Handle, index: u32, address: Ipv4Addr) -> Result<(), NetError> {
    let add = links.address().add(index, IpAddr::V4(address), PREFIX);
    add.execute().await.map_err(failed(format!("add address {address}")))
}

/// The hardware address that belongs to an address: locally administered, and derived so that all know it.
fn hardware(address: Ipv4Addr) -> Vec<u8> {
    [0x02, 0x47].into_iter().chain(address.octets()).collect()
}

/// Tells a namespace the hardware addresses of the others for good. Left to itself it would ask, and ask again only
/// after a second when the first question falls into the moment in which a link comes up.
async fn add_neighbours(links: &Handle, index: u32, others: &[Ipv4Addr]) -> Result<(), NetError> {
    for other in others {
        let neighbour = links.neighbours().add(index, IpAddr::V4(*other)).link_layer_address(&hardware(*other));
        neighbour.execute().await.map_err(failed(format!("add neighbour {other}")))?;
    }
    Ok(())
}

pub(super) async fn index_of(links: &Handle, name: &str) -> Result<u32, NetError> {
    let step = || format!("find link {name}");
    let mut found = std::pin::pin!(links.link().get().match_name(name).execute());
    match found.try_next().await.map_err(failed(step()))? {
        Some(link) => Ok(link.header.index),
        None => Err(failed(step())("it is not there")),
    }
}
