//! The ZooKeeper clients against Apache ZooKeeper, where one is installed.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use grudge_workloads::client::Target;
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::Protocol;
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
