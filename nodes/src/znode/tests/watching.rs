//! Watches: told once, and before the change can be seen.

use super::*;
use CreateMode::Persistent;

#[test]
fn the_event_precedes_the_writers_own_answer() {
    let mut server = Server::start();
    let (client, ..) = server.open();
    assert_eq!(server.call(client, exists("/w", true)), Err(ErrorCode::NoNode), "and arms the watch all the same");
    let xid = server.send(client, create("/w", Persistent));
    let zxid = server.zxid;
    let answer = Reply::Answer { xid, zxid, result: path("/w") };
    assert_eq!(server.heard(client), vec![event(EventKind::Created, "/w"), answer]);
}

#[test]
fn a_watch_tells_once_and_before_the_new_data_is_read() {
    let mut server = Server::start();
    let ((writer, ..), (reader, ..)) = (server.open(), server.open());
    server.call(writer, create("/a", Persistent)).expect("created");
    server.call(reader, get("/a", true)).expect("there");
    server.hold();
    server.send(writer, set("/a", "1"));
    server.send(writer, set("/a", "2"));
    assert!(matches!(server.call(reader, get("/a", false)), Ok(Answer::Data(Some(old), _)) if old == b"x"));
    server.release();
    let read = server.send(reader, get("/a", false));
    let heard = server.heard(reader);
    assert_eq!(heard[0], event(EventKind::DataChanged, "/a"));
    assert!(matches!(heard[1..], [Reply::Answer { xid, .. }] if xid == read), "{heard:?}");
}

#[test]
fn a_failed_read_arms_no_watch() {
    let mut server = Server::start();
    let (client, ..) = server.open();
    for op in [get("/a", true), children("/a", true)] {
        assert_eq!(server.call(client, op), Err(ErrorCode::NoNode));
    }
    assert_eq!(server.call(client, create("/a", Persistent)), path("/a"));
}

#[test]
fn watches_set_again_tell_what_was_missed_before_they_are_answered() {
    let mut server = Server::start();
    let (client, ..) = server.open();
    for name in ["/old", "/changed", "/new", "/parent", "/quiet"] {
        server.call(client, create(name, Persistent)).expect("created");
    }
    let relative_zxid = server.zxid;
    server.call(client, set("/changed", "y")).expect("set");
    server.call(client, create("/parent/child", Persistent)).expect("created");
    let list = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect();
    let watches = SetWatches {
        relative_zxid,
        data: list(&["/gone", "/changed", "/old"]),
        exist: list(&["/new", "/absent"]),
        child: list(&["/lost", "/parent", "/quiet"]),
    };
    let xid = server.send(client, Op::Local(Local::SetWatches(watches)));
    let zxid = server.zxid;
    let missed = vec![
        event(EventKind::Deleted, "/gone"),
        event(EventKind::DataChanged, "/changed"),
        event(EventKind::Created, "/new"),
        event(EventKind::Deleted, "/lost"),
        event(EventKind::ChildrenChanged, "/parent"),
        Reply::Answer { xid, zxid, result: Ok(Answer::Done) },
    ];
    assert_eq!(server.heard(client), missed);
    for (op, kind, path) in [
        (set("/old", "z"), EventKind::DataChanged, "/old"),
        (create("/absent", Persistent), EventKind::Created, "/absent"),
        (create("/quiet/child", Persistent), EventKind::ChildrenChanged, "/quiet"),
    ] {
        server.send(client, op);
        assert_eq!(server.heard(client)[0], event(kind, path), "the rest is armed");
    }
}
