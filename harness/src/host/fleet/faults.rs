//! How a cluster of hosts is hurt and healed: who is meant is decided here, and each agent concerned does its part.

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;
use futures::future::{BoxFuture, join_all, try_join_all};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::super::line::HostError;
use super::super::words::{Answer, Order};
use super::{Fleet, InForce, State, first_lost};
use crate::cluster::Crash;
use crate::fault::resolve::{self, Crew, Meant, Situation};
use crate::fault::{Active, Arena, Evidence, Fault, FaultError, Receipt, Targets, Wiring};
use crate::nemesis::{Breakable, Sign};
use crate::net::Links;

/// What came of a part of a fault, at the node of that index.
type Part<T> = (usize, Result<T, FaultError>);

#[async_trait]
impl Breakable for Fleet {
    async fn start(&self, fault: &Fault, rng: &mut ChaCha8Rng) -> Result<Active, FaultError> {
        fault.exists(Arena::Hosts).map_err(FaultError::Inapplicable)?;
        let state = &mut *self.state.lock().await;
        let running = self.running().await.map_err(|error| FaultError::failed(&fault.to_string(), error))?;
        let leader =
            if fault.needs_leader() { resolve::one_of(&self.known.leading(&running).await, rng) } else { None };
        let decided = Instant::now();
        let names = self.known.names();
        let situation = Situation { names: &names, leader, running: &running, clients: Crew::default() };
        let meant = resolve::meant(fault, &situation, rng).map_err(FaultError::Inapplicable)?;
        let exact = resolve::exact(fault, &meant, &names);
        let (receipt, in_force) = match meant {
            Meant::Links(links) => (self.wiring(state)?.cut(&links, decided).await?, InForce::Partition(links)),
            Meant::Nodes(nodes) => {
                let (receipt, parts) = self.begin(&exact, &nodes, rng, decided).await?;
                (receipt, InForce::Parts(parts))
            }
            Meant::Workers(_) => unreachable!("faults of clients do not exist on hosts, as was seen above"),
        };
        let id = state.next;
        state.next += 1;
        state.in_force.insert(id, in_force);
        Ok(Active { id, fault: exact, receipt })
    }

    async fn stop(&self, active: Active) -> Result<Receipt, FaultError> {
        let state = &mut *self.state.lock().await;
        match state.in_force.remove(&active.id) {
            Some(in_force) => self.undo(state, &in_force).await,
            None => Err(FaultError::Inapplicable(format!("{} was stopped already", active.fault))),
        }
    }

    async fn heal_all(&self) -> Result<Vec<Receipt>, FaultError> {
        let state = &mut *self.state.lock().await;
        let mut healed = Vec::new();
        while let Some((_, in_force)) = state.in_force.pop_last() {
            healed.push(self.undo(state, &in_force).await);
        }
        // What an agent could not prove it has kept, so that it ends now.
        let left = self.agents.iter().map(|agent| async { over(agent.ask(Order::HealAll).await) });
        for receipts in join_all(left).await {
            match receipts {
                Ok(receipts) => healed.extend(receipts.into_iter().map(Ok)),
                Err(error) => healed.push(Err(error)),
            }
        }
        healed.into_iter().collect()
    }

    fn crashes(&self) -> Vec<Crash> {
        self.known.crashes()
    }

    async fn lost(&self) -> String {
        let mut unwritten = self.unwritten.clone();
        tokio::select! {
            lost = first_lost(&self.agents) => lost.to_string(),
            Ok(why) = unwritten.wait_for(Option::is_some) => why.clone().unwrap_or_default(),
        }
    }

    fn leaders(&self) -> watch::Receiver<u64> {
        self.known.leaders()
    }

    fn sight(&self, sign: &Sign) -> BoxFuture<'static, String> {
        self.known.sight(sign)
    }
}

impl Fleet {
    /// The nodes that run and are not paused.
    async fn running(&self) -> Result<Vec<usize>, HostError> {
        let asked = self.agents.iter().map(|agent| async move {
            match agent.ask(Order::Runs).await? {
                Answer::Runs(runs) => Ok(runs),
                other => Err(agent.nonsense(&other)),
            }
        });
        let runs = try_join_all(asked).await?;
        Ok((0..runs.len()).filter(|node| runs[*node]).collect())
    }

