//! The faults that are in force in a simulated world, and who is hit by them.

use std::collections::BTreeMap;
use std::time::Duration;

use grudge_nodes::replica::NodeId;
use grudge_nodes::sim::{Crash, Cut, DiskFault, Jump, Options, Packets, Span, World};
use rand_chacha::ChaCha8Rng;

use super::protocol::Protocol;
use crate::fault::resolve::{self, Crew, Meant, Situation};
use crate::fault::{Arena, ClockChange, DiskTrouble, Evidence, Fault, PacketTrouble, Receipt};
use crate::nemesis::{StepId, Trap, target_rng};

/// What is asked first whether it exists here.
const REAL_ONLY: &str = "it exists on real processes only, and was refused before";

/// What the nemesis has on its hands.
pub(super) struct Siege {
    names: Vec<String>,
    rng: ChaCha8Rng,
    in_force: BTreeMap<StepId, InForce>,
    snare: Option<Snare>,
}

/// A trap that is set.
struct Snare {
    step: StepId,
    trap: Trap,
    /// Whom it has caught.
    caught: Option<NodeId>,
}

/// A fault in force.
struct InForce {
    /// With its nodes named.
    fault: Fault,
    meant: Meant,
}

impl Siege {
    /// Of a world with so many nodes.
    pub(super) fn new(nodes: usize, seed: u64) -> Siege {
        let names = (1..=nodes).map(|id| NodeId(id as u64).to_string()).collect();
        Siege { names, rng: target_rng(seed), in_force: BTreeMap::new(), snare: None }
    }

    /// The nodes' names, in their order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Sets a trap.
    pub(super) fn arm<P: Protocol>(&mut self, world: &mut World<P>, step: StepId, trap: Trap) {
        let nth = u32::try_from(trap.nth).unwrap_or(u32::MAX);
        // Each node counts for itself, as processes do.
        self.wanted(&trap).for_each(|node| world.arm(trap.point, Some(node), nth));
        self.snare = Some(Snare { step, trap, caught: None });
    }

    /// A node was halted. Answers whose trap has caught it; a second one goes on, and so does one that nobody waits
    /// for any more.
    pub(super) fn halted<P: Protocol>(&mut self, world: &mut World<P>, node: NodeId) -> Option<StepId> {
        match &mut self.snare {
            Some(Snare { step, caught: caught @ None, .. }) => {
                *caught = Some(node);
                let step = *step;
                self.unset(world);
                Some(step)
            }
            _ => {
                world.resume(node);
                None
            }
        }
    }

    /// Takes the trap away. Who was caught goes on, unless a fault keeps it from that.
    pub(super) fn disarm<P: Protocol>(&mut self, world: &mut World<P>) {
        self.unset(world);
        let Some(node) = self.snare.take().and_then(|snare| snare.caught) else { return };
        let kept = |other: &InForce| {
            matches!(other.fault, Fault::Pause(_)) && nodes(&other.meant).any(|index| id(index) == node)
        };
        if !self.in_force.values().any(kept) {
            world.resume(node);
        }
    }

    fn unset<P: Protocol>(&self, world: &mut World<P>) {
        if let Some(Snare { trap, .. }) = &self.snare {
            self.wanted(trap).for_each(|node| world.disarm(trap.point, Some(node)));
        }
    }

    fn wanted(&self, trap: &Trap) -> impl Iterator<Item = NodeId> {
        let name = trap.node.clone();
        let nodes: Vec<NodeId> = (0..self.names.len())
            .filter(|node| name.as_ref().is_none_or(|name| self.names[*node] == *name))
            .map(id)
            .collect();
        nodes.into_iter()
    }

