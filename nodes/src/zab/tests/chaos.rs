//! Seeded chaos: loss, reorder, repetition, one-way cuts, pauses, power losses and kills.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::halts::Halts;
use super::teller::{Config, Reply, Request, Teller};
use crate::bugs::Bug;
use crate::replica::{ClientId, NodeId};
use crate::sim::{Chaos, Options, Span, Violation, World, for_each_seed};
use crate::zab::{self, Zxid};

/// How often a client asks, and how long the chaos lasts.
const STEP: Duration = Duration::from_millis(20);
pub(super) const CHAOS: Duration = Duration::from_secs(10);

pub(super) fn world(seed: u64, options: Options, bugs: &[Bug], compact_above: usize) -> World<Teller> {
    let peers: Vec<NodeId> = (1..=options.nodes).map(NodeId).collect();
    let bugs = bugs.to_vec();
    let configure = move |id, life| {
        let zab = zab::Config { bugs: bugs.clone(), retain: 20, ..zab::Config::new(id, peers.clone()) };
        Config { zab, life, compact_above }
    };
    let mut world = World::new(seed, configure, options);
    world.invariant("state agreement", |live: &[(NodeId, &Teller)]| {
        let mut states: BTreeMap<Zxid, (NodeId, &[u64])> = BTreeMap::new();
        for (id, teller) in live {
            let (first, state) = *states.entry(teller.delivered()).or_insert((*id, &teller.values));
            if state != teller.values {
                return Err(format!(
                    "{first} and {id} differ at {}: {state:?} against {:?}",
                    teller.delivered(),
                    teller.values
                ));
            }
        }
        Ok(())
    });
    world
}

/// What the clients saw.
#[derive(Default)]
pub(super) struct Clients {
    next: u64,
    /// Numbers that are answered with their zxid.
    added: BTreeMap<u64, Zxid>,
    /// What was answered when a sync was asked.
    syncing: BTreeMap<ClientId, Zxid>,
}

impl Clients {
    fn ask(&mut self, world: &mut World<Teller>) {
        let nodes = world.ids();
        self.next += 1;
        let node = nodes[(self.next % nodes.len() as u64) as usize];
        world.request(node, Request::Add(self.next));
        if self.next.is_multiple_of(3) {
            let seen = self.added.values().max().copied().unwrap_or_default();
            let node = nodes[(self.next / 3 % nodes.len() as u64) as usize];
            let client = world.request(node, Request::Sync);
            self.syncing.insert(client, seen);
        }
    }

    fn listen(&mut self, world: &mut World<Teller>) -> Result<(), Violation> {
        for replied in world.take_replies() {
            match replied.reply {
                Reply::Added { value, zxid } => {
                    if !(1..=self.next).contains(&value) {
                        return Err(world.violation(format!("integrity: nobody proposed {value}")));
                    }
                    if self.added.insert(value, zxid).is_some() {
                        return Err(world.violation(format!("integrity: {value} was delivered twice")));
                    }
                }
                Reply::Synced(zxid) => {
                    let (node, seen) = (replied.node, self.syncing[&replied.client]);
                    if zxid < seen {
                        let what = format!("sync: {node} answers {zxid}, but {seen} was answered before");
                        return Err(world.violation(what));
                    }
                }
                Reply::Refused => {}
            }
        }
        Ok(())
    }
}

impl Clients {
    /// Asks now and then until one of these numbers is delivered everywhere.
    fn reach_all(&mut self, world: &mut World<Teller>) -> Result<(), Violation> {
        let first = self.next + 1;
        for _ in 0..20 {
            self.ask(world);
            world.run_for(Duration::from_millis(200))?;
            self.listen(world)?;
            let delivered = |value: &u64| world.live().iter().all(|(_, teller)| teller.values.contains(value));
            if (first..=self.next).any(|value| delivered(&value)) {
                return Ok(());
            }
        }
        world.run_until(Duration::ZERO, "a number that was asked in the calm is delivered everywhere", |_| false)
    }
}

