//! Looking at the network from the inside: does a datagram from this node reach that node?
//!
//! Each node has a datagram socket in its own namespace, which the harness reads and writes, and so have the clients in
//! the hub. A round sends one
//! datagram over every directed link and notes which arrive, so a link that is cut in one direction shows as such.
//! Links that should be silent are written to first: on a bridge inside one kernel what was sent earlier has arrived
//! or been dropped when what was sent later arrives. Datagrams are repeated until their deadline, because one
//! that is sent while a link comes up may be lost.

use std::future::Future;
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
pub(crate) const REPEAT: Duration = Duration::from_millis(20);
/// How long silence is listened to after the last expected datagram has arrived.
const GRACE: Duration = Duration::from_millis(3);
/// Round, sender, receiver.
const DATAGRAM: usize = 24;

/// The datagram socket of one party.
pub(crate) struct Prober(UdpSocket);

pub(super) struct Probes {
    parties: Vec<(Prober, SocketAddr)>,
    round: AtomicU64,
}

impl Probes {
    pub(super) fn new(nodes: &[Space], hub: &StdUdpSocket) -> Result<Probes, NetError> {
        let all = nodes.iter().map(|node| (&node.probe, node.address)).chain([(hub, HUB)]);
        let parties = all.map(|(probe, address)| Probes::party(probe, address)).collect::<Result<_, _>>();
        let failed = |cause: std::io::Error| NetError::Setup { step: "open probes".into(), cause: cause.to_string() };
        Ok(Probes { parties: parties.map_err(failed)?, round: AtomicU64::new(0) })
    }

    fn party(probe: &StdUdpSocket, address: Ipv4Addr) -> std::io::Result<(Prober, SocketAddr)> {
        let prober = Prober::new(probe.try_clone()?)?;
        let port = prober.port()?;
        Ok((prober, SocketAddr::from((address, port))))
    }

    /// One round: the links over which nothing arrived.
    pub(super) async fn silent(&self, expected: &Links) -> Links {
        let round = self.round.fetch_add(1, Ordering::Relaxed) + 1;
        let arrivals = Arrivals::default();
        let listen = self.parties.iter().map(|(prober, _)| prober.listen(round, |link| arrivals.note(link)));
        let send = |links: Vec<(usize, usize)>| async move {
            for link in links {
                self.parties[link.0].0.send(round, link, self.parties[link.1].1).await;
            }
        };
        tokio::select! {
            _ = join_all(listen) => unreachable!("nobody stops to listen"),
            silent = arrivals.silent(self.parties.len(), expected, GRACE, send) => silent,
        }
    }
}

impl Prober {
    /// From a socket that does not block.
    pub(crate) fn new(socket: StdUdpSocket) -> std::io::Result<Prober> {
        Ok(Prober(UdpSocket::from_std(socket)?))
    }

    pub(crate) fn port(&self) -> std::io::Result<u16> {
        Ok(self.0.local_addr()?.port())
    }

    /// A datagram that the kernel refuses to send is one that does not arrive.
    pub(crate) async fn send(&self, round: u64, (from, to): (usize, usize), address: SocketAddr) {
        let mut datagram = [0; DATAGRAM];
        for (place, number) in datagram.chunks_exact_mut(8).zip([round, from as u64, to as u64]) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        drop(timeout(REPEAT, self.0.send_to(&datagram, address)).await);
    }

    /// Tells the links of the datagrams of this round, for ever; those of earlier rounds are late and count for nothing.
    pub(crate) async fn listen(&self, round: u64, heard: impl Fn((usize, usize))) {
        let mut datagram = [0; DATAGRAM];
        loop {
            let Ok((DATAGRAM, _)) = self.0.recv_from(&mut datagram).await else { continue };
            let mut numbers =
                datagram.chunks_exact(8).map(|bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes")));
            let (Some(of), Some(from), Some(to)) = (numbers.next(), numbers.next(), numbers.next()) else { continue };
            if let (true, Ok(from), Ok(to)) = (of == round, usize::try_from(from), usize::try_from(to)) {
                heard((from, to));
            }
        }
    }
}

/// What has arrived in one round.
#[derive(Default)]
pub(crate) struct Arrivals {
    seen: Mutex<Links>,
    news: Notify,
}

impl Arrivals {
    pub(crate) fn note(&self, link: (usize, usize)) {
        self.seen.lock().expect("no holder panics").insert(link);
        self.news.notify_one();
    }

    /// The links between so many parties over which nothing arrives, while `send` is asked again and again to send over
    /// links. When all others have delivered, those that should be silent are listened to for the grace.
    pub(crate) async fn silent<F: Future<Output = ()>>(
        &self,
        parties: usize,
        expected: &Links,
        grace: Duration,
        send: impl Fn(Vec<(usize, usize)>) -> F,
    ) -> Links {
        let all: Links =
            (0..parties).flat_map(|from| (0..parties).map(move |to| (from, to))).filter(|(a, b)| a != b).collect();
        let open: Links = all.difference(expected).copied().collect();
        let deadline = Instant::now() + DELIVERY;
        loop {
            send(expected.iter().chain(&open).copied().collect()).await;
            let repeat = (Instant::now() + REPEAT).min(deadline);
            match timeout_at(repeat, self.all_of(&open)).await {
                Ok(()) => break sleep(grace).await,
                Err(_) if Instant::now() >= deadline => break,
                Err(_) => {}
            }
        }
        all.difference(&self.seen.lock().expect("no holder panics")).copied().collect()
    }

    async fn all_of(&self, links: &Links) {
        while !links.is_subset(&self.seen.lock().expect("no holder panics")) {
            self.news.notified().await;
        }
    }
}
