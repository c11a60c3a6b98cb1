//! One thread of a process held, while the others go on.
//!
//! Each thread is held by a process of its own ([`crate::hold`]), whose end lets it go on. It may be the last of many
//! that matter or the one that does all the work: it is drawn from those that have used the processor lately, so that it
//! is missed.

use std::time::{Duration, Instant};

use nix::unistd::Pid;
use procfs::process::{ProcState, Task};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::processes::{stopped, until};
use super::{Evidence, FaultError, InForce, Process, Receipt};
use crate::cluster::Inner;
use crate::cluster::replica::Replica;
use crate::hold::Holder;

/// For how long it is watched which threads use the processor.
const LATELY: Duration = Duration::from_millis(50);

/// A thread that stands still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldThread {
    /// The node's name.
    pub node: String,
    /// Its process.
    pub pid: i32,
    /// The thread's number inside the sandbox.
    pub thread: i32,
    /// The thread's name.
    pub name: String,
    /// How many threads of the process go on.
    pub others: usize,
}

/// A thread that is held until this is let go or dropped.
pub(crate) struct Hold {
    node: usize,
    pid: Pid,
    thread: i32,
    holder: Holder,
}

/// Holds one thread of each node.
pub(super) async fn hold(
    inner: &Inner,
    nodes: &[usize],
    rng: &mut ChaCha8Rng,
    decided: Instant,
) -> Result<(Vec<Hold>, Receipt), FaultError> {
    let fault = format!("thread {}", inner.called(nodes));
    let mut taken = inner.in_force.values().flat_map(InForce::holds).map(|hold| hold.node);
    if let Some(node) = taken.find(|node| nodes.contains(node)) {
        let name = &inner.replicas[node].node.name;
        return Err(FaultError::Inapplicable(format!("a thread of {name} is held already")));
    }
    let mut holds = Vec::new();
    let mut held = Vec::new();
    for node in nodes {
        let replica = &inner.replicas[*node];
        let drawn = draw(replica, rng).await.map_err(|cause| FaultError::failed(&fault, cause))?;
        let hold = Hold::of(*node, replica.pid(), drawn, &fault).await?;
        held.push(until(&fault, || Ok(hold.look(replica))).await?);
        holds.push(hold);
    }
    let receipt = Receipt::new(inner.names_of(nodes), Evidence::Held(held), decided);
    Ok((holds, receipt))
}

/// Checks that these threads stood still to the end, and lets them go on. Those whose process another fault has killed
/// are gone with it.
pub(super) async fn release(inner: &Inner, holds: Vec<Hold>, decided: Instant) -> Result<Receipt, FaultError> {
    let nodes: Vec<usize> = holds.iter().map(|hold| hold.node).collect();
    let fault = format!("thread {}", inner.called(&nodes));
    let holds = holds.into_iter().filter(|hold| {
        let replica = &inner.replicas[hold.node];
        replica.pid() == hold.pid && !replica.is_condemned()
    });
    let mut lasted = Vec::new();
    let mut running = Vec::new();
    for hold in holds {
        let replica = &inner.replicas[hold.node];
        lasted.push(hold.look(replica));
        let (node, pid) = (replica.node.name.clone(), hold.pid.as_raw());
        hold.holder.let_go().await;
        let threads = until(&format!("end of {fault}"), || Ok(none_held(replica))).await?;
        running.push(Process { node, pid, threads });
    }
    for seen in lasted {
        seen.map_err(|seen| FaultError::not_lasted(&fault, seen))?;
    }
    Ok(Receipt::new(inner.names_of(&nodes), Evidence::Running(running), decided))
}

impl Hold {
    async fn of(node: usize, pid: Pid, thread: i32, fault: &str) -> Result<Hold, FaultError> {
        let held = Holder::of(thread).await.map_err(|cause| FaultError::failed(fault, cause))?;
        let holder = held.map_err(|seen| FaultError::no_receipt(fault, seen))?;
        Ok(Hold { node, pid, thread, holder })
    }

    /// Looks once: exactly this thread stands still, and it is its holder that it stands still for.
    fn look(&self, replica: &Replica) -> Result<HeldThread, String> {
        let node = &replica.node.name;
        let tasks = tasks(replica)?;
        let (own, others): (Vec<&Task>, Vec<&Task>) = tasks.iter().partition(|task| task.tid == self.thread);
        let own = own.first().ok_or_else(|| format!("thread {} of {node} has ended", self.thread))?;
        let status = own.status().map_err(|cause| cause.to_string())?;
        let stat = own.stat().map_err(|cause| cause.to_string())?;
        if !is_held(own) || Some(status.tracerpid) != self.holder.id() {
            return Err(format!("thread {} of {node} goes on: it is in state {}", self.thread, stat.state));
        }
        match others.iter().filter(|task| is_held(task)).count() {
            0 => Ok(HeldThread {
                node: node.clone(),
                pid: self.pid.as_raw(),
                thread: self.thread,
                name: stat.comm,
                others: others.len(),
            }),
            more => Err(format!("{more} more threads of {node} stand still")),
        }
    }
}

/// Draws one of the threads that have used the processor lately; of all, if none has.
async fn draw(replica: &Replica, rng: &mut ChaCha8Rng) -> Result<i32, String> {
    let used = || -> Result<Vec<(i32, u64)>, String> {
        let used = |task: &Task| Some((task.tid, task.schedstat().ok()?.sum_exec_runtime));
        Ok(tasks(replica)?.iter().filter_map(used).collect())
    };
    let before = used()?;
    sleep(LATELY).await;
    let after = used()?;
    let mut candidates: Vec<i32> =
        after.iter().filter(|now| !before.contains(now)).map(|(thread, _)| *thread).collect();
    if candidates.is_empty() {
        candidates = after.into_iter().map(|(thread, _)| thread).collect();
    }
    candidates.sort_unstable();
    if candidates.is_empty() {
        return Err(format!("{} has no thread", replica.node.name));
    }
    Ok(candidates[rng.random_range(0..candidates.len())])
}

/// How many threads it has, if none of them is held. Those of a paused one are stopped by then, as it is meant.
fn none_held(replica: &Replica) -> Result<usize, String> {
    let tasks = tasks(replica)?;
    if replica.is_paused() && stopped(replica).is_none() {
        return Err(format!("not every thread of {} has joined its pause", replica.node.name));
    }
    match tasks.iter().filter(|task| is_held(task)).count() {
        0 => Ok(tasks.len()),
        held => Err(format!("{held} threads of {} stand still", replica.node.name)),
    }
}

fn is_held(task: &Task) -> bool {
    task.stat().and_then(|stat| stat.state()).is_ok_and(|state| state == ProcState::Tracing)
}

fn tasks(replica: &Replica) -> Result<Vec<Task>, String> {
    let process = procfs::process::Process::new(replica.pid().as_raw()).map_err(|cause| cause.to_string())?;
    Ok(process.tasks().map_err(|cause| cause.to_string())?.flatten().collect())
}
