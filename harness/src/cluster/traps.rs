//! Traps: a process of ours that comes to a point of its protocol stops itself there.
//!
//! The file `halt` in a node's data folder arms it (see `nodes/src/driver/halt.rs`). A node is caught when its file is
//! gone and all its threads are seen in state T. A process may have read the file just before it was taken away, and
//! stop itself later: whoever was armed is watched for a while, so that nobody stands still for whom no fault waits.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::future::pending;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use procfs::process::ProcState;
use tokio::time::{Instant, sleep};

use super::replica::Replica;
use super::{Cluster, Inner, lookout};
use crate::fault::{FaultError, Process, processes};
use crate::nemesis::Trap;
use crate::spec::kebab;

/// Between two looks at a trap: a node that is caught can wait.
const LOOK: Duration = Duration::from_millis(5);
/// How long after a trap was taken away a node may still walk into it: a point may wait for the disk.
const LATE: Duration = Duration::from_secs(1);
/// How long a node is held before anybody acts on it: what it wrote down on the way is counted by then.
const COUNTED: Duration = lookout::LOOK.saturating_mul(2);

/// What is armed, who is caught, and who may still be.
#[derive(Debug, Default)]
pub(crate) struct Traps {
    armed: Option<Armed>,
    held: Option<Held>,
    /// Nodes that were armed, and until when each may still stop itself.
    late: BTreeMap<usize, Instant>,
}

/// A node that was caught, until it is released.
#[derive(Debug)]
struct Held {
    node: usize,
    process: Process,
    since: Instant,
}

impl Traps {
    /// Whether a node is to stop itself, or has.
    pub(crate) fn are_set(&self) -> bool {
        self.armed.is_some() || self.held.is_some()
    }

    fn is_idle(&self) -> bool {
        self.armed.is_none() && self.held.is_none() && self.late.is_empty()
    }
}

#[derive(Debug)]
struct Armed {
    trap: Trap,
    nodes: BTreeSet<usize>,
    /// How many nodes are still to be let go: a trap for any node counts over all of them.
    passing: u64,
}

impl Cluster {
    /// Sets a trap; the one before is taken away.
    ///
    /// # Errors
    /// There is no such node, or a file cannot be written.
    pub async fn arm(&self, trap: &Trap) -> Result<(), FaultError> {
        self.disarm().await?;
        let mut inner = self.inner.lock().await;
        let inner = &mut *inner;
        if inner.in_force.values().any(|fault| !fault.brakes().is_empty()) {
            let why = "a node whose processor time is squeezed would not stay at a point".to_owned();
            return Err(FaultError::Inapplicable(why));
        }
        let nodes: BTreeSet<usize> = match &trap.node {
            None => (0..inner.replicas.len()).collect(),
            Some(name) => {
                let index = inner.replicas.iter().position(|replica| replica.node.name == *name);
                BTreeSet::from([index.ok_or_else(|| FaultError::Inapplicable(format!("there is no node `{name}`")))?])
            }
        };
        let (count, passing) = if trap.node.is_none() { (1, trap.nth - 1) } else { (trap.nth, 0) };
        // What cannot be written is taken away with the rest.
        inner.traps.armed = Some(Armed { trap: trap.clone(), nodes: nodes.clone(), passing });
        nodes.iter().try_for_each(|node| set(&inner.replicas[*node], trap, count)).map_err(|error| failed(trap, &error))
    }

    /// Waits until a node was caught, and says it again until that node is released. The others are no longer armed.
    /// Meanwhile, nobody stays halted who came too late for a trap.
    pub async fn caught(&self) -> Process {
        loop {
            {
                let mut inner = self.inner.lock().await;
                inner.release_late();
                inner.look();
                if let Some(held) = inner.traps.held.as_ref().filter(|held| held.since.elapsed() >= COUNTED) {
                    return held.process.clone();
                }
                if inner.traps.is_idle() {
                    break;
                }
            }
            sleep(LOOK).await;
        }
        pending().await
    }

