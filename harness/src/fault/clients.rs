//! Clients in trouble: their connections reset, their processes stopped or killed. They are processes of their own then
//! ([`crate::client`]), and what is seen of them is seen as of replicas.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use procfs::process::{FDInfo, FDTarget};
use tokio::time::{sleep, timeout};

use super::processes::{EFFECT, Look, group, look_at, until};
use super::{ClientTrouble, Evidence, FaultError, Process, Receipt};
use crate::client::seat::{Fate, Seat};
use crate::client::{Roster, process};
use crate::cluster::Inner;
use crate::cluster::replica::describe;

/// How long a new client may take to say that it is there.
const START: Duration = Duration::from_secs(10);

/// How long a fault of a holder waits for somebody who has done nothing with a lock yet: one hit later may have nothing to
/// do any more but release.
const FRESH: Duration = Duration::from_millis(500);
/// How long it waits after that for anybody to hold a lock.
const HELD: Duration = Duration::from_secs(2);
/// Between two looks at who holds one.
const LOOK: Duration = Duration::from_millis(2);

/// Waits until a client holds a lock, but not for long.
pub(super) async fn until_held(clients: &Roster) {
    // Who waits in vain is told so where it is resolved whom the fault means.
    if timeout(FRESH, seen(|| clients.has_fresh_holder())).await.is_err() {
        let _ = timeout(HELD, seen(|| clients.crew().holder.is_some())).await;
    }
}

async fn seen(what: impl Fn() -> bool) {
    while !what() {
        sleep(LOOK).await;
    }
}

/// What happens to one worker's client.
struct Hit {
    fault: String,
    name: String,
    seat: Seat,
}

/// Puts the clients of these workers in trouble.
pub(super) async fn trouble(
    inner: &Inner,
    workers: &[usize],
    trouble: ClientTrouble,
    decided: Instant,
) -> Result<Receipt, FaultError> {
    let hits = hits(inner, workers, trouble);
    let evidence = match trouble {
        ClientTrouble::Cut => Evidence::Reset(cut(inner, &hits).await?),
        ClientTrouble::Pause => Evidence::Stopped(pause(&hits).await?),
        ClientTrouble::Die => Evidence::Killed(kill(&hits).await?),
    };
    Ok(Receipt::new(names(&hits), evidence, decided))
}

/// Checks that it lasted to the end, and ends it.
pub(super) async fn end_trouble(
    inner: &Inner,
    workers: &[usize],
    trouble: ClientTrouble,
    decided: Instant,
) -> Result<Receipt, FaultError> {
    let hits = hits(inner, workers, trouble);
    let evidence = match trouble {
        ClientTrouble::Cut => Evidence::Reset(Vec::new()),
        ClientTrouble::Pause => Evidence::Running(resume(&hits).await?),
        ClientTrouble::Die => Evidence::Restarted(replace(&hits).await?),
    };
    Ok(Receipt::new(names(&hits), evidence, decided))
}

async fn cut(inner: &Inner, hits: &[Hit]) -> Result<Vec<String>, FaultError> {
    let mut destroyed = Vec::new();
    for hit in hits {
        let sockets = hit.sockets()?;
        let resets = inner
            .net()?
            .cut_off(hit.name.clone(), sockets)
            .await
            .map_err(|cause| FaultError::failed(&hit.fault, cause))?;
        if !resets.left.is_empty() {
            return Err(FaultError::no_receipt(&hit.fault, format!("still there: {}", resets.left.join(", "))));
        }
        destroyed.extend(resets.destroyed);
    }
    if destroyed.is_empty() {
        return Err(FaultError::Inapplicable(format!("{} has no connection with a node", names(hits).join("+"))));
    }
    Ok(destroyed)
}

async fn pause(hits: &[Hit]) -> Result<Vec<Process>, FaultError> {
    let paused = stop_all(hits).await;
    if paused.is_err() {
        for process in hits.iter().filter_map(|hit| hit.seat.doom(Fate::Free)) {
            if let Err(error) = process.signal(Signal::SIGCONT) {
                tracing::debug!("{error}");
            }
        }
    }
    paused
}

async fn stop_all(hits: &[Hit]) -> Result<Vec<Process>, FaultError> {
    for hit in hits {
        hit.strike(Fate::Paused, Signal::SIGSTOP)?;
    }
    let mut stopped = Vec::new();
    for hit in hits {
        stopped.push(until(&hit.fault, || Ok(hit.look(Look::AllStopped))).await?);
    }
    Ok(stopped)
}

