//! Leases across a cluster: nobody's ends early, whatever becomes of the leader, and a dead client's ends.

use std::time::Duration;

use bytes::Bytes;

use super::cluster::{Setup, ask, elect, get, insist, value, world};
use crate::kv::Replica;
use crate::kv::api::*;
use crate::replica::{NodeId, Time};
use crate::sim::{Crash, Options, Violation, World, for_each_seed};

const KEY: &str = "leased";

/// A cluster with a key on a lease of that many seconds, and when the lease was granted.
fn leased(seed: u64, ttl: i64) -> Result<(World<Replica>, NodeId, i64, Time), Violation> {
    let mut world = world(seed, Options::calm(3), Setup::default());
    elect(&mut world)?;
    world.run_for(Duration::from_millis(200))?;
    let leader = elect(&mut world)?;
    let (_, answer) = insist(&mut world, leader, &Request::LeaseGrant { id: 0, ttl })?;
    let Response::LeaseGrant { id, .. } = answer.response else { panic!("not the answer to a grant") };
    let granted = world.now();
    let put = PutRequest { lease: id, ..PutRequest::new(KEY, "here") };
    let (_began, _answer) = insist(&mut world, leader, &Request::Put(put))?;
    Ok((world, leader, id, granted))
}

fn is_there(world: &mut World<Replica>) -> Result<bool, Violation> {
    let leader = elect(world)?;
    let (_, answer) = insist(world, leader, &get(KEY))?;
    Ok(value(&answer) == Some(Bytes::from_static(b"here")))
}

fn run_until(world: &mut World<Replica>, at: Time) -> Result<(), Violation> {
    let left = at.saturating_sub(world.now());
    world.run_for(left)
}

#[test]
fn a_lease_ends_after_its_time_and_takes_its_key_with_it() {
    for_each_seed(0..10, |seed| {
        let (mut world, _, _, granted) = leased(seed, 3)?;
        run_until(&mut world, granted + Duration::from_millis(2_900))?;
        assert!(is_there(&mut world)?, "it ended early");
        run_until(&mut world, granted + Duration::from_millis(3_200))?;
        assert!(!is_there(&mut world)?, "it did not end");
        Ok(())
    });
}

#[test]
fn short_leases_are_lengthened_and_chosen_numbers_differ() {
    let (mut world, leader, id, _) = leased(3, 1).expect("calm");
    let follower = NodeId(leader.0 % 3 + 1);
    let mut ids = vec![id];
    for node in [leader, follower] {
        let (_, answer) = insist(&mut world, node, &Request::LeaseGrant { id: 0, ttl: 1 }).expect("calm");
        let Response::LeaseGrant { id, ttl } = answer.response else { panic!("not the answer to a grant") };
        assert_eq!(ttl, 2);
        ids.push(id);
    }
    let (_, answer) = insist(&mut world, follower, &Request::Leases).expect("calm");
    ids.sort_unstable();
    assert_eq!(answer.response, Response::Leases(ids.clone()));
    ids.dedup();
    assert!(ids.len() == 3 && ids[0] > 0, "{ids:?}");
}

#[test]
fn keep_alives_at_any_replica_prolong_it() {
    let (mut world, leader, id, granted) = leased(4, 2).expect("calm");
    for (at, node) in [(1, 1), (2, 2), (3, 3), (4, leader.0)] {
        run_until(&mut world, granted + Duration::from_millis(at * 1_500)).expect("calm");
        let reply = ask(&mut world, NodeId(node), Request::LeaseKeepAlive { id }).expect("calm");
        let expected = Response::LeaseKeepAlive { id, ttl: 2 };
        assert_eq!(reply.map(|answer| answer.response), Ok(expected), "at n{node}");
    }
    assert!(is_there(&mut world).expect("calm"));
    world.run_for(Duration::from_millis(2_200)).expect("calm");
    assert!(!is_there(&mut world).expect("calm"));
    for node in world.ids() {
        let reply = ask(&mut world, node, Request::LeaseKeepAlive { id }).expect("calm");
        let expected = Response::LeaseKeepAlive { id, ttl: 0 };
        assert_eq!(reply.map(|answer| answer.response), Ok(expected), "a lease that is gone, at {node}");
    }
}

#[test]
fn the_time_to_live_is_the_leaders_at_every_replica() {
    let (mut world, _, id, granted) = leased(5, 10).expect("calm");
    run_until(&mut world, granted + Duration::from_millis(3_500)).expect("calm");
    for node in world.ids() {
        let reply = ask(&mut world, node, Request::LeaseTimeToLive { id, keys: true }).expect("calm");
        let keys = vec![Bytes::from_static(KEY.as_bytes())];
        let expected = Response::LeaseTimeToLive { id, ttl: 6, granted_ttl: 10, keys };
        assert_eq!(reply.map(|answer| answer.response), Ok(expected), "at {node}");
        let reply = ask(&mut world, node, Request::LeaseTimeToLive { id: 99, keys: false }).expect("calm");
        let expected = Response::LeaseTimeToLive { id: 99, ttl: -1, granted_ttl: 0, keys: Vec::new() };
        assert_eq!(reply.map(|answer| answer.response), Ok(expected), "of no lease, at {node}");
    }
}

#[test]
fn a_new_leader_gives_every_lease_its_full_time() {
    for_each_seed(20..40, |seed| {
        let (mut world, leader, _, granted) = leased(seed, 3)?;
        run_until(&mut world, granted + Duration::from_millis(2_500))?;
        world.crash(leader, Crash::Kill);
        elect(&mut world)?;
        let elected = world.now();
        run_until(&mut world, elected + Duration::from_millis(2_700))?;
        assert!(is_there(&mut world)?, "seed {seed}: it ended before a full time under the new leader");
        run_until(&mut world, elected + Duration::from_millis(3_500))?;
        assert!(!is_there(&mut world)?, "seed {seed}: it did not end");
        Ok(())
    });
}

#[test]
fn a_leader_that_was_paused_and_deposed_ends_no_lease() {
    for_each_seed(40..60, |seed| {
        let (mut world, old, id, _) = leased(seed, 3)?;
        world.pause(old);
        let new = elect_other(&mut world, old)?;
        for _ in 0..5 {
            world.run_for(Duration::from_secs(1))?;
            let (_, answer) = insist_at(&mut world, new, &Request::LeaseKeepAlive { id })?;
            assert_eq!(answer.response, Response::LeaseKeepAlive { id, ttl: 3 });
        }
        // By the old leader's clock the lease is over, and it has not heard of the election.
        world.resume(old);
        world.run_for(Duration::from_millis(500))?;
        assert!(is_there(&mut world)?, "seed {seed}: the old leader ended the lease");
        Ok(())
    });
}

/// Runs until another one leads.
fn elect_other(world: &mut World<Replica>, old: NodeId) -> Result<NodeId, Violation> {
    let other = |world: &World<Replica>| {
        world.live().iter().find(|(id, r)| *id != old && r.raft().leader() == Some(*id)).map(|(id, _)| *id)
    };
    world.run_until(Duration::from_secs(3), "another leader", |world| other(world).is_some())?;
    Ok(other(world).expect("it was just seen"))
}

/// Asks a node until it works, whoever else may think that he leads.
fn insist_at(world: &mut World<Replica>, node: NodeId, request: &Request) -> Result<(Time, Answer), Violation> {
    loop {
        let began = world.now();
        if let Ok(answer) = ask(world, node, request.clone())? {
            return Ok((began, answer));
        }
    }
}
