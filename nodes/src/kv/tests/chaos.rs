//! Whole clusters under drawn faults: nothing acknowledged is lost, every read is linearizable, and after the faults
//! the cluster works again.

use std::time::Duration;

use super::cluster::{Clients, Setup, Work, elect, insist, put, world};
use crate::bugs::Bug;
use crate::kv::{Compaction, Due, Replica};
use crate::replica::NodeId;
use crate::sim::{Chaos, Options, Violation, World, expect_violation, for_each_seed};

/// What a run is made of.
#[derive(Clone, Debug)]
struct Run {
    nodes: u64,
    setup: Setup,
    chaos: fn(Duration) -> Chaos,
}

impl Run {
    fn of(nodes: u64) -> Self {
        Run { nodes, setup: Setup::default(), chaos: Chaos::until }
    }

    fn with_bug(bug: Bug) -> Self {
        Run { setup: Setup { bugs: vec![bug], ..Setup::default() }, ..Run::of(3) }
    }
}

/// Chaos with clients, then calm: it has to converge and to serve.
fn run(seed: u64, run: &Run) -> Result<(World<Replica>, Clients), Violation> {
    let options = Options { trace_lines: 2_000, ..Options::nodes(run.nodes) };
    let mut world = world(seed, options, run.setup.clone());
    let mut clients = Clients::new(seed, run.nodes, 6);
    let end = Duration::from_secs(6);
    world.chaos((run.chaos)(end));
    clients.run_until(&mut world, end)?;
    world.calm();
    elect(&mut world)?;
    world.run_until(Duration::from_secs(10), "every node takes a write", |world| {
        let applied = |(_, replica): &(NodeId, &Replica)| replica.applied();
        let live = world.live();
        live.len() as u64 == run.nodes && live.iter().map(applied).min() == live.iter().map(applied).max()
    })?;
    for node in world.ids() {
        let (_began, _answer) = insist(&mut world, node, &put("after", "the faults"))?;
        clients.read_all(&mut world, node)?;
    }
    clients.history.check().map_err(|what| broken(&world, seed, &what))?;
    Ok((world, clients))
}

fn broken(world: &World<Replica>, seed: u64, what: &str) -> Violation {
    Violation { seed, at: world.now(), what: what.to_owned(), trace: world.trace() }
}

#[test]
fn three_nodes_keep_their_promises_under_all_faults() {
    let (mut writes, mut reads) = (0, 0);
    for_each_seed(0..150, |seed| {
        let (_, clients) = run(seed, &Run::of(3))?;
        writes += clients.history.acknowledged();
        reads += clients.history.reads();
        Ok(())
    });
    assert!(writes > 100 && reads > 100, "only {writes} writes and {reads} reads: nothing was tested");
}

#[test]
fn five_nodes_keep_their_promises_under_all_faults() {
    for_each_seed(1000..1050, |seed| run(seed, &Run::of(5)).map(drop));
}

#[test]
fn a_network_that_misbehaves_is_survived() {
    for_each_seed(2000..2050, |seed| run(seed, &Run { chaos: Chaos::network, ..Run::of(3) }).map(drop));
}

#[test]
fn a_log_that_is_compacted_again_and_again_keeps_its_promises() {
    let sorts = [Compaction { when: Due::Bytes(500), keep_entries: 3 }, Compaction::every(20)];
    let (mut compacted, mut installed) = (0, 0);
    for_each_seed(3000..3060, |seed| {
        let compaction = Some(sorts[usize::from(seed % 2 == 0)]);
        let (world, _) = run(seed, &Run { setup: Setup { compaction, ..Setup::default() }, ..Run::of(3) })?;
        compacted += world.live().iter().filter(|(_, replica)| replica.raft().snapshot().is_some()).count();
        installed += world.trace().matches("Install {").count();
        Ok(())
    });
    assert!(compacted > 0, "nobody compacted anything");
    assert!(installed > 0, "nobody was sent a snapshot");
}

#[test]
fn raft_no_fsync_is_found() {
    let violation = expect_violation(0..60, |seed| run(seed, &Run::with_bug(Bug::RaftNoFsync)).map(drop));
    assert!(violation.to_string().contains("GRUDGE_SEED="), "{violation}");
}

#[test]
fn raft_stale_read_is_found() {
    let chaos = Chaos::network;
    let violation =
        expect_violation(0..60, |seed| run(seed, &Run { chaos, ..Run::with_bug(Bug::RaftStaleRead) }).map(drop));
    assert!(violation.what.contains("linearizability"), "{violation}");
}
