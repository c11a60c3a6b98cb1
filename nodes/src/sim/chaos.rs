//! Faults drawn from the seed.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::network::{Cut, between};
use super::options::Span;
use crate::replica::{NodeId, Time};

/// How a replica dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The machine loses power: of what was not fsynced at most a prefix survives, mostly nothing.
    PowerLoss,
    /// The process is killed: what it handed to the system survives, acknowledged or not.
    Kill,
}

/// A random schedule of faults: which kinds how often (weights, 0 for never), and how long they hold.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// When it ends; then everything is healed, restarted and resumed.
    pub until: Time,
    /// The time between the beginnings of two faults.
    pub gap: Span,
    /// How long a fault holds.
    pub hold: Span,
    /// One node loses power.
    pub power_loss: u32,
    /// All nodes lose power at the same instant.
    pub blackout: u32,
    /// One process is killed.
    pub kill: u32,
    /// Links are cut: halves, one node alone, one direction, or a ring in which neighbours do not hear each other.
    pub partition: u32,
    /// One process is stopped and continued.
    pub pause: u32,
    /// One disk takes fifty times as long for a fsync.
    pub slow_disk: u32,
    /// The probability that a fault of one node hits the one that last said it leads.
    pub leader: f64,
}

impl Chaos {
    /// All kinds of faults until that time.
    #[must_use]
    pub fn until(until: Time) -> Self {
        Chaos {
            until,
            gap: Span::millis(50, 1_500),
            hold: Span::millis(10, 2_500),
            power_loss: 3,
            blackout: 1,
            kill: 2,
            partition: 5,
            pause: 2,
            slow_disk: 1,
            leader: 0.5,
        }
    }

    /// Only the faults of the network.
    #[must_use]
    pub fn network(until: Time) -> Self {
        Chaos { power_loss: 0, blackout: 0, kill: 0, pause: 0, slow_disk: 0, ..Chaos::until(until) }
    }

    /// Draws the next fault.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng, nodes: &[NodeId], leader: Option<NodeId>) -> Option<Fault> {
        let node = match leader {
            Some(leader) if rng.random_bool(self.leader) => leader,
            _ => nodes[rng.random_range(0..nodes.len())],
        };
        let kinds = [self.power_loss, self.blackout, self.kill, self.partition, self.pause, self.slow_disk];
        let total: u32 = kinds.iter().sum();
        if total == 0 {
            return None;
        }
        let mut drawn = rng.random_range(0..total);
        let kind = kinds.iter().position(|&weight| {
            let hit = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            hit
        })?;
        Some(match kind {
            0 => Fault::Crash(node, Crash::PowerLoss),
            1 => Fault::Blackout,
            2 => Fault::Crash(node, Crash::Kill),
            3 => Fault::Partition(partition(rng, nodes, node)),
            4 => Fault::Pause(node),
            _ => Fault::SlowDisk(node),
        })
    }
}

#[derive(Clone, Debug)]
pub(super) enum Fault {
    Crash(NodeId, Crash),
    Blackout,
    Partition(Vec<Cut>),
    Pause(NodeId),
    SlowDisk(NodeId),
}

/// How a fault ends.
#[derive(Clone, Debug)]
pub(super) enum Undo {
    Restart(NodeId),
    RestartAll,
    /// Only if no later partition has taken this one's place.
    Heal {
        partition: u64,
    },
    Resume(NodeId),
    MendDisk(NodeId),
}

fn partition(rng: &mut ChaCha8Rng, nodes: &[NodeId], alone: NodeId) -> Vec<Cut> {
    let others: Vec<NodeId> = nodes.iter().copied().filter(|&node| node != alone).collect();
    match rng.random_range(0..5) {
        0 => between(&[alone], &others),
        1 => others.iter().map(|&to| Cut { from: alone, to }).collect(),
        2 => others.iter().map(|&from| Cut { from, to: alone }).collect(),
        3 => {
            let mut shuffled = nodes.to_vec();
            for at in (1..shuffled.len()).rev() {
                shuffled.swap(at, rng.random_range(0..=at));
            }
            let (left, right) = shuffled.split_at(nodes.len() / 2);
            between(left, right)
        }
        _ => (0..nodes.len()).flat_map(|at| between(&[nodes[at]], &[nodes[(at + 1) % nodes.len()]])).collect(),
    }
}
