//! Members: a node is thrown out of its cluster by the others, loses its disk, and joins again as a new member.
//!
//! That is what an operator does who replaces a machine. It is done to one node at a time: the others decide both
//! changes, and what a new member is told at its start is who all the members are.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use grudge_workloads::client::{Member, Target};
use tokio::time::sleep;

use super::{Evidence, FaultError, InForce, Receipt, processes};
use crate::cluster::{Cluster, Inner, Members, ready};

/// How long the others have to agree: they may have to elect a leader first.
const AGREEMENT: Duration = Duration::from_secs(30);
/// Between two rounds of questions.
const ASK: Duration = Duration::from_millis(50);

const FIXED: &str = "the members of this cluster are fixed";

/// What is to become of a member.
#[derive(Clone, Copy)]
enum Change {
    Remove,
    Add,
}

/// Has the others remove a node; ends its process and takes its disk away.
pub(super) async fn remove(inner: &mut Inner, node: usize, decided: Instant) -> Result<Receipt, FaultError> {
    let name = inner.replicas[node].node.name.clone();
    let fault = format!("member {name}");
    // A member that learns of its removal may end by itself, and that is no crash.
    inner.replicas[node].excuse();
    let removed = agree(inner, node, &fault, Change::Remove, |own| own.is_none()).await;
    let ended = processes::end(&inner.replicas[node], &fault).await;
    inner.replicas[node].end_excuse();
    let members = removed?;
    ended?;
    empty(&inner.replicas[node].data).map_err(|cause| FaultError::failed(&fault, cause))?;
    Ok(Receipt::new(vec![name], Evidence::Members(members), decided))
}

/// Has the others take a node back, starts it, and waits until it is one of them.
pub(super) async fn add(
    cluster: &Cluster,
    inner: &mut Inner,
    node: usize,
    decided: Instant,
) -> Result<Receipt, FaultError> {
    let name = inner.replicas[node].node.name.clone();
    let lasted = still_out(inner, node, &name).await;
    let fault = format!("return of member {name}");
    agree(inner, node, &fault, Change::Add, |own| own.is_some()).await?;
    let joining = members_of(inner)?.joining.clone();
    inner.replicas[node].add_arguments(joining);
    processes::restart(cluster, inner, &[node], decided).await?;
    let members = agree(inner, node, &fault, Change::Add, |own| own.is_some_and(|own| own.joined)).await?;
    lasted?;
    Ok(Receipt::new(vec![name], Evidence::Members(members), decided))
}

/// Whether the others, asked once more, do not count it in.
async fn still_out(inner: &Inner, node: usize, name: &str) -> Result<(), FaultError> {
    let peer = peer(inner, node)?;
    let fault = format!("member {name}");
    let mut last = "nobody could be asked".to_owned();
    for asked in others(inner, node) {
        match members_of(inner)?.calls.members(&asked).await {
            Ok(members) if members.iter().any(|member| member.peer == peer) => {
                return Err(FaultError::not_lasted(&fault, format!("{} counted it in again", asked.node)));
            }
            Ok(_) => return Ok(()),
            Err(error) => last = format!("{} {error}", asked.node),
        }
    }
    Err(FaultError::no_receipt(&fault, last))
}

/// Asks the others for a change until one of them says that it is as wanted. To ask again changes nothing: who is
/// removed cannot be removed again, and who is there cannot be added.
async fn agree(
    inner: &Inner,
    node: usize,
    fault: &str,
    change: Change,
    wanted: impl Fn(Option<&Member>) -> bool,
) -> Result<Vec<String>, FaultError> {
    let (peer, calls) = (peer(inner, node)?, &members_of(inner)?.calls);
    let deadline = Instant::now() + AGREEMENT;
    let mut last = "nobody could be asked".to_owned();
    loop {
        for asked in others(inner, node) {
            let members = match calls.members(&asked).await {
                Ok(members) => members,
                Err(error) => {
                    last = format!("{} {error}", asked.node);
                    continue;
                }
            };
            let own = members.iter().find(|member| member.peer == peer);
            if wanted(own) {
                return Ok(members.iter().map(|member| format!("{:x} at {}", member.id, member.peer)).collect());
            }
            let done = match (change, own) {
                (Change::Remove, Some(own)) => calls.remove(&asked, own.id).await,
                (Change::Add, None) => calls.add(&asked, peer).await,
                (Change::Remove, None) | (Change::Add, Some(_)) => Ok(()),
            };
            last = match done {
                Ok(()) => format!("{} agreed, and it is not so", asked.node),
                Err(error) => format!("{} {error}", asked.node),
            };
        }
        if Instant::now() >= deadline {
            return Err(FaultError::no_receipt(fault, format!("{last}, for {AGREEMENT:?}")));
        }
        sleep(ASK).await;
    }
}

/// The other nodes that run, to be asked.
fn others(inner: &Inner, node: usize) -> Vec<Target> {
    let running = inner.running().into_iter().filter(|other| *other != node);
    running.map(|other| ready::asked(&inner.replicas[other].node)).collect()
}

fn members_of(inner: &Inner) -> Result<&Members, FaultError> {
    inner.members.as_ref().ok_or_else(|| FaultError::Inapplicable(FIXED.to_owned()))
}

/// Where the others reach a node.
fn peer(inner: &Inner, node: usize) -> Result<SocketAddr, FaultError> {
    Ok(SocketAddr::new(inner.replicas[node].node.address, members_of(inner)?.peer_port))
}

/// Whether a node can be removed now.
pub(super) fn possible(inner: &Inner) -> Result<(), String> {
    if inner.members.is_none() {
        return Err(FIXED.to_owned());
    }
    match inner.in_force.values().any(|fault| matches!(fault, InForce::Member(_))) {
        true => Err("a member is out already, and members are changed one at a time".to_owned()),
        false => Ok(()),
    }
}

/// Takes everything out of a folder, and leaves it.
fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}
