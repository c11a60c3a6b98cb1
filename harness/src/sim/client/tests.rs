//! Simulated clients against a script of what the network does.

use std::rc::Rc;
use std::time::Duration;

use grudge_nodes::kv::api::{Answer, Error, Header, PutResponse, Request, Response};
use grudge_nodes::replica::{NodeId, Time};
use grudge_nodes::{kv, znode};
use grudge_workloads::operation::{Invocation, Outcome};

use super::port::Ended;
use super::{Client, Heard, Line, Order, Patience, Place, raft, zab};

const PATIENCE: Patience = Patience { timeout: Duration::from_secs(2), ttl: Duration::from_secs(4) };

fn place() -> Place {
    Place { home: 1, nodes: Rc::new(["n1".to_owned(), "n2".to_owned()]) }
}

fn s(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

fn etcd() -> Client<kv::Replica> {
    let life = raft::hire("register").expect("registers have clients");
    Client::new(place(), |port| life(port, PATIENCE))
}

fn write() -> Invocation {
    Invocation::new("write").on("7").with(3)
}

fn done(revision: i64) -> Heard<kv::api::Reply> {
    let header = Header { member: NodeId(2), revision, term: 1 };
    Heard::Reply(Ok(Answer { header, response: Response::Put(PutResponse::default()) }))
}

/// The end of a write of which the client hears that.
fn end_of_write(heard: Heard<kv::api::Reply>) -> (Option<Ended>, bool) {
    let mut client = etcd();
    client.start(s(1), write());
    client.hear(s(1), Line(0), heard);
    (client.take_ended(), client.alive())
}

#[test]
fn a_call_connects_to_the_clients_own_node_and_is_sent_once() {
    let mut client = etcd();
    client.start(s(1), write());
    let orders = client.take_orders();
    assert!(matches!(&orders[..], [Order::Open(Line(0), 1), Order::Send(Line(0), Request::Put(_))]), "{orders:?}");
    client.hear(s(1), Line(0), done(9));
    let ended = Ended { outcome: Outcome::ok(3, Some(9)), reached: true };
    assert_eq!(client.take_ended(), Some(ended));
    client.start(s(2), write());
    assert!(matches!(&client.take_orders()[..], [Order::Send(Line(0), _)]), "the connection is kept");
}

#[test]
fn what_becomes_of_a_write_is_decided_as_on_real_processes() {
    let ended = |outcome, reached| Some(Ended { outcome, reached });
    let table = [
        (Heard::Refused, ended(Outcome::fail("connection-refused"), false), false),
        (Heard::Closed, ended(Outcome::info("connection-lost"), true), false),
        (Heard::Reply(Err(Error::NoLeader)), ended(Outcome::fail("no-leader"), true), true),
        (Heard::Reply(Err(Error::Timeout)), ended(Outcome::info("request-timed-out"), true), true),
        (done(4), ended(Outcome::ok(3, Some(4)), true), true),
    ];
    for (heard, outcome, alive) in table {
        let shown = format!("{heard:?}");
        assert_eq!(end_of_write(heard), (outcome, alive), "{shown}");
    }
}

#[test]
fn a_call_that_outlives_its_time_is_unknown_and_its_client_dead() {
    let mut client = etcd();
    client.start(s(1), write());
    assert_eq!(client.wake(), s(3));
    client.poll(s(3));
    assert_eq!(client.take_ended(), Some(Ended { outcome: Outcome::info("timeout"), reached: true }));
    assert!(!client.alive());
}

#[test]
fn a_client_without_a_call_hears_that_its_connection_is_gone() {
    let mut client = etcd();
    client.start(s(1), write());
    client.hear(s(1), Line(0), done(1));
    client.hear(s(2), Line(0), Heard::Closed);
    assert!(!client.alive());
}

#[test]
fn an_idle_session_pings_and_one_that_hears_nothing_dies() {
    let life = zab::hire("register").expect("registers have clients");
    let mut client: Client<znode::Replica> = Client::new(place(), |port| life(port, PATIENCE));
    client.start(s(1), Invocation::new("read").on("7"));
    let (session, password) = (znode::SessionId(5), [0; 16]);
    client.hear(s(1), Line(0), Heard::Reply(znode::Reply::Connected { session, password, timeout_ms: 4_000 }));
    client.take_orders();
    let ping = s(1) + Duration::from_millis(600);
    assert_eq!(client.wake(), ping, "three twentieths of the session's time");
    client.poll(ping);
    let orders = client.take_orders();
    assert!(matches!(&orders[..], [Order::Send(Line(0), znode::Request::Op { xid: -2, .. })]), "{orders:?}");
    let silent = s(1) + Duration::from_millis(1_600);
    assert_eq!(client.wake(), silent, "two fifths");
    client.poll(silent);
    assert_eq!(client.take_ended(), Some(Ended { outcome: Outcome::fail("connection-lost"), reached: false }));
    assert!(!client.alive());
}
