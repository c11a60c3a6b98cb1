//! Where an agent settles on its host, and how nothing of it is left there.
//!
//! The process that was started stays outside of the sandbox and waits: when nothing lives in there any more, however
//! that came, it takes the rules and the folder away. If it is killed itself, the kernel kills the rest, and rules and
//! folder are taken away by the next agent that settles there.
//!
//! The lock is a socket with an abstract name, and the folder's one on an open file: both go with the last process that
//! has them. The name is the network's own, as the rules are.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use thiserror::Error;

use crate::net::Gate;
use crate::sandbox::{self, Network, SandboxError};

/// Where the folders of agents lie: data that is fsynced there is on a disk.
const FOLDERS: &str = "/var/tmp";
/// How their names begin.
const PREFIX: &str = "grudge-agent-";
/// The file in such a folder that is locked while its agent lives.
const LOCK: &str = "lock";
/// The name of the socket that is taken while an agent is at work.
const SOCKET: &[u8] = b"grudge-agent";

/// Why an agent cannot settle.
#[derive(Debug, Error)]
pub enum CampError {
    /// Faults of a whole machine are root's to make.
    #[error("an agent must be root to make faults on its host: let this user run it with `sudo -n`")]
    NotRoot,
    /// Two that cut the same network would undo each other's cuts.
    #[error("another grudge is at work on this host; wait until its run is over")]
    Taken,
    /// No folder can be made.
    #[error("no folder can be made in {FOLDERS}: {0}")]
    Folder(#[source] io::Error),
    /// No sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The socket cannot be taken.
    #[error("the agent's lock cannot be taken: {0}")]
    Lock(#[source] io::Error),
}

/// What an agent has on its host. Everything is gone when it and all it has started are.
#[derive(Debug)]
pub struct Camp {
    /// For all that it writes.
    pub(super) folder: PathBuf,
    /// How it drops packets, if it can, or why not.
    pub(super) gate: Result<Gate, String>,
    _lock: File,
    _taken: UnixListener,
}

impl Camp {
    /// Clears up what an agent has left that was killed together with whoever waited for it, and enters a sandbox. Call
    /// it from `main`, before any thread exists; it returns in the agent's process only.
    ///
    /// # Errors
    /// [`CampError`].
    pub fn settle() -> Result<Camp, CampError> {
        if !geteuid().is_root() {
            return Err(CampError::NotRoot);
        }
        let taken = take()?;
        let gate = Gate::find();
        if let Ok(gate) = &gate {
            remove_rules(gate);
        }
        let (folder, lock) = own_folder().map_err(CampError::Folder)?;
        sandbox::outlive(|| {
            if let Ok(gate) = &gate {
                remove_rules(gate);
            }
            remove(&folder);
        })?;
        sandbox::enter(Network::Callers)?;
        let gate = gate.map_err(|error| error.to_string());
        Ok(Camp { folder, gate, _lock: lock, _taken: taken })
    }
}

fn take() -> Result<UnixListener, CampError> {
    let address = SocketAddr::from_abstract_name(SOCKET).map_err(CampError::Lock)?;
    UnixListener::bind_addr(&address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => CampError::Taken,
        _ => CampError::Lock(error),
    })
}

fn remove_rules(gate: &Gate) {
    if let Err(error) = gate.remove() {
        tracing::warn!("rules may be left: {error}");
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::warn!("{} is left: {error}", folder.display());
    }
}

/// A folder with its lock; those of agents that live no more are removed. One agent at a time, so that none is taken for
/// dead that has not locked its own yet.
fn own_folder() -> io::Result<(PathBuf, File)> {
    let turn = File::open(FOLDERS)?;
    turn.lock()?;
    remove_orphans();
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(FOLDERS)?.keep();
    let lock = File::create(folder.join(LOCK))?;
    lock.lock()?;
    Ok((folder, lock))
}

fn remove_orphans() {
    let folders = fs::read_dir(FOLDERS).into_iter().flatten().flatten();
    let ours = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for folder in ours.map(|entry| entry.path()) {
        match File::open(folder.join(LOCK)).map(|lock| lock.try_lock()) {
            Ok(Ok(())) => remove(&folder),
            Ok(Err(TryLockError::WouldBlock)) => {}
            Ok(Err(TryLockError::Error(error))) | Err(error) => {
                tracing::debug!("{} is left: {error}", folder.display());
            }
        }
    }
}