    /// Puts a fault in force. Answers what exactly that was.
    ///
    /// # Errors
    /// It means nobody at the moment; nothing was done.
    pub(super) fn start<P: Protocol>(
        &mut self,
        world: &mut World<P>,
        step: StepId,
        fault: &Fault,
        held: Option<&str>,
    ) -> Result<(Fault, Receipt), String> {
        let runs = |node: &usize| {
            let caught = held == Some(self.names[*node].as_str());
            world.replica(id(*node)).is_some() && (caught || !world.is_paused(id(*node)))
        };
        let running: Vec<usize> = (0..self.names.len()).filter(runs).collect();
        let leader = world.leader().map(index);
        fault.exists(Arena::Simulation)?;
        let situation = Situation { names: &self.names, leader, running: &running, clients: Crew::default() };
        let meant = resolve::meant(fault, &situation, &mut self.rng)?;
        let exact = resolve::exact(fault, &meant, &self.names);
        let receipt = self.receipt(word(fault), &meant);
        for node in nodes(&meant).map(id) {
            match fault {
                Fault::Partition(_) | Fault::Packets(_) => {}
                Fault::Pause(_) => world.pause(node),
                Fault::Kill(_) => world.crash(node, Crash::Kill),
                Fault::Power(_) => world.crash(node, Crash::PowerLoss),
                Fault::Clock { change, .. } => turn(world, node, *change),
                Fault::Disk { trouble, .. } => world.disk(node, ail(*trouble)),
                Fault::Thread(_)
                | Fault::Restart { .. }
                | Fault::Reset(_)
                | Fault::Cpu { .. }
                | Fault::Memory { .. }
                | Fault::Member(_)
                | Fault::Client { .. } => unreachable!("{REAL_ONLY}"),
            }
        }
        self.in_force.insert(step, InForce { fault: exact.clone(), meant });
        self.wire(world, fault);
        Ok((exact, receipt))
    }

    /// Takes a fault away. Answers what it was.
    pub(super) fn stop<P: Protocol>(&mut self, world: &mut World<P>, step: StepId) -> (Fault, Receipt) {
        let InForce { fault, meant } =
            self.in_force.remove(&step).expect("the agenda stops only what it was told is in force");
        for node in nodes(&meant).map(id) {
            match &fault {
                Fault::Partition(_) | Fault::Packets(_) => {}
                Fault::Pause(_) => world.resume(node),
                Fault::Kill(_) | Fault::Power(_) => world.restart(node),
                Fault::Clock { change, .. } => turn_back(world, node, *change),
                Fault::Disk { .. } => {
                    world.disk(node, DiskFault::None);
                    // It may have died of it.
                    world.restart(node);
                }
                Fault::Thread(_)
                | Fault::Restart { .. }
                | Fault::Reset(_)
                | Fault::Cpu { .. }
                | Fault::Memory { .. }
                | Fault::Member(_)
                | Fault::Client { .. } => unreachable!("{REAL_ONLY}"),
            }
        }
        self.wire(world, &fault);
        let receipt = self.receipt("as before:", &meant);
        (fault, receipt)
    }

    /// Makes the network what all faults in force together want, if a fault of that kind has come or gone.
    fn wire<P: Protocol>(&self, world: &mut World<P>, changed: &Fault) {
        match changed {
            Fault::Partition(_) => {
                world.heal();
                for other in self.in_force.values() {
                    if let Meant::Links(links) = &other.meant {
                        world.cut(links.iter().map(|&(from, to)| Cut { from: id(from), to: id(to) }));
                    }
                }
            }
            Fault::Packets(_) => {
                world.packets(None);
                for other in self.in_force.values() {
                    if let Fault::Packets(trouble) = &other.fault {
                        let links = resolve::troubled(trouble, nodes(&other.meant), &self.names);
                        let links = links.into_iter().map(|(from, to)| Cut { from: id(from), to: id(to) });
                        world.packets_on(links, Some(treatment(trouble)));
                    }
                }
            }
            _ => {}
        }
    }