    fn wiring<'a>(&'a self, state: &State) -> Result<Wiring<'a>, FaultError> {
        let unprepared = || FaultError::failed("partition", "the hosts were not made ready for it");
        let wires = self.wires.as_ref().ok_or_else(unprepared)?;
        let partitions = state.in_force.values().filter_map(|fault| match fault {
            InForce::Partition(links) => Some(links),
            InForce::Parts(_) => None,
        });
        let cut: Links = partitions.flatten().copied().collect();
        Ok(Wiring { wires, names: self.known.names(), cut })
    }

    /// Has a fault put in force at these nodes; answers under what number each agent has it.
    async fn begin(
        &self,
        fault: &Fault,
        nodes: &[usize],
        rng: &mut ChaCha8Rng,
        decided: Instant,
    ) -> Result<(Receipt, BTreeMap<usize, u64>), FaultError> {
        let parts = nodes.iter().map(|node| {
            let mut part = fault.clone();
            part.aim(Targets::Nodes(vec![self.known.nodes()[*node].name.clone()]));
            let (order, agent) = (Order::Fault { fault: part, seed: rng.random() }, &self.agents[*node]);
            async move {
                let begun = match agent.ask(order).await {
                    Ok(Answer::InForce { id, receipt }) => Ok((id, receipt)),
                    Ok(Answer::NoFault(error)) => Err(error),
                    Ok(other) => Err(failed(&agent.nonsense(&other))),
                    Err(error) => Err(failed(&error)),
                };
                (*node, begun)
            }
        });
        let parts: Vec<Part<(u64, Receipt)>> = join_all(parts).await;
        if parts.iter().all(|(_, part)| part.is_ok()) {
            let mut ids = BTreeMap::new();
            let mut receipts = Vec::new();
            for (node, part) in parts {
                let (id, receipt) = part?;
                ids.insert(node, id);
                receipts.push(receipt);
            }
            return Ok((merged(fault, receipts, decided)?, ids));
        }
        Err(self.half_done(fault, parts).await)
    }

    /// Ends what is in force of a fault that is not in force everywhere; answers why it is not.
    async fn half_done(&self, fault: &Fault, parts: Vec<Part<(u64, Receipt)>>) -> FaultError {
        let mut begun = BTreeMap::new();
        let mut why = None;
        for (node, part) in parts {
            match part {
                Ok((id, _)) => drop(begun.insert(node, id)),
                Err(error) if matches!(why, None | Some(FaultError::Inapplicable(_))) => why = Some(error),
                Err(_) => {}
            }
        }
        for (_, ended) in self.end(&begun).await {
            if let Err(error) = ended {
                tracing::error!("a part of a fault that is not in force everywhere could not be ended: {error}");
            }
        }
        match why.expect("a part has failed") {
            FaultError::Inapplicable(why) if !begun.is_empty() => FaultError::no_receipt(&fault.to_string(), why),
            error => error,
        }
    }

    async fn undo(&self, state: &State, in_force: &InForce) -> Result<Receipt, FaultError> {
        let decided = Instant::now();
        match in_force {
            InForce::Partition(links) => self.wiring(state)?.heal(links, decided).await,
            InForce::Parts(parts) => {
                let ended = self.end(parts).await;
                let receipts = ended.into_iter().map(|(_, receipt)| receipt).collect::<Result<Vec<_>, _>>()?;
                merged("the end of a fault", receipts, decided)
            }
        }
    }

    /// Has parts of a fault ended.
    async fn end(&self, parts: &BTreeMap<usize, u64>) -> Vec<Part<Receipt>> {
        let ended = parts.iter().map(|(node, id)| async {
            let receipts = over(self.agents[*node].ask(Order::Stop { id: *id }).await);
            let receipt = receipts.and_then(|receipts| receipts.into_iter().next().ok_or_else(nothing_seen));
            (*node, receipt)
        });
        join_all(ended).await
    }
}

fn nothing_seen() -> FaultError {
    FaultError::no_receipt("the end of a fault", "nothing")
}

fn failed(error: &HostError) -> FaultError {
    FaultError::failed("a fault on a host", error)
}

fn over(answered: Result<Answer, HostError>) -> Result<Vec<Receipt>, FaultError> {
    match answered {
        Ok(Answer::Over(receipts)) => Ok(receipts),
        Ok(Answer::NoFault(error)) => Err(error),
        Ok(other) => Err(FaultError::failed("a fault on a host", format!("{other:?} was not asked"))),
        Err(error) => Err(failed(&error)),
    }
}

/// One receipt of those of all parts.
fn merged(fault: impl ToString, receipts: Vec<Receipt>, decided: Instant) -> Result<Receipt, FaultError> {
    let mut nodes = Vec::new();
    let mut seen: Option<Evidence> = None;
    for receipt in receipts {
        nodes.extend(receipt.nodes);
        seen = match seen {
            None => Some(receipt.evidence),
            Some(before) => before.and(receipt.evidence),
        };
        if seen.is_none() {
            return Err(FaultError::no_receipt(&fault.to_string(), "not the same on every host"));
        }
    }
    let seen = seen.ok_or_else(nothing_seen)?;
    Ok(Receipt::new(nodes, seen, decided))
}
