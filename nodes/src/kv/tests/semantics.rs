//! What the state machine does, request by request, as etcd does it.

use bytes::Bytes;

use crate::kv::State;
use crate::kv::api::*;
use crate::kv::command::{Command, Operation, RequestId};
use crate::replica::NodeId;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn key(text: &str) -> Span {
    Span::Key(bytes(text))
}

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest::new(bytes(key), bytes(value))
}

fn delete(span: Span) -> DeleteRangeRequest {
    DeleteRangeRequest { span, prev_kv: true }
}

/// `key=value create/mod/version lease` for each key.
fn show(response: &RangeResponse) -> Vec<String> {
    response.kvs.iter().map(line).collect()
}

fn line(kv: &KeyValue) -> String {
    let KeyValue { key, value, create_revision, mod_revision, version, lease } = kv;
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}={} {create_revision}/{mod_revision}/{version} {lease}", text(key), text(value))
}

fn read(state: &State, range: &RangeRequest) -> Vec<String> {
    show(&state.range(range).expect("this read is allowed"))
}

fn all(state: &State) -> Vec<String> {
    read(state, &RangeRequest::new(Span::From(Bytes::from_static(&[0]))))
}

fn at(span: Span, revision: i64) -> RangeRequest {
    RangeRequest { revision, ..RangeRequest::new(span) }
}

/// A state in which these were put one after the other.
fn with(puts: &[(&str, &str)]) -> State {
    let mut state = State::default();
    for (key, value) in puts {
        state.execute(&Operation::Put(put(key, value))).expect("a plain put works");
    }
    state
}

fn ok(state: &mut State, operation: Operation) -> Response {
    state.execute(&operation).unwrap_or_else(|error| panic!("{operation:?}: {error}"))
}

fn txn(state: &mut State, compare: Vec<Compare>, success: Vec<Op>, failure: Vec<Op>) -> TxnResponse {
    match ok(state, Operation::Txn(TxnRequest { compare, success, failure })) {
        Response::Txn(response) => response,
        other => panic!("a transaction was answered by {other:?}"),
    }
}

fn compare(span: Span, relation: Relation, operand: Operand) -> Compare {
    Compare { span, relation, operand }
}

#[test]
fn revisions_versions_and_creation() {
    let mut state = State::default();
    assert_eq!(state.revision(), 1, "an empty store");
    ok(&mut state, Operation::Put(put("a", "1")));
    ok(&mut state, Operation::Put(put("b", "2")));
    ok(&mut state, Operation::Put(put("a", "3")));
    assert_eq!(all(&state), ["a=3 2/4/2 0", "b=2 3/3/1 0"]);
    ok(&mut state, Operation::DeleteRange(delete(key("nothing"))));
    assert_eq!(state.revision(), 4, "a deletion of nothing has no revision");
    let Response::DeleteRange(gone) = ok(&mut state, Operation::DeleteRange(delete(key("a")))) else {
        panic!("not the answer to a deletion")
    };
    assert_eq!((gone.deleted, line(&gone.prev_kvs[0])), (1, "a=3 2/4/2 0".to_owned()));
    ok(&mut state, Operation::Put(put("a", "4")));
    assert_eq!(all(&state), ["a=4 6/6/1 0", "b=2 3/3/1 0"], "a deletion begins the versions anew");
}

#[test]
fn spans() {
    let state = with(&[("a", ""), ("b", ""), ("ba", ""), ("c", "")]);
    for (key, end, expected) in [
        ("b", "", vec!["b"]),
        ("x", "", vec![]),
        ("b", "c", vec!["b", "ba"]),
        ("a", "z", vec!["a", "b", "ba", "c"]),
        ("b", "\0", vec!["b", "ba", "c"]),
        ("\0", "\0", vec!["a", "b", "ba", "c"]),
        ("c", "a", vec![]),
        ("c", "c", vec![]),
    ] {
        let span = Span::from_wire(bytes(key), bytes(end));
        let range = state.range(&RangeRequest::new(span.clone())).expect("now can be read");
        let found: Vec<Bytes> = range.kvs.iter().map(|kv| kv.key.clone()).collect();
        let expected: Vec<Bytes> = expected.into_iter().map(bytes).collect();
        assert_eq!(found, expected, "from {key:?} to {end:?}");
        assert!(found.iter().all(|key| span.contains(key)), "from {key:?} to {end:?}");
    }
}

