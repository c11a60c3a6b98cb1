//! The etcd clients against a real etcd, where one is installed.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::process::{Command, Stdio};

use grudge_checkers::history::Kind;
use grudge_checkers::verdict::Verdict;
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::Protocol;
use support::promises::{self, workload};
use support::server::{self, Server};
use support::{Enough, counts, run, target};

/// A single etcd; nothing if none is installed.
async fn etcd(test: &str) -> Option<Server> {
    if Command::new("etcd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("skipped {test}: etcd is not installed (apt-get install etcd-server)");
        return None;
    }
    let workload = workload("register", Protocol::Etcd, 1);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_linearizable() {
    let Some(server) = etcd("registers").await else { return };
    promises::registers_are_linearizable(Protocol::Etcd, target(server.address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_keep_their_fenced_promise() {
    let Some(server) = etcd("locks").await else { return };
    promises::locks_keep_their_fenced_promise(Protocol::Etcd, target(server.address)).await;
}

#[tokio::test]
async fn a_register_does_what_it_says() {
    let Some(server) = etcd("script").await else { return };
    promises::a_register_does_what_it_says(Protocol::Etcd, target(server.address)).await;
}

#[tokio::test]
async fn a_lock_has_one_holder_and_goes_with_its_client() {
    let Some(server) = etcd("handover").await else { return };
    promises::a_lock_has_one_holder_and_goes_with_its_client(Protocol::Etcd, target(server.address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_lose_nothing() {
    let Some(server) = etcd("sets").await else { return };
    promises::sets_lose_nothing(Protocol::Etcd, target(server.address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_are_whole() {
    let Some(server) = etcd("pairs").await else { return };
    promises::pairs_are_whole(Protocol::Etcd, target(server.address)).await;
}

#[tokio::test]
async fn a_collection_does_what_it_says() {
    let Some(server) = etcd("collections").await else { return };
    promises::a_collection_does_what_it_says(Protocol::Etcd, target(server.address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_live_their_time() {
    let Some(server) = etcd("leases").await else { return };
    let mut workload = workload("lease", Protocol::Etcd, 3);
    let each = ["grant", "renew", "check"];
    let history = run(&mut workload, 4, &[target(server.address)], Enough { each: &each, times: 5 }).await;
    let judgements = (workload.judge)(&history);
    assert_eq!(judgements[0].verdict, Verdict::Valid, "{}", judgements[0].checker);
    let counts = counts(&history);
    for f in each {
        assert!(counts.get(&(f.to_owned(), "ok")).is_some_and(|ok| *ok >= 5), "{f}: {counts:?}");
    }
    let gone = history.events.iter().filter(|event| event.kind == Kind::Ok && event.value == false).count();
    assert!(gone >= 4, "each worker waits for the end of a lease: {counts:?}");
}

#[tokio::test]
async fn a_lease_does_what_it_says() {
    let Some(server) = etcd("lease").await else { return };
    let mut client = promises::connect("lease", Protocol::Etcd, &target(server.address)).await;
    let on_x = |f| Invocation::new(f).on("x");
    assert_eq!(client.invoke(&on_x("check")).await, Outcome::ok(false, None));
    let Outcome::Ok { value, version } = client.invoke(&on_x("grant").with(60)).await else { panic!("it is granted") };
    assert!(version.is_some_and(|version| version > 0), "{version:?}");
    assert_eq!(value["ttl"], 60);
    let lease = value["lease"].as_i64().expect("a lease has a number");
    assert_eq!(client.invoke(&on_x("check")).await, Outcome::ok(true, None));
    assert_eq!(client.invoke(&on_x("renew").with(lease)).await, Outcome::ok(value, None));
    assert!(matches!(client.invoke(&on_x("revoke").with(lease)).await, Outcome::Ok { .. }));
    assert_eq!(client.invoke(&on_x("check")).await, Outcome::ok(false, None));
    let unknown = Outcome::fail("requested-lease-not-found");
    assert_eq!(client.invoke(&on_x("renew").with(lease)).await, unknown);
    assert_eq!(client.invoke(&on_x("revoke").with(lease)).await, unknown);
    assert!(client.alive());
}
