//! Losses of power and troubles of disks: what the layers are told, and what is seen through them afterwards.

use std::time::Instant;

use futures::future::{join_all, try_join_all};
use rand::{Rng, RngExt};

use super::receipt::{DiskSeen, FlippedBit, PowerLoss};
use super::{DiskTrouble, Evidence, FaultError, InForce, Receipt, processes};
use crate::cluster::replica::Replica;
use crate::cluster::{Cluster, Inner};
use crate::disk::{Disk, Troubles};

/// Kills the processes of these nodes and takes from their disks what is not durable.
pub(super) async fn lose_power(
    inner: &Inner,
    nodes: &[usize],
    rng: &mut impl Rng,
    decided: Instant,
) -> Result<Receipt, FaultError> {
    let fault = format!("power {}", inner.called(nodes));
    let seeds: Vec<u64> = nodes.iter().map(|_| rng.random()).collect();
    let singing = nodes.iter().map(|node| async {
        let replica = &inner.replicas[*node];
        disk(replica, &fault)?.probe().sing().await.map_err(|seen| unproven(&fault, replica, &seen))
    });
    let sung = try_join_all(singing).await;
    // Killed they are in any case: they are started again at the fault's end.
    let killed = processes::kill(inner, nodes, decided).await?;
    sung?;
    let Evidence::Killed(killed) = killed.evidence else { unreachable!("a kill is proven by deaths") };
    let losing = nodes.iter().zip(seeds).zip(killed).map(|((node, seed), process)| {
        let fault = &fault;
        async move {
            let replica = &inner.replicas[*node];
            let disk = disk(replica, fault)?;
            processes::extinct(replica, fault).await?;
            let loss = disk.lose(seed).await.map_err(|error| FaultError::failed(fault, error))?;
            let seen = disk.probe().is_silent().await.map_err(|seen| unproven(fault, replica, &seen))?;
            Ok(PowerLoss { process, loss, seen })
        }
    });
    let lost = try_join_all(losing).await?;
    Ok(Receipt::new(inner.names_of(nodes), Evidence::PowerLost(lost), decided))
}

/// Gives the disks of these nodes a trouble beside those that they have, and looks at it.
pub(super) async fn trouble(
    inner: &Inner,
    nodes: &[usize],
    trouble: DiskTrouble,
    rng: &mut impl Rng,
    decided: Instant,
) -> Result<Receipt, FaultError> {
    match trouble {
        DiskTrouble::Flip => flip(inner, nodes, rng, decided).await,
        lasting => begin(inner, nodes, lasting, decided).await,
    }
}

/// Takes a trouble away, as far as it can be, and starts again who died of it.
pub(super) async fn end_trouble(
    cluster: &Cluster,
    inner: &mut Inner,
    nodes: &[usize],
    trouble: DiskTrouble,
    decided: Instant,
) -> Result<Receipt, FaultError> {
    match trouble {
        // Who is hit reads it or does not, for ever.
        DiskTrouble::Flip => Ok(Receipt::new(inner.names_of(nodes), Evidence::Flipped(Vec::new()), decided)),
        lasting => end(cluster, inner, nodes, lasting, decided).await,
    }
}

async fn begin(inner: &Inner, nodes: &[usize], trouble: DiskTrouble, decided: Instant) -> Result<Receipt, FaultError> {
    let fault = format!("disk {} {trouble}", inner.called(nodes));
    // From now on a process may die of it.
    for node in nodes.iter().filter(|_| trouble.kills()) {
        inner.replicas[*node].excuse();
    }
    let troubled = nodes.iter().map(|node| {
        let fault = &fault;
        async move {
            let replica = &inner.replicas[*node];
            let disk = disk(replica, fault)?;
            let wanted = with(in_force_at(inner, *node), trouble);
            disk.trouble(wanted).await.map_err(|error| FaultError::failed(fault, error))?;
            seen(replica, disk.probe().suffers(trouble).await, fault)
        }
    });
    match try_join_all(troubled).await {
        Ok(seen) => Ok(Receipt::new(inner.names_of(nodes), Evidence::Disks(seen), decided)),
        Err(error) => {
            for node in nodes {
                let replica = &inner.replicas[*node];
                if trouble.kills() {
                    replica.end_excuse();
                }
                let Some(disk) = &replica.disk else { continue };
                if let Err(again) = disk.trouble(in_force_at(inner, *node)).await {
                    tracing::debug!("{again}");
                }
            }
            Err(error)
        }
    }
}

