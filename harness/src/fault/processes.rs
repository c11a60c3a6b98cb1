//! Pauses and kills: signals, and what /proc and wait say of them afterwards.

use std::fs::File;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use procfs::process::{self, ProcState, all_processes};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::{Evidence, FaultError, Process, Receipt, clocks};
use crate::cluster::replica::{Present, Replica, describe};
use crate::cluster::{Cluster, Inner};
use crate::net::inside;

/// How long a signal has to show its effect; a thread inside fsync stops only after it, which takes long on a busy disk.
pub(super) const EFFECT: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// Stops the processes of these nodes.
pub(super) async fn pause(inner: &Inner, nodes: &[usize], decided: Instant) -> Result<Receipt, FaultError> {
    let fault = format!("pause {}", inner.called(nodes));
    let paused = stop_all(inner, nodes, &fault).await;
    match paused {
        Ok(processes) => Ok(Receipt::new(inner.names_of(nodes), Evidence::Stopped(processes), decided)),
        Err(error) => {
            for node in nodes {
                inner.replicas[*node].set_paused(false);
                if let Err(again) = inner.replicas[*node].signal(Signal::SIGCONT) {
                    tracing::debug!("{again}");
                }
            }
            Err(error)
        }
    }
}

async fn stop_all(inner: &Inner, nodes: &[usize], fault: &str) -> Result<Vec<Process>, FaultError> {
    for node in nodes {
        inner.replicas[*node].set_paused(true);
        send(&inner.replicas[*node], Signal::SIGSTOP, fault)?;
    }
    try_join_all(nodes.iter().map(|node| until_all(&inner.replicas[*node], fault, Look::AllStopped))).await
}

/// Checks that these nodes were stopped to the end, and lets them go on.
pub(super) async fn resume(inner: &Inner, nodes: &[usize], decided: Instant) -> Result<Receipt, FaultError> {
    let fault = format!("pause {}", inner.called(nodes));
    let lasted = nodes.iter().map(|node| look(&inner.replicas[*node], &fault, Look::AllStopped)).collect::<Vec<_>>();
    let healing = format!("end of {fault}");
    for node in nodes {
        inner.replicas[*node].set_paused(false);
    }
    let sent: Vec<_> = nodes.iter().map(|node| send(&inner.replicas[*node], Signal::SIGCONT, &healing)).collect();
    sent.into_iter().collect::<Result<Vec<()>, _>>()?;
    let running =
        try_join_all(nodes.iter().map(|node| until_all(&inner.replicas[*node], &healing, Look::NoneStopped))).await?;
    for seen in lasted {
        seen?.map_err(|seen| FaultError::not_lasted(&fault, seen))?;
    }
    Ok(Receipt::new(inner.names_of(nodes), Evidence::Running(running), decided))
}

/// Lets a process go on that has stopped itself.
pub(crate) async fn go_on(replica: &Replica, fault: &str) -> Result<Process, FaultError> {
    send(replica, Signal::SIGCONT, fault)?;
    until_all(replica, fault, Look::NoneStopped).await
}

/// The process of a replica, if all its threads are stopped.
pub(crate) fn stopped(replica: &Replica) -> Option<Process> {
    look(replica, "a trap", Look::AllStopped).ok()?.ok()
}

/// Kills the processes of these nodes.
pub(super) async fn kill(inner: &Inner, nodes: &[usize], decided: Instant) -> Result<Receipt, FaultError> {
    let fault = format!("kill {}", inner.called(nodes));
    for node in nodes {
        send(&inner.replicas[*node], Signal::SIGKILL, &fault)?;
    }
    for node in nodes {
        release(&inner.replicas[*node], &fault).await?;
    }
    let killed = try_join_all(nodes.iter().map(|node| death(&inner.replicas[*node], &fault))).await?;
    Ok(Receipt::new(inner.names_of(nodes), Evidence::Killed(killed), decided))
}

