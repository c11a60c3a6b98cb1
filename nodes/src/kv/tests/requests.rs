//! Requests to replicas: what is refused, who answers, and what becomes of a request when its leader is lost.

use std::time::Duration;

use bytes::Bytes;

use super::cluster::{Setup, ask, elect, get, insist, put, value, world};
use crate::kv::Replica;
use crate::kv::api::*;
use crate::raft::Role;
use crate::replica::NodeId;
use crate::sim::{Crash, Options, Violation, World, for_each_seed};

fn calm(seed: u64) -> World<Replica> {
    world(seed, Options::calm(3), Setup::default())
}

/// A calm cluster with a leader that everybody follows.
fn elected(seed: u64) -> Result<(World<Replica>, NodeId), Violation> {
    let mut world = calm(seed);
    elect(&mut world)?;
    world.run_for(Duration::from_millis(200))?;
    let leader = elect(&mut world)?;
    Ok((world, leader))
}

fn other_than(leader: NodeId) -> NodeId {
    NodeId(leader.0 % 3 + 1)
}

#[test]
fn wrong_requests_are_refused_before_they_are_proposed() {
    let (mut world, leader) = elected(1).expect("calm");
    let range = |key: &'static str| RangeRequest::new(Span::Key(Bytes::from_static(key.as_bytes())));
    let p = |key: &'static str| PutRequest::new(key, "");
    let delete =
        |key: &'static str| DeleteRangeRequest { span: Span::Key(Bytes::from_static(key.as_bytes())), prev_kv: false };
    let txn = |success: Vec<Op>| Request::Txn(TxnRequest { success, ..TxnRequest::default() });
    let inner = |success: Vec<Op>| Op::Txn(TxnRequest { success, ..TxnRequest::default() });
    let table = [
        (Request::Range(range("")), Error::EmptyKey),
        (Request::Put(p("")), Error::EmptyKey),
        (Request::DeleteRange(delete("")), Error::EmptyKey),
        (txn(vec![Op::Range(range(""))]), Error::EmptyKey),
        (Request::Put(PutRequest { ignore_value: true, ..PutRequest::new("a", "b") }), Error::ValueProvided),
        (Request::Put(PutRequest { ignore_lease: true, lease: 1, ..p("a") }), Error::LeaseProvided),
        (txn(vec![Op::Put(p("a")), Op::Put(p("a"))]), Error::DuplicateKey),
        (txn(vec![Op::Put(p("a")), Op::DeleteRange(delete("a"))]), Error::DuplicateKey),
        (txn(vec![Op::DeleteRange(delete("a")), Op::Put(p("a"))]), Error::DuplicateKey),
        (txn(vec![Op::Put(p("a")), inner(vec![Op::Put(p("a"))])]), Error::DuplicateKey),
        (txn(vec![Op::Put(p("a")), inner(vec![Op::DeleteRange(delete("a"))])]), Error::DuplicateKey),
        (txn(vec![inner(vec![Op::Put(p("a"))]), Op::Put(p("a"))]), Error::DuplicateKey),
        (txn(vec![Op::Range(range("a")); MAX_TXN_OPS + 1]), Error::TooManyOps),
        (Request::LeaseGrant { id: 1, ttl: MAX_LEASE_TTL + 1 }, Error::LeaseTtlTooLarge),
        (Request::Put(PutRequest::new("a", vec![0; MAX_REQUEST_BYTES])), Error::RequestTooLarge),
    ];
    let before = ask(&mut world, leader, Request::Status).expect("calm");
    for (request, error) in table {
        let reply = ask(&mut world, leader, request.clone()).expect("calm");
        assert_eq!(reply, Err(error), "{request:?}");
    }
    let after = ask(&mut world, leader, Request::Status).expect("calm");
    assert_eq!(before, after, "a refused request left something in the log");
    let branches = Request::Txn(TxnRequest {
        success: vec![Op::Put(p("a"))],
        failure: vec![Op::Put(p("a"))],
        ..TxnRequest::default()
    });
    assert!(ask(&mut world, leader, branches).expect("calm").is_ok(), "two branches may write the same key");
}

