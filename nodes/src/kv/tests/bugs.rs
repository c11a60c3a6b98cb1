//! Each planted bug is found by the fault that it is named for, and the correct replica survives the same.

use std::ops::Range;
use std::time::Duration;

use super::cluster::{Clients, Setup, Work, elect, world};
use super::keepers::Keepers;
use super::narrow::{Act, Nemesis, Script};
use crate::bugs::Bug;
use crate::kv::{Compaction, Replica};
use crate::point::Point;
use crate::sim::{Chaos, Options, Span, Violation, World, expect_violation, for_each_seed};

/// A scenario: who works, and which faults there are.
#[derive(Clone, Copy, Debug)]
struct Case {
    nodes: u64,
    work: Kind,
    faults: Faults,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Registers,
    Leases,
}

#[derive(Clone, Copy, Debug)]
enum Faults {
    Chaos(fn(Duration) -> Chaos),
    AtPoints(&'static [Script]),
}

/// Elected, and nobody knows: whoever voted is restarted, and the former leader is back to ask for votes.
const VOTE_LOST: Case = at_points(3, &[&[(Point::RaftElected, Act::RestartOthers)]]);
/// Figure 8 of the paper: the second leader is cut off with its first entry, the first one is back and commits what it
/// had written alone, and is killed.
const COMMIT_OLD_TERM: Case =
    at_points(3, &[&[(Point::RaftElected, Act::Isolate), (Point::RaftEstablished, Act::Kill)]]);
const READID_REUSE: Case = Case { nodes: 3, work: Kind::Registers, faults: Faults::Chaos(leader_pauses) };
const INDEX_EARLY: Case = at_points(3, &[&[(Point::RaftSnapshotTaken, Act::Kill)]]);
const OLD_LEADER: Case = Case { nodes: 3, work: Kind::Leases, faults: Faults::Chaos(leader_pauses) };
const NO_EXTEND: Case = Case { nodes: 3, work: Kind::Leases, faults: Faults::Chaos(leader_kills) };
/// All acts at all points, for replicas that have to survive them.
const EVERYWHERE: &[Script] = &[
    &[(Point::RaftVoted, Act::Pause), (Point::RaftElected, Act::Kill)],
    &[(Point::RaftVoted, Act::Kill), (Point::RaftVoted, Act::Isolate)],
    &[(Point::RaftElected, Act::Pause), (Point::RaftElected, Act::RestartOthers)],
    &[(Point::RaftElected, Act::Isolate), (Point::RaftEstablished, Act::Pause)],
    &[(Point::RaftEstablished, Act::RestartOthers), (Point::RaftSnapshotTaken, Act::Kill)],
    &[(Point::RaftSnapshotTaken, Act::Isolate), (Point::RaftSnapshotInstalled, Act::Kill)],
    &[(Point::RaftSnapshotInstalled, Act::Pause), (Point::RaftElected, Act::Kill)],
];

const fn at_points(nodes: u64, scripts: &'static [Script]) -> Case {
    Case { nodes, work: Kind::Registers, faults: Faults::AtPoints(scripts) }
}

/// Leaders are paused, mostly longer than the shortest lease lives.
fn leader_pauses(until: Duration) -> Chaos {
    let only = Chaos { power_loss: 0, blackout: 0, kill: 0, partition: 0, slow_disk: 0, ..Chaos::until(until) };
    Chaos { leader: 1.0, gap: Span::millis(800, 2_000), hold: Span::millis(300, 3_500), ..only }
}

/// Leaders are killed, one after the other.
fn leader_kills(until: Duration) -> Chaos {
    let only = Chaos { power_loss: 0, blackout: 0, pause: 0, partition: 0, slow_disk: 0, ..Chaos::until(until) };
    Chaos { leader: 1.0, gap: Span::millis(300, 1_500), hold: Span::millis(10, 900), ..only }
}

/// How much the clients got done.
fn run(seed: u64, case: Case, bug: Option<Bug>) -> Result<usize, Violation> {
    let setup = Setup { bugs: bug.into_iter().collect(), compaction: Some(Compaction::every(50)) };
    let mut world = world(seed, Options::nodes(case.nodes), setup);
    match case.work {
        Kind::Registers => {
            let mut clients = Clients::new(seed, case.nodes, 6);
            suffer(seed, case.faults, &mut world, &mut clients)?;
            for node in world.ids() {
                clients.read_all(&mut world, node)?;
            }
            result(&world, &clients)
        }
        Kind::Leases => {
            let mut keepers = Keepers::new(seed, case.nodes, 6);
            suffer(seed, case.faults, &mut world, &mut keepers)?;
            result(&world, &keepers)
        }
    }
}

fn result(world: &World<Replica>, work: &impl Work) -> Result<usize, Violation> {
    work.check().map_err(|what| world.violation(what))?;
    Ok(work.done())
}

/// Faults while there is work, and then none.
fn suffer(seed: u64, faults: Faults, world: &mut World<Replica>, work: &mut impl Work) -> Result<(), Violation> {
    elect(world)?;
    match faults {
        Faults::Chaos(chaos) => {
            let end = world.now() + Duration::from_secs(8);
            world.chaos(chaos(end));
            work.run_until(world, end)?;
        }
        Faults::AtPoints(scripts) => {
            let mut nemesis = Nemesis::new(seed, scripts);
            for _ in 0..4 {
                nemesis.round(world, work)?;
            }
        }
    }
    world.calm();
    elect(world)?;
    let end = world.now() + Duration::from_millis(500);
    work.run_until(world, end)
}

/// The bug is found, and the correct replica survives the same.
fn is_found(bug: Bug, case: Case, seeds: Range<u64>, broken: &str) {
    let violation = expect_violation(seeds.clone(), |seed| run(seed, case, Some(bug)).map(drop));
    assert!(violation.what.contains(broken), "{violation}");
    is_survived(case, seeds);
}

fn is_survived(case: Case, seeds: Range<u64>) {
    let (mut done, count) = (0, seeds.end - seeds.start);
    for_each_seed(seeds, |seed| {
        done += run(seed, case, None)?;
        Ok(())
    });
    assert!(done > 20 * usize::try_from(count).expect("few"), "only {done} calls of clients: nothing was tested");
}

#[test]
fn raft_vote_lost_is_found() {
    is_found(Bug::RaftVoteLost, VOTE_LOST, 0..20, "election safety");
}

#[test]
fn raft_commit_old_term_is_found() {
    is_found(Bug::RaftCommitOldTerm, COMMIT_OLD_TERM, 0..20, "leader completeness");
}

#[test]
fn raft_readid_reuse_is_found() {
    is_found(Bug::RaftReadidReuse, READID_REUSE, 0..100, "linearizability");
}

#[test]
fn kv_index_early_is_found() {
    is_found(Bug::KvIndexEarly, INDEX_EARLY, 0..20, "linearizability");
}

#[test]
fn lease_old_leader_is_found() {
    is_found(Bug::LeaseOldLeader, OLD_LEADER, 0..40, "before its time");
}

#[test]
fn lease_no_extend_is_found() {
    is_found(Bug::LeaseNoExtend, NO_EXTEND, 0..20, "before its time");
}

#[test]
fn faults_at_all_points_are_survived() {
    for (nodes, seeds) in [(3, 4_000..4_040), (5, 5_000..5_020)] {
        let case = at_points(nodes, EVERYWHERE);
        is_survived(case, seeds.clone());
        is_survived(Case { work: Kind::Leases, ..case }, seeds);
    }
}