    /// True by construction.
    fn receipt(&self, what: &str, meant: &Meant) -> Receipt {
        let (nodes, what) = match meant {
            Meant::Nodes(nodes) => (nodes.iter().map(|&node| self.names[node].clone()).collect(), what.to_owned()),
            Meant::Links(links) => {
                let arrow = |&(from, to): &(usize, usize)| format!("{}→{}", self.names[from], self.names[to]);
                (Vec::new(), format!("{what} {}", links.iter().map(arrow).collect::<Vec<_>>().join(" ")))
            }
            Meant::Workers(_) => unreachable!("{REAL_ONLY}"),
        };
        Receipt { nodes, evidence: Evidence::Simulated(what), took: Duration::ZERO }
    }
}

fn id(index: usize) -> NodeId {
    NodeId(index as u64 + 1)
}

fn index(node: NodeId) -> usize {
    usize::try_from(node.0).unwrap_or(usize::MAX) - 1
}

/// The nodes that a fault hits, in ascending order; none of a partition.
fn nodes(meant: &Meant) -> impl Iterator<Item = usize> {
    match meant {
        Meant::Nodes(nodes) => nodes.clone(),
        Meant::Links(_) | Meant::Workers(_) => Vec::new(),
    }
    .into_iter()
}

fn word(fault: &Fault) -> &'static str {
    match fault {
        Fault::Partition(_) => "silent",
        Fault::Pause(_) => "stopped",
        Fault::Kill(_) => "killed",
        Fault::Power(_) => "without power",
        Fault::Clock { .. } => "clock wrong",
        Fault::Disk { .. } => "disk in trouble",
        Fault::Packets(_) => "packets in trouble",
        Fault::Thread(_)
        | Fault::Restart { .. }
        | Fault::Reset(_)
        | Fault::Cpu { .. }
        | Fault::Memory { .. }
        | Fault::Member(_)
        | Fault::Client { .. } => unreachable!("{REAL_ONLY}"),
    }
}

fn turn<P: Protocol>(world: &mut World<P>, node: NodeId, change: ClockChange) {
    match change {
        ClockChange::Drift(ppm) => world.set_clock_rate(node, ppm),
        ClockChange::Jump(by) if by.is_negative() => world.jump_clock(node, Jump::Backward(by.unsigned_abs())),
        ClockChange::Jump(by) => world.jump_clock(node, Jump::Forward(by.unsigned_abs())),
        ClockChange::Strobe { .. } => unreachable!("{REAL_ONLY}"),
    }
}

fn turn_back<P: Protocol>(world: &mut World<P>, node: NodeId, change: ClockChange) {
    match change {
        ClockChange::Drift(_) => world.set_clock_rate(node, 0),
        ClockChange::Jump(by) => turn(world, node, ClockChange::Jump(-by)),
        ClockChange::Strobe { .. } => unreachable!("{REAL_ONLY}"),
    }
}

fn ail(trouble: DiskTrouble) -> DiskFault {
    match trouble {
        DiskTrouble::Slow(by) => DiskFault::Slow { times: times(by) },
        DiskTrouble::Full => DiskFault::Full,
        DiskTrouble::ReadError => DiskFault::ReadError,
        DiskTrouble::WriteError | DiskTrouble::FsyncError | DiskTrouble::Flip => unreachable!("{REAL_ONLY}"),
    }
}

fn treatment(trouble: &PacketTrouble) -> Packets {
    let usual = Packets::calm();
    let percent = |part: u8| f64::from(part.min(100)) / 100.0;
    Packets {
        delay: Span { min: usual.delay.min + trouble.delay, max: usual.delay.max + trouble.delay + trouble.jitter },
        late_probability: percent(trouble.late),
        loss: percent(trouble.loss),
        duplicate: percent(trouble.duplicate),
        ..usual
    }
}

/// How many times as long a usual fsync takes that takes so much longer.
fn times(by: Duration) -> u32 {
    let usual = Options::default().fsync;
    let usual = (usual.min + usual.max) / 2;
    1 + u32::try_from(by.as_micros() / usual.as_micros().max(1)).unwrap_or(u32::MAX - 1)
}
