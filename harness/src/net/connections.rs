//! TCP connections between nodes, or of one client with nodes, seen and reset from the inside: the kernel's `sock_diag`
//! in the namespace of whoever has them.
//!
//! `SOCK_DESTROY` ends a socket as if a reset had arrived: its owner gets ECONNABORTED, and the other end a reset. That
//! may be lost where packets are, so both ends are destroyed.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{AF_INET, AF_INET6, IPPROTO_TCP, SockDiagDestroy, SockDiagMessage};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr};

use super::index;
use super::link::inside;

/// What a reset has come to.
pub(crate) struct Resets {
    /// The connections that were destroyed, each once: `n1:40312→n2:2380`.
    pub destroyed: Vec<String>,
    /// Those of them that are there nevertheless.
    pub left: Vec<String>,
}

/// One end of a connection. The kernel's cookie in its identity tells it from a later one between the same ports.
#[derive(Clone, PartialEq)]
struct End {
    family: u8,
    id: SocketId,
    from: usize,
    to: usize,
}

/// A socket that is connected, or about to be.
struct Connected {
    family: u8,
    id: SocketId,
    inode: u32,
}

/// A way to the sockets of one namespace.
struct Diag(Socket);

/// Resets all connections that these nodes have with others.
pub(super) fn reset(namespaces: &[OwnedFd], of: &[usize]) -> io::Result<Resets> {
    let open = |namespace: &OwnedFd| inside(namespace.as_fd(), Diag::open);
    let diags: Vec<Diag> = namespaces.iter().map(open).collect::<io::Result<_>>()?;
    let meant = |end: &End| of.contains(&end.from) || of.contains(&end.to);
    let mut ends = Vec::new();
    for (node, diag) in diags.iter().enumerate() {
        ends.extend(diag.ends()?.into_iter().filter(|end| end.from == node && meant(end)));
    }
    for end in &ends {
        diags[end.from].destroy(end.family, &end.id)?;
    }
    let mut left = Vec::new();
    for diag in &diags {
        left.extend(diag.ends()?.into_iter().filter(|end| ends.contains(end)));
    }
    Ok(Resets { destroyed: told(&ends), left: told(&left) })
}

/// Resets the connections with nodes that somebody in the hub has, who is called so and holds these sockets. The node is
/// told by the reset.
pub(super) fn cut(who: &str, inodes: &BTreeSet<u64>) -> io::Result<Resets> {
    let diag = Diag::open()?;
    let of_theirs = || -> io::Result<Vec<Connected>> {
        let meant = |it: &Connected| inodes.contains(&u64::from(it.inode)) && node(it.id.destination_address).is_some();
        Ok(diag.connected()?.into_iter().filter(meant).collect())
    };
    let told = |Connected { id, .. }: &Connected| {
        let to = node(id.destination_address).map_or_else(String::new, |node| format!("n{}", node + 1));
        format!("{who}:{}→{to}:{}", id.source_port, id.destination_port)
    };
    let before = of_theirs()?;
    for connected in &before {
        diag.destroy(connected.family, &connected.id)?;
    }
    let same = |left: &Connected| before.iter().any(|it| it.family == left.family && it.id == left.id);
    let left = of_theirs()?.into_iter().filter(same).collect::<Vec<_>>();
    Ok(Resets { destroyed: before.iter().map(told).collect(), left: left.iter().map(told).collect() })
}

/// Each connection once, by the end that comes first.
fn told(ends: &[End]) -> Vec<String> {
    let side = |node: usize, port: u16| format!("n{}:{port}", node + 1);
    let mut all: Vec<String> = Vec::new();
    for End { id, from, to, .. } in ends {
        let (here, there) = (side(*from, id.source_port), side(*to, id.destination_port));
        if !all.contains(&format!("{there}→{here}")) {
            all.push(format!("{here}→{there}"));
        }
    }
    all
}

impl Diag {
    fn open() -> io::Result<Diag> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Diag(socket))
    }

    /// The ends of all connections between nodes, with IPv4 or with IPv4 inside of IPv6.
    fn ends(&self) -> io::Result<Vec<End>> {
        let end = |Connected { family, id, .. }: Connected| {
            let (from, to) = (node(id.source_address)?, node(id.destination_address)?);
            Some(End { family, id, from, to })
        };
        Ok(self.connected()?.into_iter().filter_map(end).collect())
    }

    fn connected(&self) -> io::Result<Vec<Connected>> {
        let mut all = Vec::new();
        for family in [AF_INET, AF_INET6] {
            let socket_id = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
            let states = StateFlags::ESTABLISHED | StateFlags::SYN_SENT | StateFlags::CLOSE_WAIT;
            let request = SockDiagMessage::InetRequest(asked(family, states, socket_id));
            self.ask(request, NLM_F_DUMP, |message: SockDiagMessage| {
                let SockDiagMessage::InetResponse(answer) = message else { return };
                all.push(Connected { family, id: answer.header.socket_id, inode: answer.header.inode });
            })?;
        }
        Ok(all)
    }

    /// Destroys it, if it is still there.
    fn destroy(&self, family: u8, id: &SocketId) -> io::Result<()> {
        let request = SockDiagMessage::InetRequest(asked(family, StateFlags::all(), id.clone()));
        match self.ask(SockDiagDestroy::new(request), NLM_F_ACK, |_: SockDiagDestroy| {}) {
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOENT) => Ok(()),
            other => other,
        }
    }

    fn ask<M>(&self, request: M, flags: u16, mut each: impl FnMut(M)) -> io::Result<()>
    where
        M: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<M>>,
    {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut message = NetlinkMessage::new(header, request.into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.0.send(&bytes, 0)?;
        loop {
            let (answer, _) = self.0.recv_from_full()?;
            let mut rest = answer.as_slice();
            while !rest.is_empty() {
                let message = NetlinkMessage::<M>::deserialize(rest).map_err(io::Error::other)?;
                rest = rest.get(message.header.length as usize..).unwrap_or_default();
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => each(inner),
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(()),
                    _ => {}
                }
            }
        }
    }
}

fn asked(family: u8, states: StateFlags, socket_id: SocketId) -> InetRequest {
    InetRequest { family, protocol: IPPROTO_TCP, extensions: ExtensionFlags::empty(), states, socket_id }
}

/// The node with that address.
fn node(address: IpAddr) -> Option<usize> {
    let address: Option<Ipv4Addr> = match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(address) => address.to_ipv4_mapped(),
    };
    address.and_then(index)
}
