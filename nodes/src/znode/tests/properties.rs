//! The state is a function of the log: the same transactions give the same state, whole or by way of a snapshot.

use proptest::prelude::*;

use super::*;
use crate::bugs::Bug;
use crate::znode::txn::{Replay, State, Txn};
use CreateMode::{Ephemeral, EphemeralSequential, Persistent, PersistentSequential};

fn any_path() -> impl Strategy<Value = String> {
    prop::collection::vec("[abc]", 0..3).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn any_node_op() -> impl Strategy<Value = NodeOp> {
    let mode = prop::sample::select(vec![Persistent, Ephemeral, PersistentSequential, EphemeralSequential]);
    let version = -1..3i32;
    prop_oneof![
        4 => (any_path(), mode).prop_map(|(path, mode)| create_op(&path, mode)),
        2 => (any_path(), version.clone()).prop_map(|(path, version)| NodeOp::Delete { path, version }),
        2 => (any_path(), version.clone(), any::<Option<Vec<u8>>>())
            .prop_map(|(path, version, data)| NodeOp::SetData { path, data, version }),
        1 => (any_path(), version).prop_map(|(path, version)| NodeOp::Check { path, version }),
    ]
}

fn any_txn() -> impl Strategy<Value = Txn> {
    let write = prop_oneof![
        8 => any_node_op().prop_map(Write::Node),
        2 => prop::collection::vec(any_node_op(), 0..5).prop_map(Write::Multi),
        2 => (2000..5000u32).prop_map(|timeout_ms| Write::OpenSession { password: [7; 16], timeout_ms }),
        1 => Just(Write::CloseSession),
    ];
    (1..4i64, 0..1000i64, write).prop_map(|(session, time_ms, write)| Txn {
        origin: None,
        session: SessionId(session),
        time_ms,
        write,
    })
}

fn apply(state: &mut State, txns: &[Txn], first: i64) {
    for (zxid, txn) in (first..).zip(txns) {
        state.apply(zxid, txn, Replay::No);
    }
}

/// What must hold of every tree, whatever built it.
fn consistent(state: &State) -> Result<(), TestCaseError> {
    for owner in state.tree.owners() {
        prop_assert!(state.sessions.contains_key(&owner), "nodes of the dead session {}", owner);
        for path in state.tree.ephemerals(owner) {
            let stat = state.tree.stat(path);
            prop_assert!(
                stat.is_some_and(|stat| stat.ephemeral_owner == owner.0 && stat.num_children == 0),
                "{}",
                path
            );
        }
    }
    let below = state.tree.descendants("/").expect("there is a root");
    prop_assert_eq!(below + 1, state.tree.len());
    Ok(())
}

proptest! {
    #[test]
    fn the_same_log_gives_the_same_state_by_way_of_a_snapshot_too(
        txns in prop::collection::vec(any_txn(), 0..60),
        cut in 0..60usize,
    ) {
        let cut = cut.min(txns.len());
        let mut whole = State::default();
        apply(&mut whole, &txns, 1);
        let mut first = State::default();
        apply(&mut first, &txns[..cut], 1);
        let mut second = State::decode(&first.encode()).expect("a snapshot is read back");
        prop_assert_eq!(&second, &first);
        apply(&mut second, &txns[cut..], cut as i64 + 1);
        prop_assert_eq!(whole.digest(), second.digest());
        consistent(&whole)?;
    }

    #[test]
    fn a_transaction_survives_its_encoding(txn in any_txn()) {
        prop_assert_eq!(Txn::decode(&txn.encode()), Ok(txn));
    }

    #[test]
    fn what_a_server_cannot_read_does_not_make_it_panic(bytes in any::<Vec<u8>>()) {
        let mut server = Server::start();
        let mut effects = Vec::new();
        server.service.hear_leader(server.now, &bytes, &mut effects);
        server.service.deliver(server.now, server.zxid + 1, &bytes, false, &mut effects);
        server.service.restore(server.zxid + 2, &bytes);
    }
}

#[test]
fn only_the_planted_bug_keeps_ephemerals_of_a_replayed_close() {
    let session = SessionId(1);
    let txn = |write| Txn { origin: None, session, time_ms: 0, write };
    let log = [
        txn(Write::OpenSession { password: [7; 16], timeout_ms: 2000 }),
        txn(Write::Node(create_op("/e", Ephemeral))),
        txn(Write::CloseSession),
    ];
    for (bugs, replayed, kept) in [
        (vec![], false, false),
        (vec![], true, false),
        (vec![Bug::ZabEphemeralReplay], false, false),
        (vec![Bug::ZabEphemeralReplay], true, true),
    ] {
        let mut config = config();
        config.zab.bugs = bugs.clone();
        let mut service = Service::new(config, Duration::ZERO);
        for (zxid, txn) in (1..).zip(&log) {
            service.deliver(Duration::ZERO, zxid, &txn.encode(), replayed, &mut Vec::new());
        }
        assert_eq!(service.state().tree.stat("/e").is_some(), kept, "bugs {bugs:?}, replayed {replayed}");
        assert_eq!(service.check(), Ok(()));
    }
}