    /// Takes the trap away and lets whoever was caught go on, unless a fault has paused or killed it meanwhile.
    ///
    /// # Errors
    /// A node was caught and does not go on.
    pub async fn disarm(&self) -> Result<(), FaultError> {
        let mut inner = self.inner.lock().await;
        inner.take_away();
        let Some(Held { node, .. }) = inner.traps.held.take() else { return Ok(()) };
        let replica = &inner.replicas[node];
        if replica.is_running() {
            processes::go_on(replica, &format!("release of {}", replica.node.name)).await?;
        }
        Ok(())
    }

    /// Waits until nobody can walk into a trap any more that is no longer there.
    pub(crate) async fn outlast_traps(&self) {
        loop {
            {
                let mut inner = self.inner.lock().await;
                inner.release_late();
                if inner.traps.late.is_empty() {
                    return;
                }
            }
            sleep(LOOK).await;
        }
    }
}

impl Inner {
    /// Looks whether an armed node was caught; lets those go that are only counted.
    fn look(&mut self) {
        let Some(armed) = self.traps.armed.as_mut() else { return };
        let replicas = &self.replicas;
        let mut come = armed.nodes.iter().copied().filter(|node| !is_armed(&replicas[*node]));
        let caught = come.find_map(|node| halted(&replicas[node]).map(|process| (node, process)));
        let Some((node, process)) = caught else { return };
        if armed.passing > 0 {
            armed.passing -= 1;
            let again = set(&replicas[node], &armed.trap, 1);
            let go_on = replicas[node].signal(Signal::SIGCONT);
            if let Err(error) = again.map_err(|error| error.to_string()).and(go_on) {
                tracing::warn!("{} goes on at {}: {error}", replicas[node].node.name, kebab(&armed.trap.point));
            }
            return;
        }
        self.traps.held = Some(Held { node, process, since: Instant::now() });
        self.take_away();
    }

    /// Takes the files away; who is not held may still come late.
    fn take_away(&mut self) {
        let Some(armed) = self.traps.armed.take() else { return };
        let until = Instant::now() + LATE;
        for node in armed.nodes {
            if let Err(error) = unset(&self.replicas[node].data) {
                tracing::warn!("{} stays armed: {error}", self.replicas[node].node.name);
            }
            if self.traps.held.as_ref().is_none_or(|held| held.node != node) {
                self.traps.late.insert(node, until);
            }
        }
    }

    /// Lets those go on who came too late.
    fn release_late(&mut self) {
        let now = Instant::now();
        let (replicas, armed) = (&self.replicas, self.traps.armed.as_ref());
        self.traps.late.retain(|node, until| {
            let replica = &replicas[*node];
            // Whose file is gone that was armed anew has come to the new trap.
            let caught = armed.is_some_and(|armed| armed.nodes.contains(node)) && !is_armed(replica);
            if !caught && halted(replica).is_some() {
                tracing::info!("{} came to a point for which nobody waits any more, and goes on", replica.node.name);
                if let Err(error) = replica.signal(Signal::SIGCONT) {
                    tracing::warn!("{error}");
                }
            }
            *until > now
        });
    }
}

/// Whether its file is there: it takes the file away when it halts.
fn is_armed(replica: &Replica) -> bool {
    replica.data.join(FILE).exists()
}

/// Whether it has stopped itself: nobody has paused it, and every thread is in state T.
fn halted(replica: &Replica) -> Option<Process> {
    if !replica.is_running() {
        return None;
    }
    let main = procfs::process::Process::new(replica.pid().as_raw()).and_then(|process| process.stat()).ok()?;
    if main.state().ok()? != ProcState::Stopped {
        return None;
    }
    processes::stopped(replica)
}

const FILE: &str = "halt";

/// Appears whole: written beside and renamed.
fn set(replica: &Replica, trap: &Trap, count: u64) -> io::Result<()> {
    let beside = replica.data.join(".halt");
    fs::write(&beside, format!("{} {count}\n", kebab(&trap.point)))?;
    fs::rename(beside, replica.data.join(FILE))
}

fn unset(data: &Path) -> io::Result<()> {
    match fs::remove_file(data.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(trap: &Trap, error: &io::Error) -> FaultError {
    FaultError::failed(&format!("a trap at {}", kebab(&trap.point)), error)
}
