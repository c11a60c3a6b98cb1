//! `grudge client`: one client as a process of its own; see [`crate::client`].

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio::io::BufReader;

use crate::client;
use crate::exit::{Exit, Failure};
use crate::spec::Spec;

#[derive(Debug, Args)]
pub(super) struct ClientArgs {
    /// The test for whose system it works
    #[arg(value_name = "FILE.toml")]
    test: PathBuf,
}

pub(super) fn run(args: &ClientArgs) -> Result<Exit, Failure> {
    let speech = Spec::read(&args.test)?.system.system()?.speech();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the async runtime cannot be started: is there a limit on processes (ulimit -u)?")?;
    let served = client::serve(speech, BufReader::new(tokio::io::stdin()), tokio::io::stdout());
    runtime.block_on(served).context("the client cannot go on")?;
    Ok(Exit::Valid)
}
