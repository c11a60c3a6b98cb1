//! The ZooKeeper clients against Apache ZooKeeper, where one is installed.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use grudge_workloads::client::{Peer, Target};
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::Protocol;
use serde_json::Value;
use support::promises::{self, workload};
use support::server::{self, Server};
use support::target;

const CLASSES: &str = "/usr/share/java/zookeeper.jar";

/// A single Apache ZooKeeper; nothing if none is installed.
async fn zookeeper(test: &str) -> Option<Server> {
    if !Path::new(CLASSES).exists() {
        eprintln!("skipped {test}: Apache ZooKeeper is not installed (apt-get install zookeeper)");
        return None;
    }
    let workload = workload("register", Protocol::ZooKeeper, 1);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_linearizable() {
    let Some(server) = zookeeper("registers").await else { return };
    promises::registers_are_linearizable(Protocol::ZooKeeper, target(server.address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_keep_their_fenced_promise() {
    let Some(server) = zookeeper("locks").await else { return };
    promises::locks_keep_their_fenced_promise(Protocol::ZooKeeper, target(server.address)).await;
}

#[tokio::test]
async fn a_register_does_what_it_says() {
    let Some(server) = zookeeper("script").await else { return };
    promises::a_register_does_what_it_says(Protocol::ZooKeeper, target(server.address)).await;
}

#[tokio::test]
async fn a_lock_has_one_holder_and_goes_with_its_client() {
    let Some(server) = zookeeper("handover").await else { return };
    promises::a_lock_has_one_holder_and_goes_with_its_client(Protocol::ZooKeeper, target(server.address)).await;
}

#[tokio::test]
async fn who_waits_too_long_takes_its_place_in_the_queue_back() {
    let Some(server) = zookeeper("patience").await else { return };
    let workload = workload("lock", Protocol::ZooKeeper, 1);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_lose_nothing() {
    let Some(server) = zookeeper("sets").await else { return };
    promises::sets_lose_nothing(Protocol::ZooKeeper, target(server.address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_are_whole() {
    let Some(server) = zookeeper("pairs").await else { return };
    promises::pairs_are_whole(Protocol::ZooKeeper, target(server.address)).await;
}

#[tokio::test]
async fn a_collection_does_what_it_says() {
    let Some(server) = zookeeper("collections").await else { return };
    promises::a_collection_does_what_it_says(Protocol::ZooKeeper, target(server.address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_go_forward() {
    let Some(server) = zookeeper("sessions").await else { return };
    let target = target(server.address);
    promises::is_judged_valid("session", Protocol::ZooKeeper, target, &["read", "write", "hop"]).await;
}

#[tokio::test]
async fn a_nomad_takes_its_session_along_and_outlives_it() {
    let Some(server) = zookeeper("nomad").await else { return };
    let here = target(server.address);
    let gone = Peer { node: "n2".into(), address: server::free_address() };
    let target = Target { cluster: Arc::new([here.cluster[0].clone(), gone]), ..here };
    let mut client = promises::connect("session", Protocol::ZooKeeper, &target).await;
    let on_x = |f| Invocation::new(f).on("x");
    let hop = |steps: u64| Invocation::new("hop").with(steps);
    assert_eq!(client.invoke(&on_x("read")).await, Outcome::ok(Value::Null, None));
    let Outcome::Ok { value, version: Some(written) } = client.invoke(&on_x("write").with(5)).await else {
        panic!("it is written")
    };
    assert_eq!(value, 5);
    assert_eq!(client.invoke(&on_x("read")).await, Outcome::ok(5, Some(written)));
    // Nobody is there: the client is nowhere, and alive.
    assert_eq!(client.invoke(&hop(1)).await, Outcome::fail("refused"));
    assert_eq!(client.invoke(&on_x("read")).await, Outcome::fail("disconnected"));
    assert!(client.alive());
    assert_eq!(client.invoke(&hop(1)).await, Outcome::ok("n1", Some(written)));
    assert_eq!(client.invoke(&on_x("read")).await, Outcome::ok(5, Some(written)));
    client.close().await;
    // A session that is over costs one hop; the next one begins another.
    assert_eq!(client.invoke(&hop(2)).await, Outcome::fail("session-expired"));
    assert!(matches!(client.invoke(&hop(2)).await, Outcome::Ok { .. }));
    assert_eq!(client.invoke(&on_x("read")).await, Outcome::ok(5, Some(written)));
    client.close().await;
}
