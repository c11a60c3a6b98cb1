//! What znodes do, one table after another.

use super::*;
use crate::znode::tree::Stat;
use CreateMode::{Ephemeral, EphemeralSequential, Persistent, PersistentSequential};

#[test]
fn sequence_numbers_count_all_creates_and_no_deletes() {
    let mut server = Server::start();
    let (client, ..) = server.open();
    let steps = [
        (create("/a", Persistent), path("/a")),
        (create("/a/n-", PersistentSequential), path("/a/n-0000000000")),
        (create("/a/plain", Persistent), path("/a/plain")),
        (create("/a/n-", EphemeralSequential), path("/a/n-0000000002")),
        (delete("/a/plain"), Ok(Answer::Deleted)),
        (create("/a/n-", PersistentSequential), path("/a/n-0000000003")),
        (create("/a/", PersistentSequential), path("/a/0000000004")),
        (children("/a", false), names(&["0000000004", "n-0000000000", "n-0000000002", "n-0000000003"])),
    ];
    for (op, expected) in steps {
        assert_eq!(server.call(client, op.clone()), expected, "{op:?}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_its_own_error() {
    let mut server = Server::start();
    let (client, ..) = server.open();
    for op in [create("/a", Persistent), create("/a/b", Persistent), create("/e", Ephemeral)] {
        server.call(client, op).expect("the tree of this test is built");
    }
    let no_acl = match create_op("/x", Persistent) {
        NodeOp::Create(create) => NodeOp::Create(Create { acl: vec![], ..create }),
        other => other,
    };
    let stale = |path: &str| NodeOp::SetData { path: path.into(), data: None, version: 7 };
    let refusals = [
        (create("/a", Persistent), ErrorCode::NodeExists),
        (create("/", Persistent), ErrorCode::NodeExists),
        (create("/q/r", Persistent), ErrorCode::NoNode),
        (create("/e/k", Persistent), ErrorCode::NoChildrenForEphemerals),
        (create("/e/k", EphemeralSequential), ErrorCode::NoChildrenForEphemerals),
        (create("relative", Persistent), ErrorCode::BadArguments),
        (create("/a/", Persistent), ErrorCode::BadArguments),
        (create("/a//c", PersistentSequential), ErrorCode::BadArguments),
        (node(no_acl), ErrorCode::InvalidAcl),
        (delete("/a"), ErrorCode::NotEmpty),
        (delete("/"), ErrorCode::BadArguments),
        (delete("/nope"), ErrorCode::NoNode),
        (node(NodeOp::Delete { path: "/a/b".into(), version: 3 }), ErrorCode::BadVersion),
        (node(stale("/a")), ErrorCode::BadVersion),
        (node(stale("/nope")), ErrorCode::NoNode),
        (node(NodeOp::SetAcl { path: "/a".into(), acl: Acl::open(), version: 1 }), ErrorCode::BadVersion),
        (node(NodeOp::SetAcl { path: "/a".into(), acl: vec![], version: 0 }), ErrorCode::InvalidAcl),
        (get("/nope", false), ErrorCode::NoNode),
        (exists("/nope", false), ErrorCode::NoNode),
        (children("/nope", false), ErrorCode::NoNode),
        (Op::Local(Local::Refused(ErrorCode::Unimplemented)), ErrorCode::Unimplemented),
    ];
    for (op, expected) in refusals {
        let before = server.service.state().tree.clone();
        assert_eq!(server.call(client, op.clone()), Err(expected), "{op:?}");
        assert_eq!(server.service.state().tree, before, "{op:?} was refused and left a trace");
    }
}

#[test]
fn a_stat_tells_who_changed_what_when() {
    let mut server = Server::start();
    let (client, session, _) = server.open();
    let base = server.zxid;
    server.now = Duration::from_millis(10);
    for op in [create("/a", Persistent), create("/a/b", Persistent), create("/a/e", Ephemeral)] {
        server.call(client, op).expect("created");
    }
    server.now = Duration::from_millis(20);
    server.call(client, set("/a", "data")).expect("set");
    server.call(client, delete("/a/b")).expect("deleted");
    let created = 1_700_000_000_010;
    let expected = Stat {
        czxid: base + 1,
        mzxid: base + 4,
        ctime: created,
        mtime: created + 10,
        version: 1,
        cversion: 3,
        aversion: 0,
        ephemeral_owner: 0,
        data_length: 4,
        num_children: 1,
        pzxid: base + 5,
    };
    assert_eq!(server.call(client, get("/a", false)), Ok(Answer::Data(Some(b"data".to_vec()), expected)));
    let Ok(Answer::Stat(stat)) = server.call(client, exists("/a/e", false)) else { panic!("the ephemeral is there") };
    assert_eq!(stat.ephemeral_owner, session.0);
}

#[test]
fn a_refused_write_consumes_a_zxid() {
    let mut server = Server::start();
    let (client, ..) = server.open();
    let before = server.zxid;
    let xid = server.send(client, create("/q/r", Persistent));
    let refused = Reply::Answer { xid, zxid: before + 1, result: Err(ErrorCode::NoNode) };
    assert_eq!(server.heard(client), vec![refused]);
}

#[test]
fn a_multi_is_done_as_a_whole_or_not_at_all() {
    let mut server = Server::start();
    let (client, ..) = server.open();
    let multi = |ops: Vec<NodeOp>| Op::Write(Write::Multi(ops));
    let check = |version| NodeOp::Check { path: "/m".into(), version };
    let good = multi(vec![
        create_op("/m", Persistent),
        check(0),
        create_op("/m/e-", EphemeralSequential),
        NodeOp::Delete { path: "/m/e-0000000000".into(), version: 0 },
    ]);
    let done =
        vec![Answer::Path("/m".into()), Answer::Checked, Answer::Path("/m/e-0000000000".into()), Answer::Deleted];
    assert_eq!(server.call(client, good), Ok(Answer::Multi(done)));

    server.call(client, exists("/n", true)).expect_err("not there yet");
    let before = server.service.state().tree.clone();
    let bad = multi(vec![
        create_op("/n", Ephemeral),
        NodeOp::SetData { path: "/m".into(), data: None, version: 0 },
        NodeOp::Delete { path: "/m".into(), version: -1 },
        check(0),
        create_op("/o", Persistent),
    ]);
    let untried = Some(ErrorCode::RuntimeInconsistency);
    let steps = vec![None, None, None, Some(ErrorCode::NoNode), untried];
    assert_eq!(server.call(client, bad), Ok(Answer::MultiFailed(steps)), "and no watch fires");
    assert_eq!(server.service.state().tree, before);
}
