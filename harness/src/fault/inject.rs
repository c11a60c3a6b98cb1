//! How a cluster is hurt and healed: the one door for every fault.

use std::time::Instant;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::clocks::{self, Turned};
use super::packets::Troubled;
use super::resolve::{self, Meant, Situation};
use super::{
    Active, Arena, DiskTrouble, Fault, FaultError, InForce, Receipt, cpu, disks, links, members, memory, packets,
    processes, reset, restarts, threads,
};
use crate::cluster::{Cluster, Inner};

impl Cluster {
    /// Puts a fault in force and measures it.
    ///
    /// # Errors
    /// [`FaultError::Inapplicable`]: nothing was done. Anything else: nobody knows what the cluster suffered.
    pub async fn start(&self, fault: &Fault, rng: &mut ChaCha8Rng) -> Result<Active, FaultError> {
        let mut inner = self.inner.lock().await;
        let inner = &mut *inner;
        let leader = if fault.needs_leader() {
            let leaders = inner.leaders(self.connect.as_ref()).await;
            (!leaders.is_empty()).then(|| leaders[rng.random_range(0..leaders.len())])
        } else {
            None
        };
        fault.exists(Arena::Processes).map_err(FaultError::Inapplicable)?;
        let decided = Instant::now();
        let id = inner.next;
        inner.next += 1;
        let (mut in_force, exact) = decide(inner, fault, leader, rng).map_err(FaultError::Inapplicable)?;
        let receipt = match &mut in_force {
            InForce::Partition(cuts) => links::cut(inner, cuts, decided).await?,
            InForce::Packets(troubled) => packets::treat(inner, troubled, decided).await?,
            InForce::Reset(nodes) => reset::reset(inner, nodes, decided).await?,
            InForce::Pause(nodes) => processes::pause(inner, nodes, decided).await?,
            InForce::Kill(nodes) => {
                // Recorded before it is proven: a node that is down is started again whatever was measured.
                inner.in_force.insert(id, InForce::Kill(nodes.clone()));
                processes::kill(inner, nodes, decided).await?
            }
            InForce::Thread(nodes) => {
                let (holds, receipt) = threads::hold(inner, nodes, rng, decided).await?;
                inner.holds.insert(id, holds);
                receipt
            }
            InForce::Cpu(nodes, percent) => {
                let (brakes, receipt) = cpu::squeeze(inner, nodes, *percent, decided).await?;
                inner.brakes.insert(id, brakes);
                receipt
            }
            InForce::Memory(nodes, headroom) => {
                // Recorded before it is proven: who dies of it is started again whatever was measured.
                inner.in_force.insert(id, InForce::Memory(nodes.clone(), *headroom));
                memory::squeeze(inner, id, nodes, *headroom, decided)?
            }
            InForce::Restart(nodes, manner) => {
                let (series, receipt) = restarts::begin(self, inner, nodes, *manner, decided).await?;
                inner.series.insert(id, series);
                receipt
            }
            InForce::Member(node) => {
                // Likewise: who is out is taken back.
                inner.in_force.insert(id, InForce::Member(*node));
                members::remove(inner, *node, decided).await?
            }
            InForce::Clock(turned) => clocks::turn(inner, turned, decided).await?,
            InForce::Power(nodes) => {
                inner.in_force.insert(id, InForce::Power(nodes.clone()));
                disks::lose_power(inner, nodes, rng, decided).await?
            }
            InForce::Disk(nodes, DiskTrouble::Flip) => disks::flip(inner, nodes, rng, decided).await?,
            InForce::Disk(nodes, trouble) => disks::trouble(inner, nodes, *trouble, decided).await?,
        };
        inner.in_force.insert(id, in_force);
        Ok(Active { id, fault: exact, receipt })
    }

    /// Takes a fault away and measures that it is gone, and that it had lasted until then.
    ///
    /// # Errors
    /// It could not be shown to be gone, or it was gone before its time.
    pub async fn stop(&self, active: Active) -> Result<Receipt, FaultError> {
        let mut inner = self.inner.lock().await;
        match inner.in_force.remove(&active.id) {
            Some(in_force) => self.undo(&mut inner, active.id, &in_force).await,
            None => Err(FaultError::Inapplicable(format!("{} was stopped already", active.fault))),
        }
    }

    /// Stops every fault in force, newest first.
    ///
    /// # Errors
    /// The first that could not be shown to be gone; the others were stopped nevertheless.
    pub async fn heal_all(&self) -> Result<Vec<Receipt>, FaultError> {
        let released = self.disarm().await;
        self.outlast_traps().await;
        let mut inner = self.inner.lock().await;
        let mut receipts = Vec::new();
        while let Some((id, in_force)) = inner.in_force.pop_last() {
            receipts.push(self.undo(&mut inner, id, &in_force).await);
        }
        released?;
        receipts.into_iter().collect()
    }