#[test]
fn limits_projections_and_orders() {
    let state = with(&[("b", "1"), ("a", "3"), ("c", "2"), ("b", "0")]);
    let everything = RangeRequest::new(Span::From(bytes("a")));
    let ordered = |target, order| RangeRequest { target, order, ..everything.clone() };
    let keys = |range: &RangeRequest| -> String {
        read(&state, range).iter().filter_map(|line| line.chars().next()).collect()
    };
    use SortOrder::{Ascend, Descend};
    for (target, order, expected) in [
        (SortTarget::Key, SortOrder::None, "abc"),
        (SortTarget::Key, Descend, "cba"),
        (SortTarget::Version, Descend, "bca"),
        (SortTarget::Create, Ascend, "bac"),
        (SortTarget::Mod, Ascend, "acb"),
        (SortTarget::Value, Ascend, "bca"),
        (SortTarget::Value, Descend, "acb"),
    ] {
        assert_eq!(keys(&ordered(target, order)), expected, "by {target:?}, {order:?}");
    }
    let limited = state.range(&RangeRequest { limit: 2, ..ordered(SortTarget::Key, Descend) }).expect("allowed");
    assert_eq!((show(&limited).len(), limited.more, limited.count), (2, true, 3));
    let exact = state.range(&RangeRequest { limit: 3, ..everything.clone() }).expect("allowed");
    assert!(!exact.more);
    let keys_only = RangeRequest { projection: Projection::KeysOnly, ..everything.clone() };
    assert_eq!(read(&state, &keys_only), ["a= 3/3/1 0", "b= 2/5/2 0", "c= 4/4/1 0"]);
    let counted = state.range(&RangeRequest { projection: Projection::CountOnly, ..everything }).expect("allowed");
    assert_eq!((counted.kvs.len(), counted.count), (0, 3));
}

#[test]
fn a_read_at_a_revision_never_changes_until_compaction() {
    let mut state = with(&[("a", "1"), ("b", "2"), ("a", "3")]);
    ok(&mut state, Operation::DeleteRange(delete(key("a"))));
    ok(&mut state, Operation::Put(put("a", "4")));
    let everything = || Span::From(bytes("a"));
    let expected: [(i64, &[&str]); 5] = [
        (2, &["a=1 2/2/1 0"]),
        (3, &["a=1 2/2/1 0", "b=2 3/3/1 0"]),
        (4, &["a=3 2/4/2 0", "b=2 3/3/1 0"]),
        (5, &["b=2 3/3/1 0"]),
        (6, &["a=4 6/6/1 0", "b=2 3/3/1 0"]),
    ];
    for (revision, lines) in expected {
        assert_eq!(read(&state, &at(everything(), revision)), lines, "revision {revision}");
    }
    assert_eq!(state.range(&at(everything(), 7)), Err(Error::FutureRevision));

    for compacted in [3, 5] {
        ok(&mut state, Operation::Compact { revision: compacted });
        for (revision, lines) in expected {
            let found = state.range(&at(everything(), revision));
            if revision < compacted {
                assert_eq!(found, Err(Error::Compacted), "revision {revision} after compaction at {compacted}");
            } else {
                let lines = lines.iter().map(ToString::to_string).collect();
                assert_eq!(found.map(|range| show(&range)), Ok(lines), "revision {revision}, compacted {compacted}");
            }
        }
    }
    assert_eq!(state.execute(&Operation::Compact { revision: 5 }), Err(Error::Compacted));
    assert_eq!(state.execute(&Operation::Compact { revision: 9 }), Err(Error::FutureRevision));
}

