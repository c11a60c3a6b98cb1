//! What the clients promise of a real system, whatever it speaks.

use grudge_checkers::verdict::Verdict;
use grudge_workloads::client::{Client, Target};
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::{Protocol, find};
use grudge_workloads::workload::{Options, Workload};
use serde_json::json;

use super::{Enough, PATIENCE, counts, run};

/// How often each operation of a run must have succeeded.
const TIMES: usize = 30;

/// That workload for four workers.
pub fn workload(name: &str, protocol: Protocol, seed: u64) -> Workload {
    let options = Options { seed, workers: 4, keys: Some(2), rate: Some(200.0), time: PATIENCE };
    find(name, protocol, &options).expect("it is in the list")
}

/// A client of that workload.
pub async fn connect(name: &str, protocol: Protocol, target: &Target) -> Box<dyn Client> {
    workload(name, protocol, 1).connect.connect(target).await.expect("the server serves")
}

/// A run of that workload is judged valid, findings included, and each of these operations succeeded often enough.
pub async fn is_judged_valid(name: &str, protocol: Protocol, target: Target, each: &[&str]) {
    let mut workload = workload(name, protocol, 7);
    let history = run(&mut workload, 4, &[target], Enough { each, times: TIMES }).await;
    let counts = counts(&history);
    for f in each {
        assert!(counts.get(&((*f).to_owned(), "ok")).is_some_and(|ok| *ok >= TIMES), "{f}: {counts:?}");
    }
    for judgement in (workload.judge)(&history) {
        assert_eq!(judgement.verdict, Verdict::Valid, "{}", judgement.checker);
    }
}

/// A run on registers is judged valid.
pub async fn registers_are_linearizable(protocol: Protocol, target: Target) {
    is_judged_valid("register", protocol, target, &["read", "write", "cas"]).await;
}

/// A run on locks is judged valid.
pub async fn locks_keep_their_fenced_promise(protocol: Protocol, target: Target) {
    is_judged_valid("lock", protocol, target, &["acquire", "prove", "release"]).await;
}

/// A run on sets is judged valid, and so is what local reads showed of the only server.
pub async fn sets_lose_nothing(protocol: Protocol, target: Target) {
    is_judged_valid("set", protocol, target, &["add", "read", "read-local"]).await;
}

/// A run on pairs is judged valid.
pub async fn pairs_are_whole(protocol: Protocol, target: Target) {
    is_judged_valid("multi", protocol, target, &["write", "read"]).await;
}

/// Each operation on a set and on pairs does what it says.
pub async fn a_collection_does_what_it_says(protocol: Protocol, target: Target) {
    let mut set = connect("set", protocol, &target).await;
    let mut multi = connect("multi", protocol, &target).await;
    let on_x = |f| Invocation::new(f).on("x");
    let script = [
        ("set", on_x("read"), json!([])),
        ("set", on_x("read-local"), json!([])),
        ("set", on_x("add").with(10), json!(10)),
        ("set", on_x("add").with(9), json!(9)),
        ("set", Invocation::new("add").on("y").with(7), json!(7)),
        ("set", on_x("read"), json!([9, 10])),
        ("set", on_x("read-local"), json!([9, 10])),
        ("multi", on_x("read"), json!([[], []])),
        ("multi", on_x("write").with(10), json!(10)),
        ("multi", on_x("write").with(9), json!(9)),
        ("multi", Invocation::new("write").on("y").with(7), json!(7)),
        ("multi", on_x("read"), json!([[9, 10], [9, 10]])),
    ];
    let mut last = 0;
    for (name, invocation, expected) in script {
        let client = if name == "set" { &mut set } else { &mut multi };
        let Outcome::Ok { value, version } = client.invoke(&invocation).await else { panic!("{invocation:?}") };
        assert_eq!(value, expected, "{invocation:?}");
        assert!(version.is_none_or(|version| version >= last), "{invocation:?}: {version:?} after {last}");
        last = version.unwrap_or(last);
    }
    assert!(last > 0, "puts have versions");
    set.close().await;
    multi.close().await;
}

/// Each operation on a register does what it says, and versions never go back.
pub async fn a_register_does_what_it_says(protocol: Protocol, target: Target) {
    let mut client = connect("register", protocol, &target).await;
    let on_x = |f| Invocation::new(f).on("x");
    let script = [
        (on_x("read"), Ok(json!(null))),
        (on_x("cas").with(json!([null, 1])), Ok(json!([null, 1]))),
        (on_x("cas").with(json!([null, 2])), Err("mismatch")),
        (on_x("write").with(3), Ok(json!(3))),
        (on_x("cas").with(json!([3, 4])), Ok(json!([3, 4]))),
        (on_x("read"), Ok(json!(4))),
    ];
    let mut last = 0;
    for (invocation, expected) in script {
        match (client.invoke(&invocation).await, expected) {
            (Outcome::Ok { value, version }, Ok(expected)) => {
                assert_eq!(value, expected, "{invocation:?}");
                assert!(version.is_none_or(|version| version >= last), "{version:?} after {last}");
                last = version.unwrap_or(last);
            }
            (Outcome::Fail { error }, Err(expected)) => assert_eq!(error, expected, "{invocation:?}"),
            (outcome, _) => panic!("{invocation:?} ended as {outcome:?}"),
        }
    }
    client.close().await;
    assert_eq!(client.invoke(&on_x("read")).await, Outcome::fail("disconnected"));
}

/// A lock has one holder, who alone can prove it; when its client closes, the next one's token is higher.
pub async fn a_lock_has_one_holder_and_goes_with_its_client(protocol: Protocol, target: Target) {
    let mut first = connect("lock", protocol, &target).await;
    let mut second = connect("lock", protocol, &target).await;
    let acquire = Invocation::new("acquire").on("x");
    let Outcome::Ok { value: token, version } = first.invoke(&acquire).await else { panic!("the lock is free") };
    assert_eq!(token.as_i64(), version);
    let prove = Invocation::new("prove").on("x").with(token.clone());
    assert!(matches!(first.invoke(&prove).await, Outcome::Ok { .. }));
    if protocol != Protocol::ZooKeeper {
        assert_eq!(second.invoke(&acquire).await, Outcome::fail("taken"));
    }
    assert_eq!(second.invoke(&prove).await, Outcome::fail("not-held"));
    let outcome = match protocol {
        Protocol::Etcd | Protocol::Redis => {
            first.close().await;
            second.invoke(&acquire).await
        }
        // The second waits for the deletion of the first's znode and for nothing else, and gets its turn.
        Protocol::ZooKeeper => {
            let waiting = tokio::spawn(async move {
                let outcome = second.invoke(&acquire).await;
                (second, outcome)
            });
            assert!(matches!(first.invoke(&prove).await, Outcome::Ok { .. }));
            first.close().await;
            let outcome;
            (second, outcome) = waiting.await.expect("the waiting client does not panic");
            outcome
        }
    };
    let Outcome::Ok { value: later, .. } = outcome else { panic!("a closed client holds nothing: {outcome:?}") };
    assert!(later.as_i64() > token.as_i64(), "tokens grow: {later} after {token}");
    second.close().await;
}
