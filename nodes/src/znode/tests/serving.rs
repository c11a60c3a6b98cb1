//! The order in which one connection is answered, and when it is not served at all.

use super::*;
use CreateMode::Persistent;

fn xids(replies: &[Reply]) -> Vec<i32> {
    replies
        .iter()
        .map(|reply| match reply {
            Reply::Answer { xid, .. } => *xid,
            other => panic!("only answers are expected here, not {other:?}"),
        })
        .collect()
}

#[test]
fn a_read_waits_for_the_writes_before_it_and_sees_them() {
    let mut server = Server::start();
    let (client, ..) = server.open();
    server.hold();
    let sent: Vec<i32> =
        [get("/", false), create("/a", Persistent), get("/a", false), set("/a", "y"), get("/a", false), ping()]
            .map(|op| server.send(client, op))
            .to_vec();
    assert_eq!(xids(&server.heard(client)), sent[..1], "only the read before the first write is answered");
    server.release();
    let replies = server.heard(client);
    assert_eq!(xids(&replies), sent[1..]);
    let data: Vec<_> = replies
        .iter()
        .filter_map(|reply| match reply {
            Reply::Answer { result: Ok(Answer::Data(data, _)), .. } => data.as_deref(),
            _ => None,
        })
        .collect();
    assert_eq!(data, [b"x", b"y"]);
}

#[test]
fn one_connection_does_not_wait_for_another() {
    let mut server = Server::start();
    let ((one, ..), (two, ..)) = (server.open(), server.open());
    server.hold();
    server.send(one, create("/a", Persistent));
    assert_eq!(server.call(two, exists("/a", false)), Err(ErrorCode::NoNode));
    assert_eq!(server.heard(one), vec![]);
}

#[test]
fn a_sync_is_answered_when_a_quorum_has_confirmed_the_leader() {
    let mut server = Server::start();
    let (client, ..) = server.open();
    server.hold();
    let sync = server.send(client, Op::Sync { path: "/a".into() });
    let read = server.send(client, exists("/", false));
    assert_eq!(server.heard(client), vec![]);
    server.release();
    assert_eq!(xids(&server.heard(client)), [sync, read]);
}

#[test]
fn what_a_client_says_before_its_session_is_there_is_not_lost() {
    let mut server = Server::start();
    server.hold();
    let (client, nothing) = server.connect(None);
    assert_eq!(nothing, vec![]);
    let xid = server.send(client, create("/early", Persistent));
    server.release();
    let replies = server.heard(client);
    assert!(matches!(replies[0], Reply::Connected { .. }), "{replies:?}");
    assert_eq!(xids(&replies[1..]), [xid]);
}

#[test]
fn without_a_leader_nobody_is_served() {
    let mut server = Server::start();
    let (client, session, password) = server.open();
    server.stand(zab::Status::Looking);
    assert_eq!(server.heard(client), vec![Reply::Close]);
    let (_, refused) = server.connect(None);
    assert_eq!(refused, vec![Reply::Close]);

    server.stand(zab::Status::Leading { epoch: 2 });
    let (_, resumed) = server.connect(Some((session, password)));
    assert!(matches!(resumed[..], [Reply::Connected { session: same, .. }] if same == session), "{resumed:?}");
}

#[test]
fn an_answer_to_a_connection_that_has_gone_reaches_nobody() {
    let mut server = Server::start();
    let (gone, session, password) = server.open();
    server.hold();
    server.send(gone, create("/a", Persistent));
    server.say(gone, Request::Disconnected);
    let (back, nothing) = server.connect(Some((session, password)));
    server.release();
    assert!(matches!(nothing[..], [Reply::Connected { .. }]), "{nothing:?}");
    assert_eq!(server.heard(back), vec![]);
    assert_eq!(server.heard(gone), vec![]);
    assert!(matches!(server.call(back, exists("/a", false)), Ok(Answer::Stat(_))), "the write itself is done");
}

#[test]
fn a_server_behind_its_client_hangs_up() {
    let mut server = Server::start();
    let client = server.client();
    let last_zxid_seen = server.zxid + 1;
    server.say(client, Request::Connect(Connect { last_zxid_seen, timeout_ms: 2000, resume: None }));
    assert_eq!(server.heard(client), vec![Reply::Close]);
}

#[test]
fn a_client_that_does_not_begin_with_connect_is_hung_up_on() {
    let mut server = Server::start();
    let client = server.client();
    server.send(client, ping());
    assert_eq!(server.heard(client), vec![Reply::Close]);
}
