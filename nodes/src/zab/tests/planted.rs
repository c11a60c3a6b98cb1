//! The planted bugs are found: by chaos where luck is enough, by a script where the window is narrow. With the same
//! seeds and faults the correct peers break nothing.

use std::time::Duration;

use super::chaos::{Trial, scenario, world};
use super::teller::{Reply, Request, Teller};
use crate::bugs::Bug;
use crate::point::Point;
use crate::replica::NodeId;
use crate::sim::{Crash, Options, Violation, World, expect_violation, for_each_seed};

/// How long anything that must happen in a calm world may take.
const SOON: Duration = Duration::from_secs(5);

/// Is found within as many seeds of chaos, over which the correct peers break nothing.
fn chaos_finds(bug: Bug, trial: &Trial, seeds: std::ops::Range<u64>) {
    let violation = expect_violation(seeds, |seed| scenario(seed, trial, &[bug]).map(drop));
    assert!(!violation.what.starts_with("liveness"), "{violation}");
    for_each_seed(0..violation.seed + 1, |seed| scenario(seed, trial, &[]).map(drop));
}

#[test]
fn a_skipped_truncation_is_found() {
    chaos_finds(Bug::ZabSkipTrunc, &Trial::of(3), 0..40);
}

#[test]
fn an_acknowledgement_before_the_fsync_is_found() {
    chaos_finds(Bug::ZabAckBeforeFsync, &Trial::powerless(3), 0..400);
}

#[test]
fn a_state_kept_in_memory_is_found() {
    chaos_finds(Bug::ZabSnapMemory, &Trial::of(3), 0..100);
}

#[test]
fn a_forgotten_promise_is_found() {
    chaos_finds(Bug::ZabForgetAccepted, &Trial::halting(3), 0..100);
}

#[test]
fn a_hole_in_the_log_that_others_are_sent_is_found() {
    chaos_finds(Bug::ZabLogHole, &Trial::of(5), 0..100);
}

#[test]
fn faults_at_points_find_what_has_narrow_windows() {
    for bug in [Bug::ZabEpochBeforeLog, Bug::ZabNewleaderAckEarly] {
        chaos_finds(bug, &Trial::halting(3), 0..200);
    }
}

/// Three peers in step, and who they are.
struct Trio {
    world: World<Teller>,
    leader: NodeId,
    one: NodeId,
    other: NodeId,
    next: u64,
}

impl Trio {
    fn start(seed: u64, bugs: &[Bug]) -> Result<Trio, Violation> {
        let mut world = world(seed, Options::calm(3), bugs, usize::MAX);
        world.run_until(SOON, "a leader", |world| world.leader().is_some())?;
        let leader = world.leader().expect("the world ran until there was one");
        let mut others = world.ids().into_iter().filter(|id| *id != leader);
        let (one, other) = (others.next().expect("three peers"), others.next().expect("three peers"));
        let mut trio = Trio { world, leader, one, other, next: 0 };
        trio.add()?;
        trio.all_have(trio.next)?;
        Ok(trio)
    }

    /// The leader's client adds a number, and is answered.
    fn add(&mut self) -> Result<(), Violation> {
        let value = self.ask();
        self.world.run_until(SOON, "an answer", |world| {
            world.replies().iter().any(|replied| matches!(replied.reply, Reply::Added { value: it, .. } if it == value))
        })
    }

    /// The leader's client adds a number and does not wait.
    fn ask(&mut self) -> u64 {
        self.next += 1;
        self.world.request(self.leader, Request::Add(self.next));
        self.next
    }

    fn all_have(&mut self, value: u64) -> Result<(), Violation> {
        self.world.run_until(SOON, "all deliver it", |world| {
            world.live().iter().all(|(_, teller)| teller.values.contains(&value))
        })
    }

    /// What was answered must be everywhere once all peers are back and one number more has gone through.
    fn end(mut self) -> Result<(), Violation> {
        self.world.calm();
        self.world.run_until(SOON, "a leader in the calm", |world| {
            world.leader().is_some_and(|leader| world.live().iter().all(|(_, teller)| teller.follows(leader)))
        })?;
        self.leader = self.world.leader().expect("the world ran until there was one");
        self.add()?;
        self.all_have(self.next)?;
        for replied in self.world.take_replies() {
            let Reply::Added { value, zxid } = replied.reply else { continue };
            let lost = |(_, teller): &&(NodeId, &Teller)| !teller.values.contains(&value);
            if let Some((id, _)) = self.world.live().iter().find(lost) {
                let what = format!("durability: {id} lost {value}, which was answered with {zxid}");
                return Err(self.world.violation(what));
            }
        }
        Ok(())
    }
}

/// Found within a few seeds of the script, over which the correct peers break nothing.
fn script_finds(bug: Bug, script: fn(Trio) -> Result<(), Violation>) {
    let seeds = 0..10;
    let run = |seed, bugs: &[Bug]| script(Trio::start(seed, bugs)?);
    let violation = expect_violation(seeds.clone(), |seed| run(seed, &[bug]));
    assert!(!violation.what.starts_with("liveness"), "{violation}");
    for_each_seed(seeds, |seed| run(seed, &[]));
}

/// A follower that missed transactions dies while it takes them over, and meets next the other one that has them.
fn a_stale_follower_dies_in_synchronisation(mut trio: Trio) -> Result<(), Violation> {
    let (stale, complete) = (trio.one, trio.other);
    trio.world.crash(stale, Crash::Kill);
    for _ in 0..3 {
        trio.add()?;
    }
    trio.world.crash(complete, Crash::Kill);
    let leader = trio.leader;
    trio.world.run_until(SOON, "the leader gives up", |world| world.leader() != Some(leader))?;
    trio.world.arm(Point::ZabEpochCurrent, Some(stale), 1);
    trio.world.restart(stale);
    trio.world.run_until(SOON, "the leader's epoch is durable", |world| world.is_paused(stale))?;
    trio.world.crash(stale, Crash::Kill);
    trio.world.crash(leader, Crash::Kill);
    trio.world.restart(stale);
    trio.world.restart(complete);
    trio.world.run_until(SOON, "the two find a leader", |world| world.leader().is_some())?;
    trio.end()
}

#[test]
fn an_epoch_that_is_durable_before_the_log_is_found() {
    script_finds(Bug::ZabEpochBeforeLog, a_stale_follower_dies_in_synchronisation);
}

/// A leader alone has a transaction; its followers die as soon as they have acknowledged that they have it, too.
fn the_followers_die_when_a_leader_is_established(mut trio: Trio) -> Result<(), Violation> {
    let (leader, followers) = (trio.leader, [trio.one, trio.other]);
    for id in followers {
        trio.world.crash(id, Crash::Kill);
    }
    trio.ask();
    trio.world.run_until(SOON, "the leader gives up", |world| world.leader().is_none())?;
    for id in followers {
        trio.world.arm(Point::ZabNewleaderAcked, Some(id), 1);
        trio.world.restart(id);
    }
    trio.world.run_until(SOON, "it leads again", |world| {
        world.leader() == Some(leader) && followers.iter().all(|id| world.is_paused(*id))
    })?;
    for id in trio.world.ids() {
        trio.world.crash(id, Crash::Kill);
    }
    followers.into_iter().for_each(|id| trio.world.restart(id));
    trio.world.run_until(SOON, "the others find a leader", |world| world.leader().is_some())?;
    trio.end()
}

#[test]
fn a_history_that_is_acknowledged_too_early_is_found() {
    script_finds(Bug::ZabNewleaderAckEarly, the_followers_die_when_a_leader_is_established);
}
