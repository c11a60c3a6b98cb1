//! Faults where they are worth most: whoever comes to an armed point is halted there, and something is done to it or
//! to the others.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::cluster::Work;
use crate::kv::Replica;
use crate::point::Point;
use crate::replica::{Event, NodeId};
use crate::sim::{Crash, Violation, World};

/// What is done when a node is halted at a point. A partition of an earlier step is healed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// It stays halted.
    Pause,
    /// It is killed.
    Kill,
    /// It goes on, but nobody hears it, nor does it hear anybody.
    Isolate,
    /// All others are killed and started again at once; it stays halted.
    RestartOthers,
}

/// What to do where, one after the other.
pub(super) type Script = &'static [(Point, Act)];

/// Plays scripts, each time one drawn from several.
#[derive(Debug)]
pub(super) struct Nemesis {
    rng: ChaCha8Rng,
    scripts: &'static [Script],
}

impl Nemesis {
    pub(super) fn new(seed: u64, scripts: &'static [Script]) -> Self {
        Nemesis { rng: ChaCha8Rng::seed_from_u64(seed ^ 0x6e65_6d65), scripts }
    }

    /// The leader is cut off; then each step of a script waits until somebody comes to its point. At last all is well
    /// again for a while.
    pub(super) fn round(&mut self, world: &mut World<Replica>, work: &mut impl Work) -> Result<(), Violation> {
        let script = *self.scripts.choose(&mut self.rng).expect("there are scripts");
        if let Some(leader) = world.leader() {
            world.isolate(leader);
        }
        let mut hit = Vec::new();
        for &(point, act) in script {
            let Some(node) = self.halted_at(world, work, point)? else { break };
            world.heal();
            self.act(world, act, node);
            hit.push(node);
        }
        self.work_for(world, work, 30..=900)?;
        world.heal();
        for node in hit {
            world.resume(node);
            world.restart(node);
        }
        self.work_for(world, work, 100..=1_000)
    }

    fn halted_at(
        &mut self,
        world: &mut World<Replica>,
        work: &mut impl Work,
        point: Point,
    ) -> Result<Option<NodeId>, Violation> {
        world.take_notices();
        world.arm(point, None, 1);
        let limit = world.now() + Duration::from_millis(1_500);
        while world.now() < limit {
            self.work_for(world, work, 5..=5)?;
            let halted = world.take_notices().into_iter().find(|(.., event)| matches!(event, Event::Reached(_)));
            if let Some((_, node, _)) = halted {
                return Ok(Some(node));
            }
        }
        world.disarm(point, None);
        Ok(None)
    }

    fn act(&mut self, world: &mut World<Replica>, act: Act, node: NodeId) {
        match act {
            Act::Pause => {}
            Act::Kill => world.crash(node, Crash::Kill),
            Act::Isolate => {
                world.isolate(node);
                world.resume(node);
            }
            Act::RestartOthers => {
                for other in world.ids().into_iter().filter(|&other| other != node) {
                    world.crash(other, Crash::Kill);
                    world.restart(other);
                }
            }
        }
    }

    fn work_for(
        &mut self,
        world: &mut World<Replica>,
        work: &mut impl Work,
        milliseconds: RangeInclusive<u64>,
    ) -> Result<(), Violation> {
        let end = world.now() + Duration::from_millis(self.rng.random_range(milliseconds));
        work.run_until(world, end)
    }
}
