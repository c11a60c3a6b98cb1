//! kazoo's own recipes against three servers, one of which is killed on the way.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::cluster::Cluster;

/// A recipe asks for a kill with this line, and goes on when it is answered.
const KILL: &str = "kill the leader";

async fn kazoo_is_there() -> bool {
    let import = Command::new("python3").args(["-c", "import kazoo"]).stderr(Stdio::null()).status().await;
    import.is_ok_and(|status| status.success())
}

async fn run(recipe: &str) {
    if !kazoo_is_there().await {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "skipped: python3 cannot import kazoo (pip install kazoo)");
        return;
    }
    let mut cluster = Cluster::start(3, Duration::from_millis(500)).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zookeeper/recipes.py");
    let mut python = Command::new("python3")
        .args([script, recipe, &cluster.hosts()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("python3 was there a moment ago");
    let mut input = python.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(python.stdout.take().expect("a pipe")).lines();
    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await.expect("kazoo's output is text") {
        if line == KILL {
            let leader = cluster.leader().await;
            cluster.stop(leader).await;
            input.write_all(b"killed\n").await.expect("the recipe waits for this");
        }
        said.push(line);
    }
    let status = python.wait().await.expect("the recipe ends");
    assert!(status.success(), "{recipe}: {status}\n{}", said.join("\n"));
    assert!(said.iter().any(|line| line == KILL), "{recipe} has not asked for a kill");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lock() {
    run("lock").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_watch() {
    run("data-watch").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn election() {
    run("election").await;
}
