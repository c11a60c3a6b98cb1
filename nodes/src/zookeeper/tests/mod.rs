//! The codec: bytes that are no request are refused without harm, and requests and replies look as ZooKeeper's do.

use proptest::prelude::*;

use super::jute::{Malformed, Reader, Writer};
use super::wire::{ReadOnlyField, code, decode_connect, decode_request, encode_reply};
use crate::znode::{
    Acl, Answer, ChildrenAnswer, Connect, Create, CreateAnswer, CreateMode, ErrorCode, EventKind, Local, NodeOp, Op,
    Read, Reply, SessionId, SetWatches, Stat, WatchKind, Write,
};

/// A request as a client writes it, without the frame's length.
fn encode_request(xid: i32, op: &Op) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.int(xid);
    match op {
        Op::Write(Write::Node(op)) => encode_node_op(writer.int(op_code(op)), op),
        Op::Write(Write::Multi(ops)) => {
            writer.int(code::MULTI);
            for op in ops {
                encode_node_op(writer.int(op_code(op)).bool(false).int(-1), op);
            }
            writer.int(-1).bool(true).int(-1);
        }
        Op::Write(Write::CloseSession) => {
            writer.int(code::CLOSE_SESSION);
        }
        Op::Write(Write::OpenSession { .. }) => panic!("a session is opened by a connect"),
        Op::Sync { path } => {
            writer.int(code::SYNC).string(path);
        }
        Op::Local(local) => encode_local(&mut writer, local),
    }
    writer.frame().split_off(4)
}

fn op_code(op: &NodeOp) -> i32 {
    match op {
        NodeOp::Create(Create { answer: CreateAnswer::Path, .. }) => code::CREATE,
        NodeOp::Create(Create { answer: CreateAnswer::PathAndStat, .. }) => code::CREATE2,
        NodeOp::Delete { .. } => code::DELETE,
        NodeOp::SetData { .. } => code::SET_DATA,
        NodeOp::SetAcl { .. } => code::SET_ACL,
        NodeOp::Check { .. } => code::CHECK,
    }
}

fn encode_acl(writer: &mut Writer, acl: &[Acl]) {
    writer.vector(acl, |writer, acl| {
        writer.int(acl.perms).string(&acl.scheme).string(&acl.id);
    });
}

fn encode_node_op(writer: &mut Writer, op: &NodeOp) {
    match op {
        NodeOp::Create(create) => {
            writer.string(&create.path).buffer(create.data.as_deref());
            encode_acl(writer, &create.acl);
            writer.int(match create.mode {
                CreateMode::Persistent => 0,
                CreateMode::Ephemeral => 1,
                CreateMode::PersistentSequential => 2,
                CreateMode::EphemeralSequential => 3,
            });
        }
        NodeOp::Delete { path, version } | NodeOp::Check { path, version } => {
            writer.string(path).int(*version);
        }
        NodeOp::SetData { path, data, version } => {
            writer.string(path).buffer(data.as_deref()).int(*version);
        }
        NodeOp::SetAcl { path, acl, version } => {
            encode_acl(writer.string(path), acl);
            writer.int(*version);
        }
    }
}

fn encode_local(writer: &mut Writer, local: &Local) {
    match local {
        Local::Read(Read::Exists { path, watch }) => writer.int(code::EXISTS).string(path).bool(*watch),
        Local::Read(Read::GetData { path, watch }) => writer.int(code::GET_DATA).string(path).bool(*watch),
        Local::Read(Read::GetAcl { path }) => writer.int(code::GET_ACL).string(path),
        Local::Read(Read::GetChildren { path, watch, answer: ChildrenAnswer::Names }) => {
            writer.int(code::GET_CHILDREN).string(path).bool(*watch)
        }
        Local::Read(Read::GetChildren { path, watch, answer: ChildrenAnswer::NamesAndStat }) => {
            writer.int(code::GET_CHILDREN2).string(path).bool(*watch)
        }
        Local::Read(Read::GetEphemerals { prefix }) => writer.int(code::GET_EPHEMERALS).string(prefix),
        Local::Read(Read::CountDescendants { path }) => writer.int(code::GET_ALL_CHILDREN_NUMBER).string(path),
        Local::SetWatches(watches) => {
            writer.int(code::SET_WATCHES).long(watches.relative_zxid);
            for paths in [&watches.data, &watches.exist, &watches.child] {
                writer.vector(paths, |writer, path| {
                    writer.string(path);
                });
            }
            writer
        }
        Local::CheckWatches { path, kind } => writer.int(code::CHECK_WATCHES).string(path).int(watch_kind(*kind)),
        Local::RemoveWatches { path, kind } => writer.int(code::REMOVE_WATCHES).string(path).int(watch_kind(*kind)),
        Local::Ping => writer.int(code::PING),
        Local::Auth => writer.int(code::AUTH),
        Local::Refused(_) => writer.int(77),
    };
}

