//! Sessions: they end when they should, not before, and take their nodes with them.

use super::*;
use CreateMode::{Ephemeral, Persistent};

#[test]
fn a_silent_session_expires_between_its_timeout_and_one_tick_more() {
    let mut server = Server::start();
    let (owner, ..) = server.open();
    let (other, ..) = server.open();
    server.call(owner, create("/e", Ephemeral)).expect("created");
    server.call(other, exists("/e", true)).expect("there");
    let mut asleep = Duration::ZERO;
    let step = Duration::from_millis(100);
    while asleep <= Duration::from_millis(2000) {
        assert_eq!(server.heard(other), vec![], "expired early, after {asleep:?}");
        server.sleep(step);
        asleep += step;
        server.send(other, ping());
        assert!(matches!(server.heard(other)[..], [Reply::Answer { .. }]), "an event after {asleep:?}");
    }
    server.sleep(TICK);
    assert_eq!(server.heard(owner), vec![Reply::Close]);
    assert_eq!(server.heard(other), vec![event(EventKind::Deleted, "/e")]);
}

#[test]
fn closing_a_session_answers_ends_its_nodes_and_hangs_up() {
    let mut server = Server::start();
    let (client, session, password) = server.open();
    server.call(client, create("/e", Ephemeral)).expect("created");
    server.call(client, create("/p", Persistent)).expect("created");
    let xid = server.send(client, Op::Write(Write::CloseSession));
    let zxid = server.zxid;
    assert_eq!(server.heard(client), vec![Reply::Answer { xid, zxid, result: Ok(Answer::Done) }, Reply::Close]);
    let (_, gone) = server.connect(Some((session, password)));
    assert_eq!(gone, vec![Reply::Expired, Reply::Close]);
    let (other, ..) = server.open();
    assert_eq!(server.call(other, children("/", false)), names(&["p", "zookeeper"]));
}

#[test]
fn a_session_moves_with_its_password_only() {
    let mut server = Server::start();
    let (old, session, password) = server.open();
    let (_, refused) = server.connect(Some((session, [1; 16])));
    assert_eq!(refused, vec![Reply::Expired, Reply::Close]);
    assert!(server.call(old, ping()).is_ok(), "a wrong password harms nobody");
    let (new, resumed) = server.connect(Some((session, password)));
    assert_eq!(resumed, vec![Reply::Connected { session, password, timeout_ms: 2000 }]);
    assert_eq!(server.heard(old), vec![Reply::Close]);
    assert!(server.call(new, ping()).is_ok());
}

#[test]
fn a_session_whose_end_is_proposed_is_not_gone_on_with() {
    let mut server = Server::start();
    let (client, session, password) = server.open();
    server.say(client, Request::Disconnected);
    server.hold();
    server.sleep(Duration::from_secs(10));
    let (_, refused) = server.connect(Some((session, password)));
    assert_eq!(refused, vec![Reply::Expired, Reply::Close]);
}

#[test]
fn a_new_leader_gives_every_session_its_full_timeout() {
    let mut server = Server::start();
    let (_, session, password) = server.open();
    server.sleep(Duration::from_millis(1900));
    server.stand(zab::Status::Looking);
    server.now += Duration::from_secs(60);
    server.stand(zab::Status::Leading { epoch: 2 });
    server.sleep(Duration::from_millis(1900));
    let (_, resumed) = server.connect(Some((session, password)));
    assert!(matches!(resumed[..], [Reply::Connected { .. }]), "{resumed:?}");
}
