//! `grudge up`: a cluster to play with by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use grudge_nodes::bugs::Bug;
use grudge_workloads::registry::Protocol;
use jiff::Timestamp;
use nix::unistd::{Uid, getpid};
use owo_colors::OwoColorize;

use super::session;
use crate::cluster::{self, Cluster, Node};
use crate::exit::{Exit, Failure};
use crate::report::terminal;
use crate::sandbox::Network;
use crate::store::RunFolder;
use crate::system::{Subject, System};

#[derive(Debug, Args)]
pub(super) struct UpArgs {
    /// The system (see `grudge list systems`), or the file that describes it
    #[arg(value_name = "SYSTEM|FILE.toml")]
    system: String,
    /// How many nodes [default: as many as the system usually has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    nodes: Option<u8>,
    /// Start the replicas with a planted bug; may be given again
    #[arg(long = "bug", value_name = "B", hide_possible_values = true)]
    bugs: Vec<Bug>,
    /// What the replicas' timeouts are drawn from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Where its logs and disks are kept
    #[arg(long, value_name = "DIR", default_value = "store")]
    store: PathBuf,
}

pub(super) fn run(args: &UpArgs) -> Result<Exit, Failure> {
    let subject = Subject::from(args.system.as_str()).described(Path::new(""))?;
    let nodes = args.nodes.map_or(subject.system()?.nodes.usual, usize::from);
    let system = session::system(&subject, nodes, &args.bugs)?;
    system.installed()?;
    let folder = RunFolder::create(&args.store, &format!("{}-up", system.name), Timestamp::now())?;
    // The caller's process stays in the sandbox's network and has a number that is good outside of it.
    let (outside, root) = (getpid().as_raw(), Uid::effective().is_root());
    session::in_sandbox(Network::Own, |mut stop| async move {
        let wanted = cluster::Spec {
            system: system.clone(),
            nodes,
            dir: folder.path().to_path_buf(),
            bugs: args.bugs.clone(),
            seed: args.seed,
            env: BTreeMap::new(),
            connect: system.asks(),
            faults: BTreeSet::new(),
            patience: system.patience,
        };
        let rising = async { Cluster::up(wanted).await.map_err(|error| Failure::Harness(error.into())) };
        let cluster = session::up(rising, &mut stop).await?;
        let leader = cluster.leader().await.map(|leader| leader.name);
        terminal::print(&guide(&system, cluster.nodes(), leader.as_deref(), outside, root));
        stop.wait().await;
        cluster.down().await;
        Ok(Exit::Valid)
    })
}

/// Where the nodes are, and how to get there.
fn guide(system: &System, nodes: &[Node], leader: Option<&str>, outside: i32, root: bool) -> String {
    let enter = if root {
        format!("nsenter --target {outside} --net")
    } else {
        format!("nsenter --target {outside} --user --preserve-credentials --net")
    };
    let first = nodes.first().map(|node| node.client_address.to_string()).unwrap_or_default();
    let all: Vec<String> = nodes.iter().map(|node| node.client_address.to_string()).collect();
    let mut text = format!("{}: {}\n", system.name.bold(), system.about);
    for node in nodes {
        let role = if leader == Some(node.name.as_str()) { "  leads" } else { "" };
        let _ = writeln!(text, "  {:<4} {}{role}", node.name, node.client_address);
    }
    let example = match system.protocol {
        Some(Protocol::Etcd) => format!("env ETCDCTL_API=3 etcdctl --endpoints {} get '' --prefix", all.join(",")),
        Some(Protocol::ZooKeeper) => format!("zkCli.sh -server {first}"),
        Some(Protocol::Redis) => format!("redis-cli -u redis://{first}"),
        None if system.http.is_some() => format!("curl http://{first}/"),
        None => format!("nc {first}"),
    };
    let _ = writeln!(text, "The nodes live in a network of their own. From another terminal:");
    let _ = writeln!(text, "  a shell there   {enter} bash");
    let _ = writeln!(text, "  a client there  {enter} {example}");
    let _ = writeln!(text, "Ctrl-C takes the cluster down.");
    text
}