/// Checks that these disks had that trouble to the end, takes it away, and starts again who died of it.
async fn end(
    cluster: &Cluster,
    inner: &mut Inner,
    nodes: &[usize],
    trouble: DiskTrouble,
    decided: Instant,
) -> Result<Receipt, FaultError> {
    let fault = format!("disk {} {trouble}", inner.called(nodes));
    let healing = format!("end of {fault}");
    let ended = join_all(nodes.iter().map(|node| {
        let (inner, fault, healing) = (&*inner, &fault, &healing);
        async move {
            let replica = &inner.replicas[*node];
            let disk = disk(replica, fault)?;
            let lasted = disk.probe().suffers(trouble).await;
            let left = in_force_at(inner, *node);
            disk.trouble(left).await.map_err(|error| FaultError::failed(healing, error))?;
            let well = match left == Troubles::default() {
                true => seen(replica, disk.probe().is_well().await, healing),
                false => seen(replica, Ok("another trouble is left".to_owned()), healing),
            };
            lasted.map_err(|seen| unproven(fault, replica, &format!("at its end {seen}")))?;
            well
        }
    }))
    .await;
    let dead: Vec<usize> = nodes.iter().copied().filter(|node| inner.replicas[*node].ended().is_some()).collect();
    let dead: Vec<usize> = dead.into_iter().filter(|node| !is_held_down(inner, *node)).collect();
    for node in nodes.iter().filter(|_| trouble.kills()) {
        inner.replicas[*node].end_excuse();
    }
    if !dead.is_empty() {
        processes::restart(cluster, inner, &dead, decided).await?;
    }
    let mut seen = ended.into_iter().collect::<Result<Vec<DiskSeen>, FaultError>>()?;
    for seen in &mut seen {
        seen.restarted = dead.iter().any(|node| inner.replicas[*node].node.name == seen.node);
    }
    Ok(Receipt::new(inner.names_of(nodes), Evidence::Disks(seen), decided))
}

/// Flips a bit on each of these disks.
async fn flip(inner: &Inner, nodes: &[usize], rng: &mut impl Rng, decided: Instant) -> Result<Receipt, FaultError> {
    let fault = format!("disk {} flip", inner.called(nodes));
    let mut flipped = Vec::new();
    for node in nodes {
        let replica = &inner.replicas[*node];
        let disk = disk(replica, &fault)?;
        let name = &replica.node.name;
        let Some(flip) = disk.flip(rng.random()).await.map_err(|error| FaultError::failed(&fault, error))? else {
            if flipped.is_empty() {
                return Err(FaultError::Inapplicable(format!("{name} has all of its files open")));
            }
            continue;
        };
        let wanted = flip.before ^ (1 << flip.bit);
        let no_receipt = |seen: String| unproven(&fault, replica, &seen);
        let now = disk.probe().byte(&flip.file, flip.offset).await.map_err(no_receipt)?;
        if now != wanted {
            let file = flip.file.display();
            return Err(no_receipt(format!("byte {} of {file} is {now:#04x} and not {wanted:#04x}", flip.offset)));
        }
        flipped.push(FlippedBit { node: name.clone(), flip, now });
    }
    Ok(Receipt::new(inner.names_of(nodes), Evidence::Flipped(flipped), decided))
}

fn unproven(fault: &str, replica: &Replica, seen: &str) -> FaultError {
    FaultError::no_receipt(fault, format!("{}: {seen}", replica.node.name))
}

fn disk<'a>(replica: &'a Replica, fault: &str) -> Result<&'a Disk, FaultError> {
    let without = || format!("{} was started without a layer under its data", replica.node.name);
    replica.disk.as_ref().ok_or_else(|| FaultError::failed(fault, without()))
}

fn seen(replica: &Replica, seen: Result<String, String>, fault: &str) -> Result<DiskSeen, FaultError> {
    let seen = seen.map_err(|seen| unproven(fault, replica, &seen))?;
    Ok(DiskSeen { node: replica.node.name.clone(), seen, restarted: false })
}

/// Whether a fault in force keeps a node from running.
fn is_held_down(inner: &Inner, node: usize) -> bool {
    inner.in_force.values().any(|fault| match fault {
        InForce::Kill(nodes) | InForce::Power(nodes) => nodes.contains(&node),
        InForce::Restart(series) => series.nodes.contains(&node),
        InForce::Member(out) => *out == node,
        _ => false,
    })
}

/// All troubles that faults in force make a node's disk have.
fn in_force_at(inner: &Inner, node: usize) -> Troubles {
    let troubles = inner.in_force.values().filter_map(|fault| match fault {
        InForce::Disk(nodes, trouble) if nodes.contains(&node) => Some(*trouble),
        _ => None,
    });
    troubles.fold(Troubles::default(), with)
}

fn with(troubles: Troubles, more: DiskTrouble) -> Troubles {
    match more {
        DiskTrouble::Slow(by) => Troubles { slow: troubles.slow.max(Some(by)), ..troubles },
        DiskTrouble::Full => Troubles { full: true, ..troubles },
        DiskTrouble::ReadError => Troubles { read_error: true, ..troubles },
        DiskTrouble::WriteError => Troubles { write_error: true, ..troubles },
        DiskTrouble::FsyncError => Troubles { fsync_error: true, ..troubles },
        DiskTrouble::Flip => troubles,
    }
}