fn watch_kind(kind: WatchKind) -> i32 {
    match kind {
        WatchKind::Children => 1,
        WatchKind::Data => 2,
        WatchKind::Any => 3,
    }
}

fn any_node_op() -> impl Strategy<Value = NodeOp> {
    let acl = prop::collection::vec(
        (any::<i32>(), any::<String>(), any::<String>()).prop_map(|(perms, scheme, id)| Acl { perms, scheme, id }),
        0..3,
    );
    let mode = prop::sample::select(vec![
        CreateMode::Persistent,
        CreateMode::Ephemeral,
        CreateMode::PersistentSequential,
        CreateMode::EphemeralSequential,
    ]);
    let answer = prop::sample::select(vec![CreateAnswer::Path, CreateAnswer::PathAndStat]);
    prop_oneof![
        (any::<String>(), any::<Option<Vec<u8>>>(), acl, mode, answer)
            .prop_map(|(path, data, acl, mode, answer)| NodeOp::Create(Create { path, data, acl, mode, answer })),
        (any::<String>(), any::<i32>()).prop_map(|(path, version)| NodeOp::Delete { path, version }),
        (any::<String>(), any::<Option<Vec<u8>>>(), any::<i32>()).prop_map(|(path, data, version)| NodeOp::SetData {
            path,
            data,
            version
        }),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let paths = || prop::collection::vec(any::<String>(), 0..3);
    let read = prop_oneof![
        (any::<String>(), any::<bool>()).prop_map(|(path, watch)| Read::Exists { path, watch }),
        (any::<String>(), any::<bool>()).prop_map(|(path, watch)| Read::GetData { path, watch }),
        (any::<String>(), any::<bool>()).prop_map(|(path, watch)| Read::GetChildren {
            path,
            watch,
            answer: ChildrenAnswer::NamesAndStat
        }),
        any::<String>().prop_map(|path| Read::GetAcl { path }),
        any::<String>().prop_map(|prefix| Read::GetEphemerals { prefix }),
        any::<String>().prop_map(|path| Read::CountDescendants { path }),
    ];
    let kind = prop::sample::select(vec![WatchKind::Children, WatchKind::Data, WatchKind::Any]);
    prop_oneof![
        (any::<String>(), kind.clone()).prop_map(|(path, kind)| Op::Local(Local::CheckWatches { path, kind })),
        (any::<String>(), kind).prop_map(|(path, kind)| Op::Local(Local::RemoveWatches { path, kind })),
        any_node_op().prop_map(|op| Op::Write(Write::Node(op))),
        prop::collection::vec(any_node_op(), 0..4).prop_map(|ops| Op::Write(Write::Multi(ops))),
        Just(Op::Write(Write::CloseSession)),
        any::<String>().prop_map(|path| Op::Sync { path }),
        read.prop_map(|read| Op::Local(Local::Read(read))),
        (any::<i64>(), paths(), paths(), paths()).prop_map(|(relative_zxid, data, exist, child)| Op::Local(
            Local::SetWatches(SetWatches { relative_zxid, data, exist, child })
        )),
        Just(Op::Local(Local::Ping)),
        Just(Op::Local(Local::Auth)),
        Just(Op::Local(Local::Refused(ErrorCode::Unimplemented))),
    ]
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in any::<Vec<u8>>(), code in -15..110i32) {
        let _ = decode_connect(&bytes);
        let _ = decode_request(&bytes);
        let mut plausible = vec![0, 0, 0, 1];
        plausible.extend_from_slice(&code.to_be_bytes());
        plausible.extend_from_slice(&bytes);
        let _ = decode_request(&plausible);
    }

    #[test]
    fn a_request_is_read_as_it_was_written(xid in any::<i32>(), op in any_op()) {
        prop_assert_eq!(decode_request(&encode_request(xid, &op)), Ok((xid, op)));
    }

    #[test]
    fn a_request_cut_short_is_malformed(op in any_op(), keep in 0.0..1.0f64) {
        let whole = encode_request(1, &op);
        let keep = (whole.len() as f64 * keep) as usize;
        prop_assert!(decode_request(&whole[..keep]).is_err(), "{} of {} bytes", keep, whole.len());
    }
}

