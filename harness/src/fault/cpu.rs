//! Processor time squeezed: processes that run only a part of each tenth of a second.
//!
//! The kernel could do it (a cgroup's quota), but a cgroup has a name on the host, and nobody is left to remove it when
//! the harness is killed. So it is done by hand: in each period the processes of a node are let go on (SIGCONT) for
//! their share and stopped (SIGSTOP) for the rest, and what several threads have used too much is kept from them in the
//! periods after. The hand dies with the harness, and the processes with the sandbox. Also who would use little waits
//! for his share: that is harder than a quota, and it can be seen.
//!
//! The receipt is what was measured while nobody was asked: how much of the time all threads were stopped, and how much
//! of a processor the processes used.

use std::time::{Duration, Instant};

use futures::future::join_all;
use nix::unistd::Pid;
use procfs::process::Task;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until};

use super::processes::{self, group, stopped};
use super::{Evidence, FaultError, InForce, Receipt};
use crate::cluster::Inner;
use crate::cluster::replica::{Reins, Replica};

/// The time of which processes get their share.
const PERIOD: Duration = Duration::from_millis(100);
/// For how long it is measured.
const WATCH: Duration = Duration::from_millis(500);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(3);
/// How often it is measured until there is no receipt: on a busy machine the hand may come late.
const TRIES: usize = 6;
/// What may be used beyond the share while it is measured, since a thread stops only when it leaves the kernel.
const LATE: Duration = Duration::from_millis(40);

/// What was seen of a process's use of the processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessorSeen {
    /// The node's name.
    pub node: String,
    /// Its process.
    pub pid: i32,
    /// In how many of a hundred looks all of its threads were stopped.
    pub stopped_percent: u32,
    /// How many hundredths of one processor it used.
    pub used_percent: u32,
}

/// A node's life that is squeezed, until this is let go or dropped.
pub(crate) struct Brake {
    node: usize,
    percent: u8,
    life: Pid,
    reins: Reins,
    task: JoinHandle<()>,
}

/// Squeezes the processes of these nodes.
pub(super) async fn squeeze(
    inner: &Inner,
    nodes: &[usize],
    percent: u8,
    decided: Instant,
) -> Result<(Vec<Brake>, Receipt), FaultError> {
    let fault = format!("cpu {}", inner.called(nodes));
    possible(inner, nodes).map_err(FaultError::Inapplicable)?;
    let mut brakes = Vec::new();
    for node in nodes {
        let replica = &inner.replicas[*node];
        let members = members(replica).map_err(|cause| FaultError::failed(&fault, cause))?;
        let reins = replica.reins();
        let task = tokio::spawn(drive(reins.clone(), members, percent));
        brakes.push(Brake { node: *node, percent, life: replica.pid(), reins, task });
    }
    let seen = join_all(brakes.iter().map(|brake| brake.watch(inner))).await;
    let seen: Result<Vec<ProcessorSeen>, String> = seen.into_iter().collect();
    match seen {
        Ok(seen) => {
            let evidence = Evidence::Processor(seen);
            Ok((brakes, Receipt::new(inner.names_of(nodes), evidence, decided)))
        }
        Err(seen) => {
            for brake in brakes {
                brake.let_go().await;
            }
            Err(FaultError::no_receipt(&fault, seen))
        }
    }
}

/// Checks that these nodes were squeezed to the end, and lets them run. A life that another fault has ended is gone.
pub(super) async fn release(inner: &Inner, brakes: Vec<Brake>, decided: Instant) -> Result<Receipt, FaultError> {
    let nodes: Vec<usize> = brakes.iter().map(|brake| brake.node).collect();
    let fault = format!("cpu {}", inner.called(&nodes));
    let there = |brake: &Brake| {
        let replica = &inner.replicas[brake.node];
        replica.pid() == brake.life && replica.ended().is_none()
    };
    let brakes: Vec<Brake> = brakes.into_iter().filter(there).collect();
    let lasted = join_all(brakes.iter().map(|brake| brake.watch(inner))).await;
    let mut running = Vec::new();
    for brake in brakes {
        let replica = &inner.replicas[brake.node];
        brake.let_go().await;
        if !replica.is_paused() {
            running.push(processes::go_on(replica, &format!("end of {fault}")).await?);
        }
    }
    for seen in lasted {
        seen.map_err(|seen| FaultError::not_lasted(&fault, seen))?;
    }
    Ok(Receipt::new(inner.names_of(&nodes), Evidence::Running(running), decided))
}

