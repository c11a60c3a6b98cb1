//! How a cluster is hurt and healed: the one door for every fault.

use std::time::Instant;

use rand_chacha::ChaCha8Rng;

use super::clocks::{self, Turned};
use super::packets::Troubled;
use super::resolve::{self, Meant, Situation};
use super::{
    Active, Arena, ClientTrouble, Fault, FaultError, InForce, Receipt, Workers, clients, cpu, disks, members, memory,
    packets, processes, reset, restarts, threads,
};
use crate::client::Roster;
use crate::cluster::{Cluster, Inner};

impl Cluster {
    /// Puts a fault in force and measures it.
    ///
    /// # Errors
    /// [`FaultError::Inapplicable`]: nothing was done. Anything else: nobody knows what the cluster suffered.
    pub async fn start(&self, fault: &Fault, rng: &mut ChaCha8Rng) -> Result<Active, FaultError> {
        let employed = self.inner.lock().await.clients.clone();
        if let (Fault::Client { targets: Workers::Holder, .. }, Some(clients)) = (fault, &employed) {
            clients::until_held(clients).await;
        }
        let mut inner = self.inner.lock().await;
        let inner = &mut *inner;
        let leader =
            if fault.needs_leader() { resolve::one_of(&self.known.leading(&inner.running()).await, rng) } else { None };
        fault.exists(Arena::Processes).map_err(FaultError::Inapplicable)?;
        let decided = Instant::now();
        let names = inner.names();
        let clients = inner.clients.as_ref().map(Roster::crew).unwrap_or_default();
        let situation = Situation { names: &names, leader, running: &inner.running(), clients };
        let meant = resolve::meant(fault, &situation, rng).map_err(FaultError::Inapplicable)?;
        let exact = resolve::exact(fault, &meant, &names);
        let id = inner.next;
        inner.next += 1;
        let receipt = self.put_in_force(inner, id, fault, meant, rng, decided).await?;
        Ok(Active { id, fault: exact, receipt })
    }

    async fn put_in_force(
        &self,
        inner: &mut Inner,
        id: u64,
        fault: &Fault,
        meant: Meant,
        rng: &mut ChaCha8Rng,
        decided: Instant,
    ) -> Result<Receipt, FaultError> {
        let (receipt, in_force) = match (fault, meant) {
            // The first five are written down whatever is measured: who is down is started again, who is out is taken
            // back.
            (Fault::Kill(_), Meant::Nodes(nodes)) => {
                inner.in_force.insert(id, InForce::Kill(nodes.clone()));
                return processes::kill(inner, &nodes, decided).await;
            }
            (Fault::Power(_), Meant::Nodes(nodes)) => {
                inner.in_force.insert(id, InForce::Power(nodes.clone()));
                return disks::lose_power(inner, &nodes, rng, decided).await;
            }
            (Fault::Member(_), Meant::Nodes(nodes)) => {
                members::possible(inner).map_err(FaultError::Inapplicable)?;
                inner.in_force.insert(id, InForce::Member(nodes[0]));
                return members::remove(inner, nodes[0], decided).await;
            }
            (Fault::Memory { headroom, .. }, Meant::Nodes(nodes)) => {
                let (squeezes, receipt) = memory::squeeze(inner, &nodes, *headroom, decided);
                inner.in_force.insert(id, InForce::Memory(nodes, squeezes));
                return receipt;
            }
            (Fault::Client { trouble: ClientTrouble::Die, .. }, Meant::Workers(workers)) => {
                inner.in_force.insert(id, InForce::Client(workers.clone(), ClientTrouble::Die));
                return clients::trouble(inner, &workers, ClientTrouble::Die, decided).await;
            }
            (Fault::Client { trouble, .. }, Meant::Workers(workers)) => {
                (clients::trouble(inner, &workers, *trouble, decided).await?, InForce::Client(workers, *trouble))
            }
            (Fault::Partition(_), Meant::Links(cuts)) => {
                (inner.wiring()?.cut(&cuts, decided).await?, InForce::Partition(cuts))
            }
            (Fault::Packets(trouble), Meant::Nodes(nodes)) => {
                let links = resolve::troubled(trouble, nodes.into_iter(), &inner.names());
                let troubled = Troubled { links, treatment: trouble.into() };
                (packets::treat(inner, &troubled, decided).await?, InForce::Packets(troubled))
            }
            (Fault::Reset(_), Meant::Nodes(nodes)) => {
                (reset::reset(inner, &nodes, decided).await?, InForce::Reset(nodes))
            }
            (Fault::Pause(_), Meant::Nodes(nodes)) => {
                (processes::pause(inner, &nodes, decided).await?, InForce::Pause(nodes))
            }
            (Fault::Thread(_), Meant::Nodes(nodes)) => {
                let (holds, receipt) = threads::hold(inner, &nodes, rng, decided).await?;
                (receipt, InForce::Thread(holds))
            }
            (Fault::Cpu { percent, .. }, Meant::Nodes(nodes)) => {
                let (brakes, receipt) = cpu::squeeze(inner, &nodes, *percent, decided).await?;
                (receipt, InForce::Cpu(brakes))
            }
            (Fault::Restart { manner, .. }, Meant::Nodes(nodes)) => {
                let (series, receipt) = restarts::begin(self, inner, &nodes, *manner, decided).await?;
                (receipt, InForce::Restart(series))
            }
            (Fault::Clock { change, of, .. }, Meant::Nodes(nodes)) => {
                let mut turned = Turned::new(nodes, *change, *of);
                (clocks::turn(inner, &mut turned, decided).await?, InForce::Clock(turned))
            }
            (Fault::Disk { trouble, .. }, Meant::Nodes(nodes)) => {
                (disks::trouble(inner, &nodes, *trouble, rng, decided).await?, InForce::Disk(nodes, *trouble))
            }
            (Fault::Partition(_) | Fault::Client { .. }, Meant::Nodes(_))
            | (_, Meant::Links(_) | Meant::Workers(_)) => {
                unreachable!("a partition means links, a fault of clients workers, and every other fault nodes")
            }
        };
        inner.in_force.insert(id, in_force);
        Ok(receipt)
    }