async fn resume(hits: &[Hit]) -> Result<Vec<Process>, FaultError> {
    let lasted: Vec<_> = hits.iter().map(|hit| hit.look(Look::AllStopped)).collect();
    let struck: Vec<_> = hits.iter().map(|hit| hit.strike(Fate::Free, Signal::SIGCONT)).collect();
    for (hit, seen) in hits.iter().zip(lasted) {
        seen.map_err(|seen| FaultError::not_lasted(&hit.fault, seen))?;
    }
    struck.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut running = Vec::new();
    for hit in hits {
        running.push(until(&format!("end of {}", hit.fault), || Ok(hit.look(Look::NoneStopped))).await?);
    }
    Ok(running)
}

async fn kill(hits: &[Hit]) -> Result<Vec<Process>, FaultError> {
    let mut condemned = Vec::new();
    for hit in hits {
        condemned.push((hit, hit.strike(Fate::Dead, Signal::SIGKILL)?));
    }
    let mut killed = Vec::new();
    for (hit, process) in condemned {
        let alive = || FaultError::no_receipt(&hit.fault, format!("{} is not dead {EFFECT:?} after SIGKILL", hit.name));
        let status = timeout(EFFECT, process.reaped()).await.ok().flatten().ok_or_else(alive)?;
        if status.signal() != Some(Signal::SIGKILL as i32) {
            return Err(FaultError::no_receipt(
                &hit.fault,
                format!("{} ended otherwise: {}", hit.name, describe(status)),
            ));
        }
        killed.push(hit.seen(&process, 0));
    }
    Ok(killed)
}

/// Lets others take the places of the dead.
async fn replace(hits: &[Hit]) -> Result<Vec<Process>, FaultError> {
    let mut new = Vec::new();
    for hit in hits {
        new.push(hit.replace().await.map_err(|seen| FaultError::no_receipt(&hit.fault, seen)));
    }
    new.into_iter().collect()
}

fn hits(inner: &Inner, workers: &[usize], trouble: ClientTrouble) -> Vec<Hit> {
    let roster = inner.clients.as_ref().expect("clients are meant by faults only if they are there");
    let numbers: Vec<String> = workers.iter().map(ToString::to_string).collect();
    let fault = format!("client {} {trouble}", numbers.join("+"));
    let hit = |worker: &usize| Hit {
        fault: fault.clone(),
        name: format!("client {worker}"),
        seat: roster.seat(*worker).clone(),
    };
    workers.iter().map(hit).collect()
}

fn names(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.name.clone()).collect()
}

impl Hit {
    /// Sends it a signal, and lets the harness know beforehand what that means.
    fn strike(&self, fate: Fate, signal: Signal) -> Result<Arc<process::Process>, FaultError> {
        let process = self.seat.doom(fate).ok_or_else(|| FaultError::no_receipt(&self.fault, self.ended()))?;
        process.signal(signal).map_err(|error| FaultError::no_receipt(&self.fault, error))?;
        Ok(process)
    }

    /// Lets another take its place, who has not been there before.
    async fn replace(&self) -> Result<Process, String> {
        let early = self.seat.process().is_some();
        let refilled = timeout(START, self.seat.refill()).await;
        self.seat.doom(Fate::Free);
        if early {
            return Err(format!("{} lived again before its time", self.name));
        }
        let refilled = refilled.map_err(|_| format!("the new {} is silent for {START:?}", self.name))?;
        let process = refilled.map_err(|why| format!("the new {} is of no use: {why}", self.name))?;
        Ok(self.seen(&process, 1))
    }

    /// Looks once at all its threads.
    fn look(&self, wanted: Look) -> Result<Process, String> {
        let process = self.seat.process().ok_or_else(|| self.ended())?;
        look_at(&self.name, process.pid, wanted).map_err(|cause| cause.to_string())?
    }

    /// The sockets that it holds, by their inodes.
    fn sockets(&self) -> Result<BTreeSet<u64>, FaultError> {
        let process = self.seat.process().ok_or_else(|| FaultError::no_receipt(&self.fault, self.ended()))?;
        let mut inodes = BTreeSet::new();
        for pid in group(process.pid).map_err(|cause| FaultError::failed(&self.fault, cause))? {
            let open = procfs::process::Process::new(pid).and_then(|process| process.fd());
            let sockets = open.map_err(|cause| FaultError::failed(&self.fault, cause))?.flatten().filter_map(socket);
            inodes.extend(sockets);
        }
        Ok(inodes)
    }

    fn ended(&self) -> String {
        format!("{} has ended", self.name)
    }

    fn seen(&self, process: &process::Process, threads: usize) -> Process {
        Process { node: self.name.clone(), pid: process.pid.as_raw(), threads }
    }
}

fn socket(open: FDInfo) -> Option<u64> {
    match open.target {
        FDTarget::Socket(inode) => Some(inode),
        _ => None,
    }
}
