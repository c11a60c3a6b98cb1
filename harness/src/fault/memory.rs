//! Memory squeezed: processes that get no more than they have, and a little.
//!
//! What a running process may take is limited from the outside (`prlimit`, `RLIMIT_DATA`: heap, stacks of threads and
//! whatever else is its own and writable). Only the soft limit is moved, so the old one can come back without any right.
//! No limit outlives its process, and none is anywhere but there.
//!
//! A process that dies meanwhile is the fault's doing and no crash: what it does with an allocation that fails is its
//! own affair, and dying is a good answer. It is started again when the squeeze is over, as after a kill.

use std::time::Instant;

use nix::unistd::Pid;
use procfs::process::{LimitValue, Process};
use rustix::process::{Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};

use super::processes::{self, group};
use super::{Evidence, FaultError, InForce, Receipt};
use crate::cluster::replica::Replica;
use crate::cluster::{Cluster, Inner};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// More than a process takes that only waits, in bytes.
const AMPLE: u64 = 256 * MIB;

/// What was seen of a process's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySeen {
    /// The node's name.
    pub node: String,
    /// Its process.
    pub pid: i32,
    /// How many KiB of data it may have; no limit if absent.
    pub limit_kib: Option<u64>,
    /// How many it has.
    pub used_kib: u64,
    /// Whether it is new, since the one before has died of the squeeze.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
}

/// One process that is squeezed.
#[derive(Clone, Debug)]
pub(crate) struct Squeeze {
    node: usize,
    /// The life of the node to which the process belongs.
    life: Pid,
    pid: i32,
    /// How many bytes of data it may have.
    limit: u64,
    /// How many it might have before anybody squeezed it.
    before: Option<u64>,
}

/// Squeezes the processes of these nodes: those that it has come to, and the receipt. Who dies of it at once is started
/// again when it is over, also if there is no receipt.
pub(super) fn squeeze(
    inner: &Inner,
    nodes: &[usize],
    headroom: u32,
    decided: Instant,
) -> (Vec<Squeeze>, Result<Receipt, FaultError>) {
    for node in nodes {
        inner.replicas[*node].excuse();
    }
    let mut squeezes = Vec::new();
    let seen = squeeze_all(inner, nodes, headroom, &mut squeezes);
    (squeezes, seen.map(|seen| Receipt::new(inner.names_of(nodes), Evidence::Memory(seen), decided)))
}

fn squeeze_all(
    inner: &Inner,
    nodes: &[usize],
    headroom: u32,
    squeezes: &mut Vec<Squeeze>,
) -> Result<Vec<MemorySeen>, FaultError> {
    let fault = format!("memory {}", inner.called(nodes));
    let failed = |cause: String| FaultError::failed(&fault, cause);
    let mut seen = Vec::new();
    for node in nodes {
        let life = inner.replicas[*node].pid();
        for pid in group(life).map_err(|cause| FaultError::failed(&fault, cause))? {
            let limit = data(pid).map_err(failed)? + u64::from(headroom) * MIB;
            let before = match in_force_on(inner, pid).next() {
                Some(other) => other.before,
                None => allowed(pid).map_err(failed)?,
            };
            let squeeze = Squeeze { node: *node, life, pid, limit, before };
            let tightest = squeeze.with_others(inner);
            squeezes.push(squeeze.clone());
            allow(pid, tightest).map_err(failed)?;
            seen.push(look(inner, &squeeze, tightest).map_err(|seen| FaultError::no_receipt(&fault, seen))?);
        }
    }
    Ok(seen)
}

/// Squeezes a process with ample room and relieves it again: whether that can be done on this machine.
pub(crate) fn tried(pid: i32) -> Result<(), String> {
    let (before, limit) = (allowed(pid)?, data(pid)? + AMPLE);
    allow(pid, Some(limit))?;
    let squeezed = allowed(pid)?;
    allow(pid, before)?;
    match squeezed == Some(limit) && allowed(pid)? == before {
        true => Ok(()),
        false => Err(format!("the limit of process {pid} does not become what it is set to")),
    }
}

