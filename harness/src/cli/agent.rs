//! `grudge agent`: does on its host what control says. Control starts it there; nobody else has to.

use anyhow::Context;
use clap::Args;
use tokio::io::BufReader;

use crate::exit::{Exit, Failure};
use crate::host::{self, Camp};

#[derive(Debug, Args)]
pub(super) struct AgentArgs {
    /// The connection by which control comes, as sshd has it in SSH_CONNECTION: no rule ever cuts it
    #[arg(long, value_name = "CONNECTION")]
    ssh_connection: Option<String>,
}

pub(super) fn run(args: &AgentArgs) -> Result<Exit, Failure> {
    let camp = Camp::settle().map_err(|error| Failure::Harness(error.into()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the async runtime cannot be started: is there a limit on processes (ulimit -u)?")?;
    let (input, output) = (BufReader::new(tokio::io::stdin()), tokio::io::stdout());
    let served = runtime.block_on(host::serve(camp, args.ssh_connection.as_deref(), input, output));
    // Whoever still waits for input must not keep the program from ending.
    runtime.shutdown_background();
    served.context("the agent cannot go on")?;
    Ok(Exit::Valid)
}