/// Starts these nodes again on what their disks hold.
pub(super) async fn restart(
    cluster: &Cluster,
    inner: &mut Inner,
    nodes: &[usize],
    decided: Instant,
) -> Result<Receipt, FaultError> {
    let fault = format!("restart of {}", inner.called(nodes));
    for node in nodes {
        let replica = &mut inner.replicas[*node];
        if replica.ended().is_none() {
            let seen = format!("{} was running already", replica.node.name);
            return Err(FaultError::no_receipt(&fault, seen));
        }
        replica.restart(&cluster.known.crashes).map_err(|error| FaultError::failed(&fault, error))?;
    }
    clocks::renew(inner, nodes).await?;
    let (replicas, patience) = (&inner.replicas, cluster.patience);
    let up = try_join_all(nodes.iter().map(|node| accepting_or_ailing(&replicas[*node], &fault, patience))).await?;
    Ok(Receipt::new(inner.names_of(nodes), Evidence::Restarted(up.into_iter().flatten().collect()), decided))
}

/// Waits until a restarted replica accepts clients; nothing of one that dies of its disk, which is started again when
/// that is well.
async fn accepting_or_ailing(
    replica: &Replica,
    fault: &str,
    patience: Duration,
) -> Result<Option<Process>, FaultError> {
    match accepting(&replica.present(), fault, patience).await {
        Err(error) if replica.is_excused() && replica.ended().is_some() => {
            tracing::info!("{error}: its disk ails");
            Ok(None)
        }
        accepted => accepted.map(Some),
    }
}

fn send(replica: &Replica, signal: Signal, fault: &str) -> Result<(), FaultError> {
    replica.signal(signal).map_err(|seen| FaultError::no_receipt(fault, seen))
}

/// What all threads of a replica should look like.
#[derive(Clone, Copy)]
pub(super) enum Look {
    AllStopped,
    NoneStopped,
}

/// Looks until it is as wanted; as long as it is not, the inner error says what is seen instead.
pub(super) async fn until<T>(
    fault: &str,
    look: impl Fn() -> Result<Result<T, String>, FaultError>,
) -> Result<T, FaultError> {
    let deadline = Instant::now() + EFFECT;
    loop {
        match look()? {
            Ok(seen) => return Ok(seen),
            Err(seen) if Instant::now() >= deadline => return Err(FaultError::no_receipt(fault, seen)),
            Err(_) => sleep(LOOK).await,
        }
    }
}

/// Waits until all threads of a replica look so.
async fn until_all(replica: &Replica, fault: &str, wanted: Look) -> Result<Process, FaultError> {
    until(fault, || look(replica, fault, wanted)).await
}

/// Looks once at all threads of all processes of a replica: the process as wanted, or what is seen instead.
fn look(replica: &Replica, fault: &str, wanted: Look) -> Result<Result<Process, String>, FaultError> {
    let name = &replica.node.name;
    if let Some(status) = replica.ended() {
        let seen = format!("{name} has ended: {}", describe(status));
        return Err(FaultError::no_receipt(fault, seen));
    }
    look_at(name, replica.pid(), wanted).map_err(|cause| FaultError::failed(fault, cause))
}

/// The same for a group of processes, whoever they are.
pub(super) fn look_at(name: &str, group: Pid, wanted: Look) -> procfs::ProcResult<Result<Process, String>> {
    let states = thread_states(group)?;
    let count = |wanted: ProcState| states.iter().filter(|state| **state == wanted).count();
    let (stopped, held) = (count(ProcState::Stopped), count(ProcState::Tracing));
    let as_wanted = match wanted {
        // A thread that its tracer holds stands still as well.
        Look::AllStopped => stopped + held == states.len() && stopped > 0,
        Look::NoneStopped => stopped == 0,
    };
    Ok(if as_wanted {
        Ok(Process { node: name.to_owned(), pid: group.as_raw(), threads: states.len() })
    } else {
        Err(format!("{stopped} of {} threads of {name} are in state T", states.len()))
    })
}

/// The numbers of all processes of a group.
pub(super) fn group(leader: Pid) -> procfs::ProcResult<Vec<i32>> {
    Ok(members(leader)?.map(|process| process.pid).collect())
}

fn members(leader: Pid) -> procfs::ProcResult<impl Iterator<Item = process::Process>> {
    let of_group = move |it: &process::Process| it.stat().is_ok_and(|stat| stat.pgrp == leader.as_raw());
    Ok(all_processes()?.flatten().filter(of_group))
}

