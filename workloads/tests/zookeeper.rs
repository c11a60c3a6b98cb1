//! The ZooKeeper clients against Apache ZooKeeper, where one is installed.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use grudge_checkers::verdict::Verdict;
use grudge_workloads::client::Target;
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::{Protocol, find};
use grudge_workloads::workload::Options;
use serde_json::json;
use support::server::{self, Server};
use support::{counts, run, target};

const CLASSES: &str = "/usr/share/java/zookeeper.jar";

/// A single Apache ZooKeeper; nothing if none is installed.
async fn zookeeper(test: &str) -> Option<Server> {
    if !Path::new(CLASSES).exists() {
        eprintln!("skipped {test}: Apache ZooKeeper is not installed (apt-get install zookeeper)");
        return None;
    }
    let workload = find("register", Protocol::ZooKeeper, &options(1)).expect("it is in the list");
    let name = format!("zookeeper-{test}");
    let started = server::start(&name, &workload, |folder, address| {
        let configuration = folder.join("zoo.cfg");
        let text = format!(
            "tickTime=500\ndataDir={}\nclientPort={}\nclientPortAddress={}\nadmin.enableServer=false\n",
            folder.display(),
            address.port(),
            address.ip(),
        );
        fs::write(&configuration, text).expect("the new folder can be written");
        let mut command = Command::new("java");
        command
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-cp", CLASSES])
            .arg("org.apache.zookeeper.server.ZooKeeperServerMain")
            .arg(configuration);
        command
    });
    Some(started.await)
}

fn options(seed: u64) -> Options {
    Options { seed, workers: 4, keys: Some(2), rate: Some(200.0), time: Duration::from_secs(2) }
}

async fn judged_valid(test: &str, workload: &str, each: &[&str]) {
    let Some(server) = zookeeper(test).await else { return };
    let mut workload = find(workload, Protocol::ZooKeeper, &options(7)).expect("it is in the list");
    let history = run(&mut workload, 4, &[target(server.address)]).await;
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
    let Some(server) = zookeeper("script").await else { return };
    let workload = find("register", Protocol::ZooKeeper, &options(1)).expect("it is in the list");
    let mut client = workload.connect.connect(&target(server.address)).await.expect("the server serves");
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
    let Some(server) = zookeeper("handover").await else { return };
    let workload = find("lock", Protocol::ZooKeeper, &options(1)).expect("it is in the list");
    let target = target(server.address);
    let mut first = workload.connect.connect(&target).await.expect("the server serves");
    let mut second = workload.connect.connect(&target).await.expect("the server serves");
    let acquire = Invocation::new("acquire").on("x");
    let Outcome::Ok { value: token, version } = first.invoke(&acquire).await else { panic!("the lock is free") };
    assert_eq!(token.as_i64(), version);
    let with = |f: &'static str| Invocation::new(f).on("x").with(token.clone());
    assert!(matches!(first.invoke(&with("prove")).await, Outcome::Ok { .. }));
    assert_eq!(second.invoke(&with("prove")).await, Outcome::fail("not-held"));
    // The second waits for the deletion of the first's znode and for nothing else, and gets its turn.
    let waiting = tokio::spawn(async move {
        let outcome = second.invoke(&acquire).await;
        (second, outcome)
    });
    assert!(matches!(first.invoke(&with("prove")).await, Outcome::Ok { .. }));
    first.close().await;
    let (mut second, outcome) = waiting.await.expect("the waiting client does not panic");
    let Outcome::Ok { value: later, .. } = outcome else { panic!("a closed client holds nothing: {outcome:?}") };
    assert!(later.as_i64() > token.as_i64(), "tokens grow: {later} after {token}");
    second.close().await;
}

#[tokio::test]
async fn who_waits_too_long_takes_its_place_in_the_queue_back() {
    let Some(server) = zookeeper("patience").await else { return };
    let workload = find("lock", Protocol::ZooKeeper, &options(1)).expect("it is in the list");
    let mut first = workload.connect.connect(&target(server.address)).await.expect("the server serves");
    let impatient = Target { timeout: Duration::from_millis(1500), ..target(server.address) };
    let mut second = workload.connect.connect(&impatient).await.expect("the server serves");
    let acquire = Invocation::new("acquire").on("x");
    let Outcome::Ok { value: token, .. } = first.invoke(&acquire).await else { panic!("the lock is free") };
    assert_eq!(second.invoke(&acquire).await, Outcome::fail("taken"));
    assert!(second.alive());
    let release = Invocation::new("release").on("x").with(token);
    assert!(matches!(first.invoke(&release).await, Outcome::Ok { .. }));
    assert!(matches!(first.invoke(&acquire).await, Outcome::Ok { .. }), "nobody is before it in the queue");
}