/// What a peer is up against.
pub(super) struct Trial {
    pub(super) options: Options,
    pub(super) chaos: Chaos,
    /// How often, at each look, a point is armed.
    pub(super) halts: f64,
}

impl Trial {
    /// All kinds of faults, as it comes.
    pub(super) fn of(nodes: u64) -> Trial {
        Trial { options: Options::nodes(nodes), chaos: Chaos::until(CHAOS), halts: 0.0 }
    }

    /// And faults at points.
    pub(super) fn halting(nodes: u64) -> Trial {
        Trial { halts: 0.03, ..Trial::of(nodes) }
    }

    /// Disks so slow that there is always something to lose, and many losses of power.
    pub(super) fn powerless(nodes: u64) -> Trial {
        let (gap, hold) = (Span::millis(20, 400), Span::millis(10, 1_500));
        let chaos = Chaos { gap, hold, power_loss: 10, partition: 8, slow_disk: 0, leader: 0.3, ..Chaos::until(CHAOS) };
        Trial { options: Options { fsync: Span::millis(20, 100), ..Options::nodes(nodes) }, chaos, halts: 0.0 }
    }
}

/// Chaos, calm, then one more number that must reach everybody.
pub(super) fn scenario(seed: u64, trial: &Trial, bugs: &[Bug]) -> Result<Clients, Violation> {
    let compact_above = if seed.is_multiple_of(2) { 50 } else { usize::MAX };
    let mut world = world(seed, trial.options.clone(), bugs, compact_above);
    let mut clients = Clients::default();
    let mut halts = Halts::new(seed, trial.halts, CHAOS);
    world.chaos(trial.chaos.clone());
    while world.now() < CHAOS {
        halts.act(&mut world);
        clients.ask(&mut world);
        world.run_for(STEP)?;
        clients.listen(&mut world)?;
    }
    world.calm();
    clients.reach_all(&mut world)?;
    world.run_for(Duration::from_secs(1))?;
    clients.listen(&mut world)?;
    for (id, teller) in world.live() {
        let delivered: BTreeSet<u64> = teller.values.iter().copied().collect();
        if delivered.len() < teller.values.len() {
            return Err(world.violation(format!("integrity: {id} delivered a number twice")));
        }
        if let Some((value, zxid)) = clients.added.iter().find(|(value, _)| !delivered.contains(value)) {
            return Err(world.violation(format!("durability: {id} lost {value}, which was answered with {zxid}")));
        }
        if delivered.last() > Some(&clients.next) {
            return Err(world.violation(format!("integrity: {id} delivered what nobody proposed")));
        }
    }
    Ok(clients)
}

#[test]
fn three_peers_survive_all_faults() {
    for_each_seed(0..150, |seed| scenario(seed, &Trial::of(3), &[]).map(drop));
}

#[test]
fn five_peers_survive_all_faults() {
    for_each_seed(1_000..1_100, |seed| scenario(seed, &Trial::of(5), &[]).map(drop));
}

#[test]
fn five_peers_survive_network_faults() {
    let trial = Trial { chaos: Chaos::network(CHAOS), ..Trial::of(5) };
    for_each_seed(2_000..2_050, |seed| scenario(seed, &trial, &[]).map(drop));
}

#[test]
fn slow_disks_and_frequent_power_losses_are_survived() {
    for_each_seed(3_000..3_050, |seed| scenario(seed, &Trial::powerless(3), &[]).map(drop));
}

#[test]
fn faults_at_points_are_survived() {
    for_each_seed(4_000..4_100, |seed| scenario(seed, &Trial::halting(3), &[]).map(drop));
    for_each_seed(5_000..5_050, |seed| scenario(seed, &Trial::halting(5), &[]).map(drop));
}

#[test]
fn chaos_leaves_enough_time_for_work() {
    let answered = scenario(1, &Trial::of(3), &[]).map(|clients| clients.added.len());
    assert!(answered.as_ref().is_ok_and(|answered| *answered > 100), "{answered:?} numbers of 500 were answered");
}