/// Checks that the limits lasted to the end, brings the old ones back, and starts who has died of them. A process that
/// another fault has killed has taken its limit with it.
pub(super) async fn relieve(
    cluster: &Cluster,
    inner: &mut Inner,
    nodes: &[usize],
    squeezes: Vec<Squeeze>,
    decided: Instant,
) -> Result<Receipt, FaultError> {
    let fault = format!("memory {}", inner.called(nodes));
    let no_receipt = |seen: String| FaultError::no_receipt(&fault, seen);
    let there = squeezes.into_iter().filter(|squeeze| {
        let replica = &inner.replicas[squeeze.node];
        replica.pid() == squeeze.life && replica.ended().is_none()
    });
    let there: Vec<Squeeze> = there.collect();
    let lasted: Vec<_> = there.iter().map(|squeeze| look(inner, squeeze, squeeze.with_others(inner))).collect();
    let mut seen = Vec::new();
    let mut unhealed = None;
    for squeeze in &there {
        let left = squeeze.without(inner);
        let healed = allow(squeeze.pid, left).and_then(|()| look(inner, squeeze, left));
        match healed {
            Ok(healed) => seen.push(healed),
            // It may have died of its squeeze just now.
            Err(_) if died(&inner.replicas[squeeze.node]) => {}
            Err(why) => unhealed = unhealed.or(Some(why)),
        }
    }
    let dead: Vec<usize> = nodes.iter().copied().filter(|node| died(&inner.replicas[*node])).collect();
    for node in nodes {
        inner.replicas[*node].end_excuse();
    }
    if !dead.is_empty() {
        processes::restart(cluster, inner, &dead, decided).await?;
    }
    for node in dead {
        let replica = &inner.replicas[node];
        let (node, pid) = (replica.node.name.clone(), replica.pid().as_raw());
        let (limit, used) = (allowed(pid).map_err(no_receipt)?, data(pid).map_err(no_receipt)?);
        seen.push(MemorySeen { node, pid, limit_kib: limit.map(kib), used_kib: kib(used), restarted: true });
    }
    if let Some(why) = unhealed {
        return Err(no_receipt(format!("it did not end: {why}")));
    }
    for seen in lasted {
        seen.map_err(|seen| FaultError::not_lasted(&fault, seen))?;
    }
    Ok(Receipt::new(inner.names_of(nodes), Evidence::Memory(seen), decided))
}

/// Whether a replica has died of itself.
fn died(replica: &Replica) -> bool {
    replica.ended().is_some() && !replica.is_condemned()
}

impl Squeeze {
    /// How many bytes its process may have, by this and by all in force.
    fn with_others(&self, inner: &Inner) -> Option<u64> {
        in_force_on(inner, self.pid).chain([self]).map(|squeeze| squeeze.limit).min()
    }

    /// The same without it: by all in force; what it might have before if there is none.
    fn without(&self, inner: &Inner) -> Option<u64> {
        in_force_on(inner, self.pid).map(|squeeze| squeeze.limit).min().or(self.before)
    }
}

/// The squeezes in force that are on a process.
fn in_force_on(inner: &Inner, pid: i32) -> impl Iterator<Item = &Squeeze> {
    inner.in_force.values().flat_map(InForce::squeezes).filter(move |squeeze| squeeze.pid == pid)
}

/// What is seen of a process that is limited as it is meant to be, or what is seen instead.
fn look(inner: &Inner, squeeze: &Squeeze, meant: Option<u64>) -> Result<MemorySeen, String> {
    let node = inner.replicas[squeeze.node].node.name.clone();
    let (limit, used) = (allowed(squeeze.pid)?, data(squeeze.pid)?);
    let words = |limit: Option<u64>| limit.map_or_else(|| "any number of".to_owned(), |limit| kib(limit).to_string());
    if limit != meant {
        return Err(format!("{node} may have {} KiB of data instead of {}", words(limit), words(meant)));
    }
    Ok(MemorySeen { node, pid: squeeze.pid, limit_kib: limit.map(kib), used_kib: kib(used), restarted: false })
}

fn kib(bytes: u64) -> u64 {
    bytes / KIB
}

/// How many bytes of data a process has.
fn data(pid: i32) -> Result<u64, String> {
    let status = Process::new(pid).and_then(|process| process.status()).map_err(|cause| cause.to_string())?;
    status.vmdata.map(|has| has * KIB).ok_or_else(|| format!("process {pid} has ended"))
}

/// How many bytes of data a process may have, by its soft limit.
fn allowed(pid: i32) -> Result<Option<u64>, String> {
    let limits = Process::new(pid).and_then(|process| process.limits()).map_err(|cause| cause.to_string())?;
    Ok(value(limits.max_data_size.soft_limit))
}

fn value(limit: LimitValue) -> Option<u64> {
    match limit {
        LimitValue::Unlimited => None,
        LimitValue::Value(bytes) => Some(bytes),
    }
}

/// Moves the soft limit of a process.
fn allow(pid: i32, bytes: Option<u64>) -> Result<(), String> {
    let limits = Process::new(pid).and_then(|process| process.limits()).map_err(|cause| cause.to_string())?;
    let maximum = value(limits.max_data_size.hard_limit);
    prlimit(rustix::process::Pid::from_raw(pid), Resource::Data, Rlimit { current: bytes, maximum })
        .map(drop)
        .map_err(|cause| format!("the limit of process {pid} cannot be moved: {cause}"))
}
