//! `grudge test`: a cluster, broken under load, judged.

use std::path::PathBuf;

use clap::Args;
use ipnet::Ipv4Net;

use super::ground::Ground;
use super::hosts_args::HostsArgs;
use super::real::Prepared;
use super::session;
use super::spec_args::SpecArgs;
use crate::exit::{Exit, Failure};
use crate::report::terminal;
use crate::spec::Spec;

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    spec: SpecArgs,
    #[command(flatten)]
    hosts: HostsArgs,
    /// The network of the cluster, if the hosts share several
    #[arg(long, value_name = "CIDR")]
    network: Option<Ipv4Net>,
    /// Where runs are kept
    #[arg(long, value_name = "DIR", default_value = "store")]
    store: PathBuf,
    /// Print results.json instead of the summary
    #[arg(long)]
    json: bool,
}

impl TestArgs {
    /// The test that is asked for, and where.
    pub(super) fn asked(&self) -> Result<(Spec, Ground), Failure> {
        let ground = Ground::of(self.hosts.inventory()?, self.network)?;
        let spec = self.spec.resolve(ground.arena(), ground.hosts())?;
        let ground = ground.for_nodes(spec.nodes)?;
        Ok((spec, ground))
    }
}

pub(super) fn run(args: &TestArgs) -> Result<Exit, Failure> {
    let (spec, ground) = args.asked()?;
    let network = ground.network();
    let prepared = Prepared::new(spec, &args.store, ground)?;
    let folder = prepared.folder.clone();
    let results = session::in_sandbox(network, |stop| prepared.run(stop))?;
    terminal::print(&if args.json { results.to_json()? } else { terminal::summary(&results, Some(folder.path())) });
    Ok(Exit::from(&results.verdict))
}