#[test]
fn a_compacted_store_forgets_deleted_keys_and_superseded_values() {
    let mut state = with(&[("a", "1"), ("a", "2"), ("b", "1")]);
    ok(&mut state, Operation::DeleteRange(delete(key("b"))));
    let large = state.encode().len();
    ok(&mut state, Operation::Compact { revision: 5 });
    assert!(state.encode().len() < large);
    assert_eq!(all(&state), ["a=2 2/3/2 0"]);
    ok(&mut state, Operation::Put(put("a", "3")));
    ok(&mut state, Operation::Compact { revision: 6 });
    assert_eq!(all(&state), ["a=3 2/6/3 0"], "what survived a compaction is superseded in the next");
}

#[test]
fn a_put_can_keep_the_value_or_the_lease() {
    let mut state = with(&[("a", "1")]);
    ok(&mut state, Operation::LeaseGrant { id: 7, ttl: 10 });
    ok(&mut state, Operation::Put(PutRequest { lease: 7, ignore_value: true, ..put("a", "") }));
    assert_eq!(all(&state), ["a=1 2/3/2 7"]);
    let kept = PutRequest { ignore_lease: true, prev_kv: true, ..put("a", "2") };
    let Response::Put(answer) = ok(&mut state, Operation::Put(kept)) else { panic!("not the answer to a put") };
    assert_eq!(answer.prev_kv.as_ref().map(line).as_deref(), Some("a=1 2/3/2 7"));
    assert_eq!(all(&state), ["a=2 2/4/3 7"]);
    let missing = Operation::Put(PutRequest { ignore_value: true, ..put("b", "") });
    assert_eq!(state.execute(&missing), Err(Error::KeyNotFound));
    let unleased = Operation::Put(PutRequest { lease: 9, ..put("b", "") });
    assert_eq!(state.execute(&unleased), Err(Error::LeaseNotFound));
}

#[test]
fn leases_take_their_keys_with_them_at_one_revision() {
    let mut state = State::default();
    ok(&mut state, Operation::LeaseGrant { id: 7, ttl: 10 });
    assert_eq!(state.execute(&Operation::LeaseGrant { id: 7, ttl: 10 }), Err(Error::LeaseExists));
    assert_eq!(state.execute(&Operation::LeaseGrant { id: 8, ttl: MAX_LEASE_TTL + 1 }), Err(Error::LeaseTtlTooLarge));
    for name in ["a", "b", "c", "d"] {
        ok(&mut state, Operation::Put(PutRequest { lease: 7, ..put(name, "") }));
    }
    ok(&mut state, Operation::Put(put("b", "free")));
    ok(&mut state, Operation::DeleteRange(delete(key("c"))));
    ok(&mut state, Operation::Put(put("c", "new")));
    let before = state.revision();
    ok(&mut state, Operation::LeaseRevoke { id: 7 });
    assert_eq!(state.revision(), before + 1);
    assert_eq!(all(&state), ["b=free 3/6/2 0", "c=new 8/8/1 0"]);
    assert_eq!(state.execute(&Operation::LeaseRevoke { id: 7 }), Err(Error::LeaseNotFound));
}

#[test]
fn comparisons() {
    use Operand::{Create, Lease, Mod, Value, Version};
    use Relation::{Equal, Greater, Less, NotEqual};
    let mut state = with(&[("a", "m"), ("b", "m"), ("a", "m")]);
    let (a, none, both) = (key("a"), key("none"), Span::From(bytes("a")));
    for (span, relation, operand, holds) in [
        (&a, Equal, Version(2), true),
        (&a, NotEqual, Version(2), false),
        (&a, Greater, Create(1), true),
        (&a, Less, Create(2), false),
        (&a, Equal, Mod(4), true),
        (&a, Less, Mod(5), true),
        (&a, Equal, Value(bytes("m")), true),
        (&a, Less, Value(bytes("z")), true),
        (&a, Greater, Value(bytes("z")), false),
        (&a, Equal, Lease(0), true),
        (&none, Equal, Version(0), true),
        (&none, Equal, Create(0), true),
        (&none, NotEqual, Mod(0), false),
        (&none, Equal, Value(bytes("")), false),
        (&none, NotEqual, Value(bytes("m")), false),
        (&both, Equal, Value(bytes("m")), true),
        (&both, Equal, Version(2), false),
        (&both, Greater, Version(0), true),
    ] {
        let what = compare(span.clone(), relation, operand);
        assert_eq!(txn(&mut state, vec![what.clone()], vec![], vec![]).succeeded, holds, "{what:?}");
    }
    let (yes, no) = (compare(a.clone(), Equal, Version(2)), compare(a, Equal, Version(3)));
    assert!(!txn(&mut state, vec![yes, no], vec![], vec![]).succeeded, "all must hold");
    assert!(txn(&mut state, vec![], vec![], vec![]).succeeded, "none holds");
    assert_eq!(state.revision(), 4, "comparing changes nothing");
}