/// The states of all threads of all processes of a group. What ends while it is looked at is left out.
fn thread_states(group: Pid) -> procfs::ProcResult<Vec<ProcState>> {
    let mut states = Vec::new();
    for process in members(group)? {
        let Ok(tasks) = process.tasks() else { continue };
        let stats = tasks.flatten().filter_map(|task| task.stat().ok());
        states.extend(stats.filter_map(|stat| stat.state().ok()));
    }
    Ok(states)
}

/// Kills the processes of one node.
pub(super) async fn slay(replica: &Replica, fault: &str) -> Result<Process, FaultError> {
    send(replica, Signal::SIGKILL, fault)?;
    release(replica, fault).await?;
    death(replica, fault).await
}

/// Lets a process die that was killed while it waits for its disk.
async fn release(replica: &Replica, fault: &str) -> Result<(), FaultError> {
    let Some(disk) = &replica.disk else { return Ok(()) };
    disk.release().await.map_err(|error| FaultError::failed(fault, error))
}

/// Waits until a killed replica was reaped.
async fn death(replica: &Replica, fault: &str) -> Result<Process, FaultError> {
    let name = &replica.node.name;
    let no_receipt = |seen: String| FaultError::no_receipt(fault, seen);
    let status = timeout(EFFECT, replica.reaped())
        .await
        .map_err(|_| no_receipt(format!("{name} is not dead {EFFECT:?} after SIGKILL")))?;
    if status.signal() != Some(Signal::SIGKILL as i32) {
        return Err(no_receipt(format!("{name} ended otherwise: {}", describe(status))));
    }
    Ok(Process { node: name.clone(), pid: replica.pid().as_raw(), threads: 0 })
}

/// Kills a replica that may have ended by itself, and waits until it was reaped.
pub(super) async fn end(replica: &Replica, fault: &str) -> Result<(), FaultError> {
    if let Err(ended) = replica.signal(Signal::SIGKILL) {
        tracing::debug!("{ended}");
    }
    release(replica, fault).await?;
    let reaped = timeout(EFFECT, replica.reaped()).await;
    let alive = || format!("{} is not dead {EFFECT:?} after SIGKILL", replica.node.name);
    reaped.map(drop).map_err(|_| FaultError::no_receipt(fault, alive()))
}

/// Waits until no process of a dead replica runs any more, those that it had started included.
pub(super) async fn extinct(replica: &Replica, fault: &str) -> Result<(), FaultError> {
    let none_alive = || {
        let states = thread_states(replica.pid()).map_err(|cause| FaultError::failed(fault, cause))?;
        let alive = states.iter().filter(|state| !matches!(state, ProcState::Zombie | ProcState::Dead)).count();
        let seen = || format!("{alive} threads that {} had started live {EFFECT:?} after it", replica.node.name);
        Ok(if alive == 0 { Ok(()) } else { Err(seen()) })
    };
    until(fault, none_alive).await
}

/// Waits until a restarted replica accepts clients.
pub(super) async fn accepting(born: &Present, fault: &str, patience: Duration) -> Result<Process, FaultError> {
    let name = &born.node;
    let no_receipt = |seen: String| FaultError::no_receipt(fault, seen);
    tokio::select! {
        status = born.reaped() => Err(no_receipt(format!("{name} died at its start: {}", describe(status)))),
        open = timeout(patience, connectable(born)) => match open {
            Ok(()) => Ok(Process { node: name.clone(), pid: born.pid.as_raw(), threads: 1 }),
            Err(_) => Err(no_receipt(format!("{name} accepts no client {patience:?} after its start"))),
        },
    }
}

/// Asks in its own namespace: a cut may keep it from the harness.
async fn connectable(born: &Present) {
    let (pid, address) = (born.pid, born.client_address);
    let connect = move || {
        let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
        inside(namespace.as_fd(), || TcpStream::connect(address))
    };
    while !matches!(spawn_blocking(connect).await, Ok(Ok(_))) {
        sleep(LOOK).await;
    }
}
