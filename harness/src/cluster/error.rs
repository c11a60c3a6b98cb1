//! Why there is no cluster.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::disk::DiskError;
use crate::fault::FaultKind;
use crate::host::HostError;
use crate::net::{MOST_NODES, NetError};
use crate::system::SystemError;

/// Why there is no cluster. Each says what to do or where to look.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// That many nodes do not go.
    #[error("a cluster has 1 to {MOST_NODES} nodes, not {0}")]
    Size(usize),
    /// The system cannot be started so.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The layer under a node's data.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A machine on which a node should live.
    #[error(transparent)]
    Host(#[from] HostError),
    /// There is something missing on a machine on which a node should live.
    #[error("host {host}: {cause}")]
    Unfit {
        /// What it is called.
        host: String,
        /// What is missing.
        cause: SystemError,
    },
    /// A machine on which a node should live cannot do what a test wants of it.
    #[error("fault `{fault}` cannot be made on host {host}: {why}")]
    Unable {
        /// Which kind of faults.
        fault: FaultKind,
        /// What it is called.
        host: String,
        /// Why not.
        why: String,
    },
    /// A file or folder of the run cannot be used.
    #[error("cannot use {path}: {cause}", path = path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// A process could not be started at all.
    #[error("{node} could not be started: {program}: {cause}", program = program.display())]
    Spawn {
        /// Whose.
        node: String,
        /// Which program.
        program: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// A replica died before the cluster served.
    #[error("{node} died at its start ({status}); its log ends:\n{log}", log = indented(log))]
    Died {
        /// Which.
        node: String,
        /// How.
        status: String,
        /// What it had to say.
        log: Vec<String>,
    },
    /// All live, and they do not serve.
    #[error("the cluster does not serve after {patience:?} ({roles}); the log of {node} ends:\n{log}", log = indented(log))]
    NotServing {
        /// How long it was waited for.
        patience: Duration,
        /// What each node said of itself last.
        roles: String,
        /// One that does not serve.
        node: String,
        /// The end of its log.
        log: Vec<String>,
    },
}

/// Lines of a log, set off from the sentence before them.
fn indented(lines: &[String]) -> String {
    if lines.is_empty() {
        return "  (it is empty)".to_owned();
    }
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
