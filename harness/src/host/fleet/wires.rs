//! The wires between hosts: cut by rules on each of them, and looked at by datagrams between all of them and the clients.
//!
//! Each host drops what comes from those it should not hear. What a node should not say to clients it drops itself: here,
//! nothing is dropped.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;

use super::super::line::{Agent, HostError};
use super::super::words::{Answer, Order};
use super::Host;
use crate::cluster::ClusterError;
use crate::fault::Wires;
use crate::net::{Arrivals, Links, NetError, Prober};

/// How long silence is listened to: a datagram that crosses at all has crossed by then, and was sent several times.
const GRACE: Duration = Duration::from_millis(250);
/// Where nobody listens: only the way there is asked for.
const DISCARD: u16 = 9;

/// See the module's text.
pub(super) struct HostWires {
    hosts: Vec<End>,
    /// The socket of the clients' side.
    prober: Prober,
    /// Its port.
    port: u16,
    /// The number of the last round.
    last: AtomicU64,
    round: Arc<Round>,
}

/// A host at the end of its wire.
struct End {
    agent: Agent,
    /// Its address for the others.
    address: Ipv4Addr,
    /// The address of the clients, as it sees them.
    clients: Ipv4Addr,
    /// Where it listens for datagrams.
    port: u16,
}

/// What arrives in the round that is under way.
#[derive(Default)]
pub(super) struct Round(Mutex<Option<(u64, Arc<Arrivals>)>>);

impl Round {
    /// Begins that round; nothing of another counts any more.
    fn begin(&self, number: u64) -> Arc<Arrivals> {
        let arrivals = Arc::new(Arrivals::default());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, Arc::clone(&arrivals)));
        arrivals
    }

    pub(super) fn note(&self, round: u64, link: (usize, usize)) {
        if let Some((number, arrivals)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner)
            && *number == round
        {
            arrivals.note(link);
        }
    }
}

impl HostWires {
    pub(super) async fn new(hosts: &[Host], seed: u64) -> Result<HostWires, ClusterError> {
        let ends = try_join_all(hosts.iter().map(End::of)).await?;
        let prober = open().map_err(NetError::Io)?;
        let port = prober.port().map_err(NetError::Io)?;
        // Datagrams of another run may be on their way to the same ports.
        let last = AtomicU64::new(seed << 32);
        Ok(HostWires { hosts: ends, prober, port, last, round: Arc::default() })
    }

    /// Where what the agents hear is noted.
    pub(super) fn arrivals(&self) -> Arc<Round> {
        Arc::clone(&self.round)
    }

    /// Tries them: all reach each other, and a cut cuts.
    pub(super) async fn tried(&self) -> Result<(), ClusterError> {
        let cut = if self.hosts.len() > 1 { Links::from([(0, 1)]) } else { Links::new() };
        for wanted in [cut, Links::new()] {
            self.cut_all(&wanted).await?;
            let silent = self.look(&wanted).await?;
            if silent != wanted {
                let what = |link: &(usize, usize)| format!("{} to {}", self.called(link.0), self.called(link.1));
                let seen = match silent.difference(&wanted).next() {
                    Some(link) => format!("no datagram comes from {}, though nothing is cut there", what(link)),
                    None => "a rule of iptables was made, and cuts nothing".to_owned(),
                };
                return Err(NetError::Broken(seen).into());
            }
        }
        Ok(())
    }

    fn called(&self, party: usize) -> String {
        match self.hosts.get(party) {
            Some(end) => format!("host {} ({})", end.agent.host(), end.address),
            None => "this machine".to_owned(),
        }
    }

    async fn cut_all(&self, links: &Links) -> Result<(), HostError> {
        let clients = self.hosts.len();
        let each = self.hosts.iter().enumerate().map(|(node, end)| {
            let from = |party: usize| self.hosts.get(party).map_or(end.clients, |other| other.address);
            let deaf_to = links.iter().filter(|link| link.1 == node).map(|link| from(link.0)).collect();
            let mute_to = links.contains(&(node, clients)).then_some(end.clients).into_iter().collect();
            end.agent.tell(Order::Shut { deaf_to, mute_to })
        });
        try_join_all(each).await.map(drop)
    }

    async fn look(&self, expected: &Links) -> Result<Links, HostError> {
        let number = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let arrivals = self.round.begin(number);
        let clients = self.hosts.len();
        try_join_all(self.hosts.iter().enumerate().map(|(node, end)| {
            let to = (0..=clients).filter(|to| *to != node).map(|to| ((node, to), self.socket(to, end))).collect();
            end.agent.tell(Order::Probe { round: number, to })
        }))
        .await?;
        // The agents send by themselves.
        let send = |links: Vec<(usize, usize)>| async move {
            for link in links.into_iter().filter(|link| link.0 == clients) {
                self.prober.send(number, link, self.socket(link.1, &self.hosts[link.1])).await;
            }
        };
        Ok(tokio::select! {
            () = self.prober.listen(number, |link| arrivals.note(link)) => unreachable!("nobody stops to listen"),
            silent = arrivals.silent(clients + 1, expected, GRACE, send) => silent,
        })
    }

    /// Where a party listens, for one of the hosts.
    fn socket(&self, party: usize, seen_from: &End) -> SocketAddr {
        match self.hosts.get(party) {
            Some(end) => SocketAddr::from((end.address, end.port)),
            None => SocketAddr::from((seen_from.clients, self.port)),
        }
    }
}

impl End {
    async fn of(host: &Host) -> Result<End, ClusterError> {
        let Host { address, agent, .. } = host;
        let port = match agent.ask(Order::Listen { at: *address }).await? {
            Answer::Listens(port) => port,
            other => return Err(agent.nonsense(&other).into()),
        };
        let clients = way_to(*address).map_err(|error| {
            NetError::Broken(format!("there is no way from here to host {} at {address}: {error}", agent.host()))
        })?;
        Ok(End { agent: agent.clone(), address: *address, clients, port })
    }
}

/// The address that this machine has for whoever is there. Nothing is sent.
fn way_to(address: Ipv4Addr) -> std::io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((address, DISCARD))?;
    match socket.local_addr()? {
        SocketAddr::V4(own) => Ok(*own.ip()),
        SocketAddr::V6(own) => Err(std::io::Error::other(format!("{own} is not IPv4"))),
    }
}

fn open() -> std::io::Result<Prober> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    Prober::new(socket)
}

#[async_trait]
impl Wires for HostWires {
    async fn cut(&self, links: &Links) -> Result<(), String> {
        self.cut_all(links).await.map_err(|error| error.to_string())
    }

    async fn silent(&self, expected: &Links) -> Result<Links, String> {
        self.look(expected).await.map_err(|error| error.to_string())
    }
}
