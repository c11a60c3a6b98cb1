//! The etcd clients against a real etcd, where one is installed.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::process::{Command, Stdio};

use grudge_workloads::registry::Protocol;
use support::promises::{self, workload};
use support::server::{self, Server};
use support::target;

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