/// Whether it can be done now: a node has one brake, and whoever is to stop itself would be let go on by it.
fn possible(inner: &Inner, nodes: &[usize]) -> Result<(), String> {
    if inner.traps.are_set() {
        return Err("a node is to stop itself at a point, and would not stay there".to_owned());
    }
    let mut taken = inner.in_force.values().flat_map(InForce::brakes).map(|brake| brake.node);
    match taken.find(|node| nodes.contains(node)) {
        Some(node) => Err(format!("{} is squeezed already", inner.replicas[node].node.name)),
        None => Ok(()),
    }
}

impl Brake {
    async fn watch(&self, inner: &Inner) -> Result<ProcessorSeen, String> {
        watch(&inner.replicas[self.node], self.percent).await
    }

    async fn let_go(mut self) {
        self.task.abort();
        drop((&mut self.task).await);
        self.reins.go_on();
    }
}

impl Drop for Brake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets processes run for their share of each period, and stops them for the rest, until they end.
async fn drive(reins: Reins, members: Vec<i32>, percent: u8) {
    let share = share(PERIOD, percent);
    let (mut debt, mut last) = (Duration::ZERO, used(&members));
    let mut next = tokio::time::Instant::now();
    while !reins.ended() {
        next = (next + PERIOD).max(tokio::time::Instant::now());
        let allowance = share.saturating_sub(debt);
        if !allowance.is_zero() {
            reins.go_on();
            sleep(allowance).await;
        }
        reins.stop();
        sleep_until(next).await;
        let now = used(&members);
        debt = (debt + now.saturating_sub(last)).saturating_sub(share);
        last = now;
    }
}

/// Measures until what is seen is a squeezed process, or what is seen instead.
async fn watch(replica: &Replica, percent: u8) -> Result<ProcessorSeen, String> {
    let mut seen = measure(replica, percent).await;
    for _ in 1..TRIES {
        if seen.is_ok() {
            break;
        }
        seen = measure(replica, percent).await;
    }
    seen
}

async fn measure(replica: &Replica, percent: u8) -> Result<ProcessorSeen, String> {
    let members = members(replica)?;
    let (began, before) = (Instant::now(), used(&members));
    let (mut looks, mut stops) = (0_u32, 0_u32);
    while began.elapsed() < WATCH {
        looks += 1;
        stops += u32::from(stopped(replica).is_some());
        sleep(LOOK).await;
    }
    let (elapsed, used) = (began.elapsed(), used(&members).saturating_sub(before));
    let node = replica.node.name.clone();
    let stopped_percent = stops * 100 / looks;
    let processors = u32::try_from(std::thread::available_parallelism().map_or(1, usize::from)).unwrap_or(1);
    if used > share(elapsed, percent) + share(PERIOD, percent) * processors + LATE {
        return Err(format!("{node} used {used:?} of a processor in {elapsed:?}"));
    }
    // Half of what it should be: looks at a busy machine are no even sample.
    if stopped_percent < (100 - u32::from(percent)) / 2 {
        return Err(format!("{node} was stopped in {stopped_percent} of 100 looks"));
    }
    let used_percent = u32::try_from(used.as_micros() * 100 / elapsed.as_micros().max(1)).unwrap_or(u32::MAX);
    Ok(ProcessorSeen { node, pid: replica.pid().as_raw(), stopped_percent, used_percent })
}

fn share(of: Duration, percent: u8) -> Duration {
    of * u32::from(percent) / 100
}

/// The numbers of the processes of a node.
fn members(replica: &Replica) -> Result<Vec<i32>, String> {
    group(replica.pid()).map_err(|cause| cause.to_string())
}

/// How much processor time all threads of these processes have used. What ended threads have used is forgotten.
fn used(processes: &[i32]) -> Duration {
    let tasks = processes.iter().filter_map(|pid| procfs::process::Process::new(*pid).ok()?.tasks().ok());
    let nanos = |task: Task| Some(task.schedstat().ok()?.sum_exec_runtime);
    Duration::from_nanos(tasks.flatten().flatten().filter_map(nanos).sum())
}
