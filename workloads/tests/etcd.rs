//! The etcd clients against a real etcd, where one is installed.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::process::{Command, Stdio};
use std::time::Duration;

use grudge_checkers::verdict::Verdict;
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::{Protocol, find};
use grudge_workloads::workload::Options;
use serde_json::json;
use support::server::{self, Server};
use support::{counts, run, target};

/// A single etcd; nothing if none is installed.
async fn etcd(test: &str) -> Option<Server> {
    if Command::new("etcd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("skipped {test}: etcd is not installed (apt-get install etcd-server)");
        return None;
    }
    let workload = find("register", Protocol::Etcd, &options(1)).expect("it is in the list");
    let name = format!("etcd-{test}");
    let started = server::start(&name, &workload, |folder, address| {
        let peer = server::free_address();
        let mut command = Command::new("etcd");
        command
            .arg("--data-dir")
            .arg(folder)
            .args(["--name", "n1", "--log-level", "error"])
            .args(["--listen-client-urls", &format!("http://{address}")])
            .args(["--advertise-client-urls", &format!("http://{address}")])
            .args(["--listen-peer-urls", &format!("http://{peer}")])
            .args(["--initial-advertise-peer-urls", &format!("http://{peer}")])
            .args(["--initial-cluster", &format!("n1=http://{peer}")]);
        command
    });
    Some(started.await)
}

fn options(seed: u64) -> Options {
    Options { seed, workers: 4, keys: Some(2), rate: Some(200.0), time: Duration::from_secs(2) }
}

async fn judged_valid(test: &str, workload: &str, each: &[&str]) {
    let Some(etcd) = etcd(test).await else { return };
    let mut workload = find(workload, Protocol::Etcd, &options(7)).expect("it is in the list");
    let history = run(&mut workload, 4, &[target(etcd.address)]).await;
    let counts = counts(&history);
    for f in each {
        assert!(counts.get(&((*f).to_owned(), "ok")).is_some_and(|ok| *ok >= 10), "{f}: {counts:?}");
    }
    for judgement in (workload.judge)(&history) {
        assert_eq!(judgement.verdict, Verdict::Valid, "{}", judgement.checker);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_linearizable() {
    judged_valid("registers", "register", &["read", "write", "cas"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_keep_their_fenced_promise() {
    judged_valid("locks", "lock", &["acquire", "prove", "release"]).await;
}

#[tokio::test]
async fn a_register_does_what_it_says() {
    let Some(etcd) = etcd("script").await else { return };
    let workload = find("register", Protocol::Etcd, &options(1)).expect("it is in the list");
    let mut client = workload.connect.connect(&target(etcd.address)).await.expect("etcd serves");
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

#[tokio::test]
async fn a_lock_has_one_holder_and_goes_with_its_client() {
    let Some(etcd) = etcd("handover").await else { return };
    let workload = find("lock", Protocol::Etcd, &options(1)).expect("it is in the list");
    let target = target(etcd.address);
    let mut first = workload.connect.connect(&target).await.expect("etcd serves");
    let mut second = workload.connect.connect(&target).await.expect("etcd serves");
    let acquire = Invocation::new("acquire").on("x");
    let Outcome::Ok { value: token, version } = first.invoke(&acquire).await else { panic!("the lock is free") };
    assert_eq!(token.as_i64(), version);
    let with = |f: &'static str| Invocation::new(f).on("x").with(token.clone());
    assert!(matches!(first.invoke(&with("prove")).await, Outcome::Ok { .. }));
    assert_eq!(second.invoke(&acquire).await, Outcome::fail("taken"));
    assert_eq!(second.invoke(&with("prove")).await, Outcome::fail("not-held"));
    first.close().await;
    let Outcome::Ok { value: later, .. } = second.invoke(&acquire).await else {
        panic!("a closed client holds nothing")
    };
    assert!(later.as_i64() > token.as_i64(), "tokens grow: {later} after {token}");
    second.close().await;
}
