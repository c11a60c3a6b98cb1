//! `grudge client`: one client as a process of its own; see [`crate::client`].

use anyhow::Context;
use clap::Args;
use grudge_workloads::registry::Protocol;
use tokio::io::BufReader;

use crate::client;
use crate::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct ClientArgs {
    /// What the system speaks: zookeeper or etcd
    #[arg(value_parser = protocol)]
    protocol: Protocol,
}

fn protocol(name: &str) -> Result<Protocol, &'static str> {
    let known = [Protocol::ZooKeeper, Protocol::Etcd].into_iter().find(|protocol| protocol.to_string() == name);
    known.ok_or("the protocols are zookeeper and etcd")
}

pub(super) fn run(args: &ClientArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the async runtime cannot be started: is there a limit on processes (ulimit -u)?")?;
    let served = client::serve(args.protocol, BufReader::new(tokio::io::stdin()), tokio::io::stdout());
    runtime.block_on(served).context("the client cannot go on")?;
    Ok(Exit::Valid)
}