#[test]
fn every_replica_serves_everything() {
    let (mut world, leader) = elected(2).expect("calm");
    for node in world.ids() {
        let text = node.to_string();
        ask(&mut world, node, put("who", &text)).expect("calm").expect("a put works everywhere");
        for reader in world.ids() {
            let answer = ask(&mut world, reader, get("who")).expect("calm").expect("a read works everywhere");
            assert_eq!(value(&answer), Some(text.clone().into()), "{reader} after {node}");
        }
        let status = ask(&mut world, node, Request::Status).expect("calm").expect("status always works");
        let Response::Status(status) = status.response else { panic!("not a status") };
        assert_eq!((status.role == Role::Leader, status.leader), (node == leader, Some(leader)));
        assert!(status.applied_index <= status.commit_index && status.commit_index <= status.last_index);
    }
}

#[test]
fn reads_do_not_grow_the_log() {
    let (mut world, leader) = elected(3).expect("calm");
    let last = |world: &World<Replica>| world.replica(leader).map(|replica| replica.raft().log().last());
    let before = last(&world);
    let read_only = Request::Txn(TxnRequest {
        success: vec![Op::Range(RangeRequest::new(Span::Key("a".into())))],
        ..TxnRequest::default()
    });
    for request in [get("a"), read_only, Request::Leases] {
        for node in world.ids() {
            ask(&mut world, node, request.clone()).expect("calm").expect("a read works");
        }
    }
    assert_eq!(last(&world), before);
}

#[test]
fn without_a_leader_a_request_is_refused_at_once_and_certainly_did_not_happen() {
    let mut world = calm(4);
    for request in [put("a", "1"), get("a"), Request::LeaseKeepAlive { id: 1 }, Request::Leases] {
        let client = world.request(NodeId(1), request.clone());
        world.run_for(Duration::from_millis(10)).expect("calm");
        let replies = world.take_replies();
        assert!(matches!(&replies[..], [r] if r.client == client && r.reply == Err(Error::NoLeader)), "{request:?}");
    }
    let serializable =
        RangeRequest { consistency: Consistency::Serializable, ..RangeRequest::new(Span::Key("a".into())) };
    world.request(NodeId(1), Request::Range(serializable));
    world.run_for(Duration::from_millis(10)).expect("calm");
    assert!(world.take_replies()[0].reply.is_ok(), "a serializable read needs nobody");
}

#[test]
fn what_an_isolated_leader_took_in_certainly_did_not_happen() {
    for_each_seed(0..20, |seed| {
        let (mut world, old) = elected(seed)?;
        world.isolate(old);
        let lost = world.request(old, put("a", "lost"));
        let read = world.request(old, get("a"));
        world.run_for(Duration::from_millis(600))?;
        let replies = world.take_replies();
        assert!(replies.iter().all(|r| r.client != lost), "nobody can know yet: {replies:?}");
        let answer = replies.iter().find(|r| r.client == read).map(|r| &r.reply);
        assert_eq!(answer, Some(&Err(Error::LeaderChanged)), "a read ends when leadership does");
        elect(&mut world)?;
        world.heal();
        world.run_until(Duration::from_secs(3), "the put's end", |world| !world.replies().is_empty())?;
        let ends: Vec<_> = world.take_replies().into_iter().map(|r| (r.client, r.reply)).collect();
        assert_eq!(ends, [(lost, Err(Error::LeaderChanged))]);
        for node in world.ids() {
            let (_, answer) = insist(&mut world, node, &get("a"))?;
            assert_eq!(value(&answer), None);
        }
        Ok(())
    });
}

#[test]
fn a_request_that_nobody_answers_ends_as_unknown() {
    let (mut world, leader) = elected(6).expect("calm");
    let follower = other_than(leader);
    // The others are gone: nobody will ever say what became of it.
    let client = world.request(follower, put("a", "?"));
    for node in world.ids() {
        if node != follower {
            world.crash(node, Crash::PowerLoss);
        }
    }
    world.run_for(Duration::from_secs(4)).expect("calm");
    let replies = world.take_replies();
    assert!(matches!(&replies[..], [r] if r.client == client && r.reply == Err(Error::Timeout)), "{replies:?}");
}

#[test]
fn a_new_leader_comes_soon_when_the_old_one_dies() {
    for_each_seed(100..140, |seed| {
        let (mut world, old) = elected(seed)?;
        let died = world.now();
        world.crash(old, Crash::Kill);
        let new = elect(&mut world)?;
        assert_ne!(new, old);
        ask(&mut world, new, put("a", "1"))?.map_err(|error| Violation {
            seed,
            at: world.now(),
            what: format!("the new leader does not serve: {error}"),
            trace: world.trace(),
        })?;
        // One timeout, and another one if two stood at once.
        assert!(world.now() - died < Duration::from_secs(1), "seed {seed}: {:?}", world.now() - died);
        Ok(())
    });
}