    async fn undo(&self, inner: &mut Inner, id: u64, in_force: &InForce) -> Result<Receipt, FaultError> {
        let decided = Instant::now();
        match in_force {
            InForce::Partition(cuts) => links::heal(inner, cuts, decided).await,
            InForce::Packets(troubled) => packets::calm_down(inner, troubled, decided).await,
            InForce::Reset(nodes) => Ok(reset::over(inner, nodes, decided)),
            InForce::Pause(nodes) => processes::resume(inner, nodes, decided).await,
            InForce::Clock(turned) => clocks::right(inner, turned, decided).await,
            InForce::Kill(nodes) | InForce::Power(nodes) => {
                processes::restart(inner, nodes, &self.crashes, self.patience, decided).await
            }
            InForce::Thread(nodes) => {
                let holds = inner.holds.remove(&id).unwrap_or_default();
                threads::release(inner, nodes, holds, decided).await
            }
            InForce::Cpu(nodes, percent) => {
                let brakes = inner.brakes.remove(&id).unwrap_or_default();
                cpu::release(inner, nodes, *percent, brakes, decided).await
            }
            InForce::Memory(nodes, _) => memory::relieve(inner, id, nodes, &self.crashes, self.patience, decided).await,
            InForce::Restart(..) => {
                let series = inner.series.remove(&id).expect("a series is kept as long as its fault is in force");
                restarts::end(inner, series, self.patience, decided).await
            }
            InForce::Member(node) => members::add(self, inner, *node, decided).await,
            InForce::Disk(nodes, DiskTrouble::Flip) => Ok(disks::end_flip(inner, nodes, decided)),
            InForce::Disk(nodes, trouble) => {
                disks::end_trouble(inner, nodes, *trouble, &self.crashes, self.patience, decided).await
            }
        }
    }
}

/// Who is meant, and the fault that says so.
fn decide(
    inner: &Inner,
    fault: &Fault,
    leader: Option<usize>,
    rng: &mut ChaCha8Rng,
) -> Result<(InForce, Fault), String> {
    let names = inner.names();
    let running = inner.running();
    let situation = Situation { names: &names, leader, running: &running };
    let meant = resolve::meant(fault, &situation, rng)?;
    let exact = resolve::exact(fault, &meant, &names);
    let in_force = match (fault, meant) {
        (Fault::Partition(_), Meant::Links(links)) => InForce::Partition(links),
        (Fault::Pause(_), Meant::Nodes(nodes)) => InForce::Pause(nodes),
        (Fault::Thread(_), Meant::Nodes(nodes)) => InForce::Thread(nodes),
        (Fault::Cpu { percent, .. }, Meant::Nodes(nodes)) => InForce::Cpu(nodes, *percent),
        (Fault::Memory { headroom, .. }, Meant::Nodes(nodes)) => InForce::Memory(nodes, *headroom),
        (Fault::Kill(_), Meant::Nodes(nodes)) => InForce::Kill(nodes),
        (Fault::Restart { manner, .. }, Meant::Nodes(nodes)) => InForce::Restart(nodes, *manner),
        (Fault::Member(_), Meant::Nodes(nodes)) => {
            members::possible(inner)?;
            InForce::Member(nodes[0])
        }
        (Fault::Clock { change, of, .. }, Meant::Nodes(nodes)) => {
            one_at_a_time(inner, &nodes, &names)?;
            InForce::Clock(Turned::new(nodes, *change, *of))
        }
        (Fault::Power(_), Meant::Nodes(nodes)) => InForce::Power(nodes),
        (Fault::Disk { trouble, .. }, Meant::Nodes(nodes)) => InForce::Disk(nodes, *trouble),
        (Fault::Reset(_), Meant::Nodes(nodes)) => InForce::Reset(nodes),
        (Fault::Packets(trouble), Meant::Nodes(nodes)) => {
            let links = resolve::troubled(trouble, nodes.into_iter(), &names);
            InForce::Packets(Troubled { links, treatment: trouble.into() })
        }
        _ => return Err(format!("a {} does not exist on real processes", fault.kind())),
    };
    Ok((in_force, exact))
}

/// A clock that is wrong already is not made wrong again: nobody could say what it should show.
fn one_at_a_time(inner: &Inner, nodes: &[usize], names: &[String]) -> Result<(), String> {
    let mut turned = inner.in_force.values().filter_map(InForce::turned).flat_map(|turned| &turned.nodes);
    match turned.find(|node| nodes.contains(node)) {
        Some(node) => Err(format!("the clock of {} is wrong already", names[*node])),
        None => Ok(()),
    }
}
