//! Looking at the network from the inside: does a datagram from this node reach that node?
//!
//! Each node has a datagram socket in its own namespace, which the harness reads and writes, and so have the clients in
//! the hub. A round sends one
//! datagram over every directed link and notes which arrive, so a link that is cut in one direction shows as such.
//! Links that should be silent are written to first: on a bridge inside one kernel what was sent earlier has arrived
//! or been dropped when what was sent later arrives. Datagrams are repeated until their deadline, because one
//! that is sent while a link comes up may be lost.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::link::Space;
use super::{HUB, Links, NetError};

/// How long a link that should deliver has time to do so.
const DELIVERY: Duration = Duration::from_secs(5);
/// How often a datagram is repeated meanwhile.
const REPEAT: Duration = Duration::from_millis(20);
/// How long silence is listened to after the last expected datagram has arrived.
const GRACE: Duration = Duration::from_millis(3);
/// Round, sender, receiver.
const DATAGRAM: usize = 24;

pub(super) struct Probes {
    sockets: Vec<(UdpSocket, SocketAddr)>,
    round: AtomicU64,
}

impl Probes {
    pub(super) fn new(nodes: &[Space], hub: &StdUdpSocket) -> Result<Probes, NetError> {
        let all = nodes.iter().map(|node| (&node.probe, node.address)).chain([(hub, HUB)]);
        let sockets = all.map(|(probe, address)| Probes::socket(probe, address)).collect::<Result<_, _>>();
        let failed = |cause: std::io::Error| NetError::Setup { step: "open probes".into(), cause: cause.to_string() };
        Ok(Probes { sockets: sockets.map_err(failed)?, round: AtomicU64::new(0) })
    }

    fn socket(probe: &StdUdpSocket, address: Ipv4Addr) -> std::io::Result<(UdpSocket, SocketAddr)> {
        let port = probe.local_addr()?.port();
        Ok((UdpSocket::from_std(probe.try_clone()?)?, SocketAddr::from((address, port))))
    }

    /// One round: the links over which nothing arrived.
    pub(super) async fn silent(&self, expected: &Links) -> Links {
        let round = self.round.fetch_add(1, Ordering::Relaxed) + 1;
        let nodes = self.sockets.len();
        let all: Links =
            (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to))).filter(|(a, b)| a != b).collect();
        let open: Links = all.difference(expected).copied().collect();
        let arrivals = Arrivals { seen: Mutex::new(Links::new()), news: Notify::new() };
        let listen = join_all(self.sockets.iter().map(|(socket, _)| arrivals.listen(socket, round)));
        let send = async {
            let deadline = Instant::now() + DELIVERY;
            loop {
                for link in expected.iter().chain(&open) {
                    self.send(round, *link).await;
                }
                let repeat = (Instant::now() + REPEAT).min(deadline);
                match timeout_at(repeat, arrivals.all_of(&open)).await {
                    Ok(()) => break sleep(GRACE).await,
                    Err(_) if Instant::now() >= deadline => break,
                    Err(_) => {}
                }
            }
        };
        tokio::select! {
            _ = listen => {}
            () = send => {}
        }
        let seen = arrivals.seen.into_inner().expect("no holder panics");
        all.difference(&seen).copied().collect()
    }

    /// A datagram that the kernel refuses to send is one that does not arrive.
    async fn send(&self, round: u64, (from, to): (usize, usize)) {
        let mut datagram = [0; DATAGRAM];
        for (place, number) in datagram.chunks_exact_mut(8).zip([round, from as u64, to as u64]) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        drop(timeout(REPEAT, self.sockets[from].0.send_to(&datagram, self.sockets[to].1)).await);
    }
}

/// What has arrived in one round.
struct Arrivals {
    seen: Mutex<Links>,
    news: Notify,
}

impl Arrivals {
    /// Notes the datagrams of this round; those of earlier rounds are late and count for nothing.
    async fn listen(&self, socket: &UdpSocket, round: u64) {
        let mut datagram = [0; DATAGRAM];
        loop {
            let Ok((DATAGRAM, _)) = socket.recv_from(&mut datagram).await else { continue };
            let mut numbers =
                datagram.chunks_exact(8).map(|bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes")));
            let (Some(of), Some(from), Some(to)) = (numbers.next(), numbers.next(), numbers.next()) else { continue };
            if let (true, Ok(from), Ok(to)) = (of == round, usize::try_from(from), usize::try_from(to)) {
                self.seen.lock().expect("no holder panics").insert((from, to));
                self.news.notify_one();
            }
        }
    }

    async fn all_of(&self, links: &Links) {
        while !links.is_subset(&self.seen.lock().expect("no holder panics")) {
            self.news.notified().await;
        }
    }
}