#[test]
fn what_is_not_served_is_refused_and_what_is_no_message_malformed() {
    let create = |flags: i32| {
        let mut writer = Writer::new();
        writer.int(1).int(code::CREATE).string("/a").buffer(None);
        encode_acl(&mut writer, &Acl::open());
        writer.int(flags);
        decode_request(&writer.frame().split_off(4))
    };
    let refused = |error| Ok((1, Op::Local(Local::Refused(error))));
    assert_eq!(create(4), refused(ErrorCode::Unimplemented));
    assert_eq!(create(9), refused(ErrorCode::BadArguments));
    let mut nested = Writer::new();
    nested.int(1).int(code::MULTI).int(code::MULTI).bool(false).int(-1).string("/a");
    assert_eq!(decode_request(&nested.frame()[4..]), Err(Malformed::NotInMulti(code::MULTI)));
    let mut string = Writer::new();
    string.int(1).int(code::SYNC).buffer(Some(&[0xff]));
    assert_eq!(decode_request(&string.frame()[4..]), Err(Malformed::NotUtf8));
    let mut length = Writer::new();
    length.int(1).int(code::SYNC).int(-2);
    assert_eq!(decode_request(&length.frame()[4..]), Err(Malformed::NegativeLength(-2)));
}

#[test]
fn a_connect_is_read_with_and_without_the_read_only_field() {
    let message = |session: i64, password: &[u8], field: ReadOnlyField| {
        let mut writer = Writer::new();
        writer.int(0).long(5).int(6000).long(session).buffer(Some(password));
        if field == ReadOnlyField::Present {
            writer.bool(false);
        }
        writer.frame().split_off(4)
    };
    let connect = |resume| Connect { last_zxid_seen: 5, timeout_ms: 6000, resume };
    for field in [ReadOnlyField::Present, ReadOnlyField::Absent] {
        assert_eq!(decode_connect(&message(0, &[0; 16], field)), Ok((connect(None), field)));
        let resume = Some((SessionId(9), [3; 16]));
        assert_eq!(decode_connect(&message(9, &[3; 16], field)), Ok((connect(resume), field)));
    }
    assert_eq!(decode_connect(&message(9, &[3; 4], ReadOnlyField::Absent)), Err(Malformed::PasswordLength(4)));
}

#[test]
fn replies_have_the_bytes_that_zookeeper_gives_them() {
    let hex = |reply: &Reply, field| {
        let frame = encode_reply(reply, field).expect("this reply is bytes");
        frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let stat = Stat { czxid: 1, mzxid: 2, ctime: 3, mtime: 4, version: 5, cversion: 6, ..Stat::default() };
    let stat = Stat { aversion: 7, ephemeral_owner: 8, data_length: 9, num_children: 10, pzxid: 11, ..stat };
    let answer = |result| Reply::Answer { xid: 3, zxid: 7, result };
    let replies = [
        Reply::Connected { session: SessionId(0x0100_0000_0000_0001), password: [5; 16], timeout_ms: 6000 },
        Reply::Expired,
        Reply::Event { kind: EventKind::ChildrenChanged, path: "/a".into() },
        answer(Err(ErrorCode::NoNode)),
        answer(Ok(Answer::Done)),
        answer(Ok(Answer::Path("/a".into()))),
        answer(Ok(Answer::Data(None, stat))),
        answer(Ok(Answer::NamesAndStat(vec!["x".into()], stat))),
        answer(Ok(Answer::Acl(Acl::open(), stat))),
        answer(Ok(Answer::Multi(vec![Answer::Path("/a".into()), Answer::Checked, Answer::Deleted]))),
        answer(Ok(Answer::MultiFailed(vec![None, Some(ErrorCode::NoNode), Some(ErrorCode::RuntimeInconsistency)]))),
    ];
    let lines: Vec<String> = replies.iter().map(|reply| hex(reply, ReadOnlyField::Present)).collect();
    insta::assert_snapshot!("replies", lines.join("\n"));
    assert!(hex(&replies[0], ReadOnlyField::Absent).starts_with("00000024"), "one byte less than 37");
    assert_eq!(encode_reply(&Reply::Close, ReadOnlyField::Present), None);
}

#[test]
fn a_vector_that_claims_too_much_is_truncated_and_not_reserved() {
    let claim = i32::MAX.to_be_bytes();
    assert_eq!(Reader::new(&claim).vector(Reader::long), Err(Malformed::Truncated));
}