    /// Takes a fault away and measures that it is gone, and that it had lasted until then.
    ///
    /// # Errors
    /// It could not be shown to be gone, or it was gone before its time.
    pub async fn stop(&self, active: Active) -> Result<Receipt, FaultError> {
        let stopped = self.stop_number(active.id).await;
        stopped.unwrap_or_else(|| Err(FaultError::Inapplicable(format!("{} was stopped already", active.fault))))
    }

    /// The same with the fault of that number, if it is in force.
    pub(crate) async fn stop_number(&self, id: u64) -> Option<Result<Receipt, FaultError>> {
        let mut inner = self.inner.lock().await;
        let in_force = inner.in_force.remove(&id)?;
        Some(self.undo(&mut inner, in_force).await)
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
        while let Some((_, in_force)) = inner.in_force.pop_last() {
            receipts.push(self.undo(&mut inner, in_force).await);
        }
        released?;
        receipts.into_iter().collect()
    }

    async fn undo(&self, inner: &mut Inner, in_force: InForce) -> Result<Receipt, FaultError> {
        let decided = Instant::now();
        match in_force {
            InForce::Partition(cuts) => inner.wiring()?.heal(&cuts, decided).await,
            InForce::Packets(troubled) => packets::calm_down(inner, &troubled, decided).await,
            InForce::Client(workers, trouble) => clients::end_trouble(inner, &workers, trouble, decided).await,
            InForce::Reset(nodes) => Ok(reset::over(inner, &nodes, decided)),
            InForce::Pause(nodes) => processes::resume(inner, &nodes, decided).await,
            InForce::Clock(turned) => clocks::right(inner, &turned, decided).await,
            InForce::Kill(nodes) | InForce::Power(nodes) => processes::restart(self, inner, &nodes, decided).await,
            InForce::Thread(holds) => threads::release(inner, holds, decided).await,
            InForce::Cpu(brakes) => cpu::release(inner, brakes, decided).await,
            InForce::Memory(nodes, squeezes) => memory::relieve(self, inner, &nodes, squeezes, decided).await,
            InForce::Restart(series) => restarts::end(self, inner, series, decided).await,
            InForce::Member(node) => members::add(self, inner, node, decided).await,
            InForce::Disk(nodes, trouble) => disks::end_trouble(self, inner, &nodes, trouble, decided).await,
        }
    }
}
