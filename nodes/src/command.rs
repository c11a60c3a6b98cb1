//! `grudge node …`: one replica as a process.
//!
//! It ends with 0 when it is asked to (SIGTERM or SIGINT), and with [`BROKEN`] when its replica breaks an invariant.
//! What goes wrong before it serves is an error that says what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::bugs::Bug;
use crate::driver::{self, Driver, Handle, Stop};
use crate::replica::{NodeId, Replica};
use crate::{etcd, kv, zab, znode, zookeeper};

/// The exit code of a replica that found itself broken.
pub const BROKEN: i32 = 70;

/// Which replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// A key-value store on Raft that serves the etcd v3 API.
    Raft,
    /// A tree of znodes on ZooKeeper's atomic broadcast that serves the ZooKeeper client protocol.
    Zab,
}

/// A member of the cluster as it is written on the command line: `1=127.0.0.1:2380`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: NodeId,
    /// Where its peers reach it.
    pub address: SocketAddr,
}

impl FromStr for Member {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a member: write NUMBER=IP:PORT, for example 1=10.0.0.1:2380");
        let (id, address) = text.split_once('=').ok_or_else(wrong)?;
        let id = id.parse().ok().filter(|&id| id > 0).ok_or_else(wrong)?;
        Ok(Member { id: NodeId(id), address: address.parse().map_err(|_| wrong())? })
    }
}

/// The arguments of `grudge node`.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeArgs {
    /// Which replica
    #[arg(value_enum)]
    pub protocol: Protocol,
    /// The number of this replica, one of those given with --peer
    #[arg(long, value_name = "NUMBER")]
    pub id: u64,
    /// The directory of its log; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where peers reach this replica, if no --peer says it
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<SocketAddr>,
    /// A member of the cluster and where its peers reach it; once for each
    #[arg(long = "peer", value_name = "NUMBER=IP:PORT", required = true)]
    pub peers: Vec<Member>,
    /// Where clients reach this replica; the other members are taken to have the same port on their own address
    #[arg(long, value_name = "IP:PORT")]
    pub client: SocketAddr,
    /// A planted bug to have; may be given more than once
    #[arg(long = "bug", value_name = "NAME", value_enum)]
    pub bugs: Vec<Bug>,
    /// What its random timeouts are drawn from
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// A file to append what the replica reports of itself to: leaders, followers, and every entry it applies
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// The unit of its timeouts in milliseconds: Raft's heartbeat, ZooKeeper's tick
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub tick: Option<u64>,
    /// How many applied entries follow a snapshot of the state before the next one replaces them; without it, what
    /// the protocol does by default
    #[arg(long, value_name = "ENTRIES", value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_after: Option<u64>,
    /// The name of the cluster; peers of another one are refused
    #[arg(long, default_value = "grudge")]
    pub cluster: String,
}

/// Runs a replica until it is told to stop. Does not return if the replica breaks: the process ends with [`BROKEN`].
///
/// # Errors
/// If it cannot start, or its disk fails.
pub fn run(args: &NodeArgs) -> anyhow::Result<()> {
    log_to_stderr();
    let id = args.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let stop = runtime.block_on(async {
        match args.protocol {
            Protocol::Raft => {
                let members = args.etcd_members();
                replica::<kv::Replica, _, _>(args, id, args.kv_config(), |handle, listener| async {
                    etcd::serve(handle, members, listener).await.context("the etcd front end failed")
                })
                .await
            }
            Protocol::Zab => {
                replica::<znode::Replica, _, _>(args, id, args.znode_config(wall_ms()?), |handle, listener| async {
                    let served = zookeeper::serve(listener, handle, zookeeper::Options::default()).await;
                    served.context("the ZooKeeper front end failed")
                })
                .await
            }
        }
    })?;
    // Front ends may still wait for clients.
    runtime.shutdown_background();
    match stop {
        Stop::Asked => Ok(()),
        Stop::Broken(_) => std::process::exit(BROKEN),
        Stop::Disk(error) => Err(error).context("the replica stopped: its log fails"),
    }
}

