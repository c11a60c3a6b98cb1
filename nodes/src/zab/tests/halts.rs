//! Faults at points: now and then a peer is halted at a point of its protocol, and there something happens.

use std::time::Duration;

use clap::ValueEnum;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::command::Protocol;
use crate::point::Point;
use crate::replica::{Event, NodeId, Replica, Time};
use crate::sim::{Crash, World};

/// Nothing is armed so shortly before the end: a slow disk may be between a peer and its point.
const REST: Duration = Duration::from_secs(1);
/// How long a fault holds, in milliseconds.
const HOLD: std::ops::RangeInclusive<u64> = 20..=2_500;

/// Arms points and strikes there.
pub(crate) struct Halts {
    /// How often, at each look, a point is armed.
    often: f64,
    until: Time,
    rng: ChaCha8Rng,
    points: Vec<Point>,
    undo: Vec<(Time, Undo)>,
}

enum Undo {
    /// Resumed if it is halted, restarted if it is down.
    Wake(NodeId),
    Heal,
}

impl Halts {
    pub(crate) fn new(seed: u64, often: f64, until: Time) -> Halts {
        let points = Point::value_variants().iter().copied().filter(|point| point.protocol() == Protocol::Zab);
        Halts { often, until, rng: ChaCha8Rng::seed_from_u64(seed), points: points.collect(), undo: Vec::new() }
    }

    /// Looks what is due, strikes whom it finds halted, arms another point.
    pub(crate) fn act<R: Replica>(&mut self, world: &mut World<R>) {
        let now = world.now();
        for (_, undo) in self.undo.extract_if(.., |(at, _)| *at <= now) {
            match undo {
                Undo::Wake(node) => {
                    world.resume(node);
                    world.restart(node);
                }
                Undo::Heal => world.heal(),
            }
        }
        for (_, node, event) in world.take_notices() {
            if let Event::Reached(_) = event {
                self.strike(world, node);
            }
        }
        if now + REST > self.until {
            self.points.iter().for_each(|point| world.disarm(*point, None));
        } else if self.rng.random_bool(self.often) {
            let point = self.points[self.rng.random_range(0..self.points.len())];
            world.arm(point, None, self.rng.random_range(1..=2));
        }
    }

    fn strike<R: Replica>(&mut self, world: &mut World<R>, here: NodeId) {
        let leader = world.leader();
        match self.rng.random_range(0..6) {
            0 => world.crash(here, Crash::Kill),
            1 => world.crash(here, Crash::PowerLoss),
            2 => {
                for node in world.ids() {
                    world.crash(node, Crash::PowerLoss);
                    self.later(world, Undo::Wake(node));
                }
            }
            3 => {
                world.crash(here, Crash::Kill);
                if let Some(leader) = leader {
                    world.crash(leader, Crash::Kill);
                    self.later(world, Undo::Wake(leader));
                }
            }
            4 => {
                world.isolate(here);
                world.resume(here);
                return self.later(world, Undo::Heal);
            }
            // It stays halted for a while.
            _ => {}
        }
        self.later(world, Undo::Wake(here));
    }

    fn later<R: Replica>(&mut self, world: &World<R>, undo: Undo) {
        let hold = Duration::from_millis(self.rng.random_range(HOLD));
        self.undo.push((world.now() + hold, undo));
    }
}
