//! The Redis clients against a real Redis, where one is installed.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

#[expect(dead_code, reason = "Redis has no pairs here")]
mod support;

use std::process::{Command, Stdio};
use std::time::Duration;

use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::Protocol;
use redis::Commands;
use support::promises::{self, connect, workload};
use support::server::{self, Server};
use support::{PATIENCE, target};
use tokio::time::{Instant, sleep};

/// A single Redis; nothing if none is installed.
async fn redis(test: &str) -> Option<Server> {
    if Command::new("redis-server").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("skipped {test}: redis-server is not installed (apt-get install redis-server)");
        return None;
    }
    let workload = workload("register", Protocol::Redis, 1);
    let name = format!("redis-{test}");
    let started = server::start(&name, &workload, |folder, address| {
        let mut command = Command::new("redis-server");
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        command.args(["--bind", &ip, "--port", &port, "--save", "", "--dir"]).arg(folder);
        command
    });
    Some(started.await)
}

/// A connection beside those of the clients.
fn aside(server: &Server) -> redis::Connection {
    let client = redis::Client::open(format!("redis://{}", server.address)).expect("an address");
    client.get_connection().expect("the server serves")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_linearizable() {
    let Some(server) = redis("registers").await else { return };
    promises::registers_are_linearizable(Protocol::Redis, target(server.address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_keep_their_fenced_promise() {
    let Some(server) = redis("locks").await else { return };
    promises::locks_keep_their_fenced_promise(Protocol::Redis, target(server.address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sets_lose_nothing() {
    let Some(server) = redis("sets").await else { return };
    promises::sets_lose_nothing(Protocol::Redis, target(server.address)).await;
}

#[tokio::test]
async fn a_register_does_what_it_says() {
    let Some(server) = redis("script").await else { return };
    promises::a_register_does_what_it_says(Protocol::Redis, target(server.address)).await;
}

#[tokio::test]
async fn a_lock_has_one_holder_and_goes_with_its_client() {
    let Some(server) = redis("handover").await else { return };
    promises::a_lock_has_one_holder_and_goes_with_its_client(Protocol::Redis, target(server.address)).await;
}

#[tokio::test]
async fn a_holder_whose_lock_has_expired_proves_until_another_holds() {
    let Some(server) = redis("expired").await else { return };
    let mut first = connect("lock", Protocol::Redis, &target(server.address)).await;
    let mut second = connect("lock", Protocol::Redis, &target(server.address)).await;
    let on_x = |f| Invocation::new(f).on("x");
    let Outcome::Ok { value: token, .. } = first.invoke(&on_x("acquire")).await else { panic!("the lock is free") };
    let gone: i64 = aside(&server).del("grudge:lock:x").expect("a key");
    assert_eq!(gone, 1, "as if its time were up");
    let prove = on_x("prove").with(token.clone());
    assert!(matches!(first.invoke(&prove).await, Outcome::Ok { .. }), "nobody else holds");
    let Outcome::Ok { value: later, .. } = second.invoke(&on_x("acquire")).await else { panic!("the lock is free") };
    assert_eq!(first.invoke(&prove).await, Outcome::fail("lost"), "{later} was given out after {token}");
    assert_eq!(first.invoke(&on_x("release").with(token)).await, Outcome::fail("not-held"));
    let prove = on_x("prove").with(later.clone());
    assert!(matches!(second.invoke(&prove).await, Outcome::Ok { .. }), "what is refused does nobody harm");
    assert!(matches!(second.invoke(&on_x("release").with(later)).await, Outcome::Ok { .. }));
}

#[tokio::test]
async fn the_lock_of_a_client_that_lives_is_renewed() {
    let Some(server) = redis("renewed").await else { return };
    let mut client = connect("lock", Protocol::Redis, &target(server.address)).await;
    assert!(matches!(client.invoke(&Invocation::new("acquire").on("x")).await, Outcome::Ok { .. }));
    let mut aside = aside(&server);
    let mut left = || aside.pttl::<_, i64>("grudge:lock:x").expect("a key");
    let (deadline, mut before) = (Instant::now() + PATIENCE, left());
    loop {
        sleep(Duration::from_millis(20)).await;
        let now = left();
        if now > before {
            return;
        }
        assert!(now > 0 && Instant::now() < deadline, "{now} ms are left, and {before} ms were");
        before = now;
    }
}