/// Starts the driver and a front end, and waits for the end of either.
async fn replica<R, F, S>(args: &NodeArgs, id: NodeId, config: R::Config, serve: F) -> anyhow::Result<Stop>
where
    R: Replica,
    F: FnOnce(Handle<R>, TcpListener) -> S,
    S: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let peers = args.addresses();
    let peer_listener = driver::listen("peers", peers[&id]).await?;
    let client_listener = driver::listen("clients", args.client).await?;
    let (cluster, data, events) = (args.cluster.clone(), args.data.clone(), args.events.clone());
    let options = driver::Options { cluster, id, data, listener: peer_listener, peers, events };
    let mut driver: Driver<R> = driver::start(options, config)?;
    tracing::info!(node = %id, client = %args.client, seed = args.seed, bugs = ?args.bugs, "serving");
    let mut front = tokio::spawn(serve(driver.handle(), client_listener));
    let stop = tokio::select! {
        stop = driver.stopped() => stop,
        ended = &mut front => {
            ended.context("the front end panicked")??;
            bail!("the front end ended by itself");
        }
        _ = terminate.recv() => driver.stop().await,
        _ = interrupt.recv() => driver.stop().await,
    };
    front.abort();
    match &stop {
        Stop::Asked => tracing::info!(node = %id, "stopped"),
        other => tracing::error!(node = %id, "{other}"),
    }
    Ok(stop)
}

impl NodeArgs {
    /// What clap cannot see.
    fn check(&self) -> anyhow::Result<NodeId> {
        let id = NodeId(self.id);
        let peers = self.addresses();
        let known: BTreeSet<NodeId> = self.peers.iter().map(|member| member.id).collect();
        ensure!(known.len() == self.peers.len(), "two members have the same number: give each --peer another one");
        ensure!(
            peers.contains_key(&id),
            "this replica is --id {0}: say where its peers reach it with --listen IP:PORT or --peer {0}=IP:PORT",
            self.id
        );
        let mut places: Vec<SocketAddr> = peers.values().copied().chain([self.client]).collect();
        places.sort_unstable();
        ensure!(
            places.windows(2).all(|pair| pair[0] != pair[1] || pair[0].port() == 0),
            "an address is given twice: each needs one of its own"
        );
        let protocol = self.protocol.name();
        if let Some(bug) = self.bugs.iter().find(|bug| bug.protocol() != protocol) {
            bail!("{bug:?} is a bug of {}, and this is {protocol}", bug.protocol());
        }
        Ok(id)
    }

    /// All members; `--listen` wins for this one.
    fn addresses(&self) -> BTreeMap<NodeId, SocketAddr> {
        let own = self.listen.map(|address| (NodeId(self.id), address));
        self.peers.iter().map(|member| (member.id, member.address)).chain(own).collect()
    }

    /// Two replicas with one seed must not draw the same timeouts.
    fn own_seed(&self) -> u64 {
        self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(self.id)
    }

    fn tick(&self) -> Option<Duration> {
        self.tick.map(Duration::from_millis)
    }

    /// What a replica of the key-value store is started with by these arguments.
    #[must_use]
    pub fn kv_config(&self) -> kv::Config {
        let id = NodeId(self.id);
        let peers = self.addresses().into_keys().collect();
        let compaction = self.snapshot_after.map(kv::Compaction::every).unwrap_or_default();
        let mut config =
            kv::Config { bugs: self.bugs.clone(), compaction, ..kv::Config::new(id, peers, self.own_seed()) };
        if let Some(tick) = self.tick() {
            let raft = &mut config.timeouts.raft;
            (raft.heartbeat, raft.election_min, raft.election_max) = (tick, tick * 4, tick * 8);
        }
        config
    }

    fn etcd_members(&self) -> etcd::Members {
        let client = |id, peer: SocketAddr| match id {
            NodeId(id) if id == self.id => self.client,
            _ => SocketAddr::new(peer.ip(), self.client.port()),
        };
        let members = self.addresses().into_iter().map(|(id, peer)| (id, (peer, client(id, peer)))).collect();
        etcd::Members { cluster: self.cluster.clone(), members }
    }

    /// What a server of znodes is started with by these arguments, on a machine whose clock shows so many
    /// milliseconds since 1970.
    #[must_use]
    pub fn znode_config(&self, wall_ms: i64) -> znode::Config {
        let id = NodeId(self.id);
        let peers = self.addresses().into_keys().collect();
        let mut zab = zab::Config { bugs: self.bugs.clone(), ..zab::Config::new(id, peers) };
        if let Some(tick) = self.tick() {
            zab.tick = tick / 5;
        }
        let mut config = znode::Config::new(zab, wall_ms, self.own_seed());
        if let Some(transactions) = self.snapshot_after {
            config = config.snapshot_after(transactions);
        }
        let tick = self.tick().unwrap_or(config.tick);
        znode::Config { tick, ..config }
    }
}

fn wall_ms() -> anyhow::Result<i64> {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock shows a time before 1970")?;
    i64::try_from(wall.as_millis()).context("the clock shows a time beyond all calendars")
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Protocol::Raft => "raft",
            Protocol::Zab => "zab",
        }
    }
}

/// `GRUDGE_LOG` takes the filters of `tracing-subscriber`, `grudge_nodes=debug` for example.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("GRUDGE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Whoever runs it in his own process may have his own log.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).try_init();
}

#[cfg(test)]
mod tests;
