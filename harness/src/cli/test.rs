//! `grudge test`: a cluster, broken under load, judged.

use std::path::PathBuf;

use clap::Args;

use super::real::Prepared;
use super::session;
use super::spec_args::SpecArgs;
use crate::exit::{Exit, Failure};
use crate::fault::Arena;
use crate::report::terminal;
use crate::sandbox::Network;
use crate::spec::Spec;

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    spec: SpecArgs,
    /// Where runs are kept
    #[arg(long, value_name = "DIR", default_value = "store")]
    store: PathBuf,
    /// Print results.json instead of the summary
    #[arg(long)]
    json: bool,
}

impl TestArgs {
    /// The test that is asked for.
    pub(super) fn spec(&self) -> Result<Spec, Failure> {
        self.spec.resolve(Arena::Processes)
    }
}

pub(super) fn run(args: &TestArgs) -> Result<Exit, Failure> {
    let spec = args.spec()?;
    let prepared = Prepared::new(spec, &args.store)?;
    let folder = prepared.folder.clone();
    let results = session::in_sandbox(Network::Own, |stop| prepared.run(stop))?;
    terminal::print(&if args.json { results.to_json()? } else { terminal::summary(&results, Some(folder.path())) });
    Ok(Exit::from(&results.verdict))
}