#[test]
fn a_transaction_is_one_revision_and_reads_its_own_writes() {
    let mut state = with(&[("a", "1")]);
    let response = txn(
        &mut state,
        vec![],
        vec![
            Op::Put(put("b", "2")),
            Op::Range(RangeRequest::new(Span::From(bytes("a")))),
            Op::DeleteRange(delete(key("a"))),
            Op::Range(at(Span::From(bytes("a")), 2)),
            Op::Range(RangeRequest::new(Span::From(bytes("a")))),
        ],
        vec![],
    );
    let reads: Vec<Vec<String>> = response
        .responses
        .iter()
        .filter_map(|op| match op {
            OpResponse::Range(range) => Some(show(range)),
            _ => None,
        })
        .collect();
    assert_eq!(reads, [vec!["a=1 2/2/1 0", "b=2 3/3/1 0"], vec!["a=1 2/2/1 0"], vec!["b=2 3/3/1 0"]]);
    assert_eq!(state.revision(), 3);
    assert_eq!(all(&state), ["b=2 3/3/1 0"]);
}

#[test]
fn a_transaction_happens_as_a_whole_or_not_at_all() {
    let mut state = with(&[("a", "1")]);
    let before = state.clone();
    let first = || Op::Put(put("b", "2"));
    for (last, error) in [
        (Op::Put(PutRequest { ignore_value: true, ..put("c", "") }), Error::KeyNotFound),
        (Op::Put(PutRequest { lease: 5, ..put("c", "") }), Error::LeaseNotFound),
        (Op::Range(at(key("a"), 9)), Error::FutureRevision),
        (
            Op::Txn(TxnRequest { success: vec![Op::Range(at(key("a"), 9))], ..TxnRequest::default() }),
            Error::FutureRevision,
        ),
    ] {
        let request = TxnRequest { success: vec![first(), last.clone()], ..TxnRequest::default() };
        assert_eq!(state.execute(&Operation::Txn(request)), Err(error), "{last:?}");
        assert_eq!(state, before, "{last:?} left something behind");
    }
}

#[test]
fn nested_conditions_are_judged_by_the_state_before() {
    let mut state = State::default();
    let absent = compare(key("a"), Relation::Equal, Operand::Version(0));
    let inner = TxnRequest {
        compare: vec![absent.clone()],
        success: vec![Op::Put(put("inner", "yes"))],
        failure: vec![Op::Put(put("inner", "no"))],
    };
    let response = txn(&mut state, vec![absent], vec![Op::Put(put("a", "1")), Op::Txn(inner)], vec![]);
    assert!(matches!(&response.responses[1], OpResponse::Txn(inner) if inner.succeeded));
    assert_eq!(all(&state), ["a=1 2/2/1 0", "inner=yes 2/2/1 0"]);
}

#[test]
fn a_state_survives_its_encoding_and_repeated_commands() {
    let id = |seq| RequestId { node: NodeId(1), life: 1, seq };
    let mut state = with(&[("a", "1"), ("b", "2")]);
    let command = Command { id: id(1), operation: Operation::Put(put("a", "3")) };
    assert!(matches!(state.apply(&command), Some(Ok(_))));
    let mut again = State::decode(&state.encode()).expect("it was just encoded");
    assert_eq!(again, state);
    assert_eq!(again.apply(&command), None, "what was applied is in the snapshot too");
    assert_eq!(again, state);
    assert_eq!(State::decode(b"\xff\xff"), None);
}
