//! From names to hosts: each reached, our program put there, its agent started, and its address in the cluster chosen.

use std::time::Duration;

use futures::future::try_join_all;
use ipnet::Ipv4Net;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::time::timeout;

use super::address::{self, AddressError, Candidate};
use super::inventory::Inventory;
use super::program::{Program, UploadError};
use super::ssh::{Remote, SshError, reach};
use super::{Agent, Hello, Host, HostError};

/// How long an agent that failed has to say why.
const COMPLAINT: Duration = Duration::from_secs(5);

/// Why there are no hosts to test on. The cause names the host.
#[derive(Debug, Error)]
pub enum GatherError {
    /// They cannot be reached, or not be used.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// This program is not there.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// An agent does not begin.
    #[error("{error}{said}")]
    Agent {
        /// What was seen of it.
        error: HostError,
        /// What it said, if anything.
        said: String,
    },
    /// They do not make a cluster.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// Makes hosts of names, in their order. With the network that is the cluster's, unless there is only one that can be.
///
/// # Errors
/// One cannot be used; what was started on others has ended.
pub async fn gather(inventory: &Inventory, network: Option<Ipv4Net>) -> Result<Vec<Host>, GatherError> {
    let remotes = reach(inventory).await?;
    let program = Program::this().map_err(UploadError::from)?;
    let controls: Vec<_> = remotes.iter().map(Remote::address).collect();
    let started = try_join_all(remotes.into_iter().map(|remote| start(remote, &program))).await?;
    let candidates = started.iter().zip(controls).map(|((agent, hello), control)| Candidate {
        host: agent.host().to_owned(),
        control,
        interfaces: hello.addresses.clone(),
    });
    let addresses = address::choose(&candidates.collect::<Vec<_>>(), network)?;
    let hosts = started.into_iter().zip(addresses);
    Ok(hosts.map(|((agent, hello), address)| Host { address, agent, hello }).collect())
}

/// Starts an agent. The connection lives as long as it does; what `ssh` has put on the disk for it goes with the last
/// host that was started, so that a harness that is killed leaves none of it.
async fn start(host: Remote, program: &Program) -> Result<(Agent, Hello), GatherError> {
    let file = program.put(&host).await?;
    let mut command = host.root_command(&file);
    command.arg("agent").stdin(openssh::Stdio::piped());
    if !host.connection.is_empty() {
        command.args(["--ssh-connection", &host.connection]);
    }
    let lost = |why: String| HostError::Lost { host: host.name.clone(), why };
    let spawned = command.spawn().await.map_err(|error| lost(error.to_string()));
    let mut process = spawned.map_err(|error| GatherError::Agent { error, said: String::new() })?;
    let orders = process.stdin().take().expect("it is piped");
    let answers = process.stdout().take().expect("it is piped");
    let complaints = tokio::spawn(heard(host.name.clone(), process.stderr().take().expect("it is piped")));
    match Agent::over(&host.name, orders, answers).await {
        Ok(agent) => {
            tokio::spawn(process.wait());
            Ok(agent)
        }
        Err(error) => {
            let last = timeout(COMPLAINT, complaints).await.ok().and_then(Result::ok).flatten();
            Err(GatherError::Agent { error, said: last.map_or_else(String::new, |last| format!(": {last}")) })
        }
    }
}

/// Writes down what an agent complains of; answers its last line when it has ended.
async fn heard(host: String, complaints: impl AsyncRead + Unpin) -> Option<String> {
    let mut lines = BufReader::new(complaints).lines();
    let mut last = None;
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::info!("{host}: {line}");
        last = Some(line);
    }
    last
}
