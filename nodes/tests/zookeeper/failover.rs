//! Three servers, one of which dies: nothing acknowledged is lost, sessions go on, ephemerals end with theirs.

use std::time::{Duration, Instant};

use grudge_nodes::replica::NodeId;

use crate::client::{Answer, Client, Fields, Identity};
use crate::cluster::{Cluster, PATIENCE};

const TICK: Duration = Duration::from_millis(500);

fn servers() -> impl Iterator<Item = NodeId> {
    (1..=3).map(NodeId)
}

/// A connection that serves, however often it takes: without a leader servers hang up.
async fn connect(cluster: &Cluster, id: NodeId, resume: Option<Identity>) -> Client {
    let start = Instant::now();
    loop {
        if let Some(client) = Client::connect(cluster.address(id), resume, 0).await {
            return client;
        }
        assert!(start.elapsed() < PATIENCE, "{id} serves nobody");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn exists(client: &mut Client, path: &str) -> Answer {
    client.call(9, Fields::new().str(path)).await.expect("synced");
    client.call(3, Fields::new().str(path).bool(false)).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_through_one_server_is_read_through_another_after_a_sync() {
    let cluster = Cluster::start(3, TICK).await;
    for (count, (writer, reader)) in [(1, 2), (2, 3), (3, 1)].into_iter().enumerate() {
        let mut one = connect(&cluster, NodeId(writer), None).await;
        let mut other = connect(&cluster, NodeId(reader), None).await;
        let path = format!("/by-{count}");
        let created = one.call(1, Fields::new().create(&path, b"", 0)).await.expect("an answer");
        assert_eq!(created.err, 0);
        let read = exists(&mut other, &path).await;
        assert_eq!(read.err, 0, "{path} is not read through n{reader}");
        assert!(read.zxid >= created.zxid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_and_what_it_was_told_outlive_the_leader() {
    let mut cluster = Cluster::start(3, TICK).await;
    let leader = cluster.leader().await;
    let others: Vec<NodeId> = servers().filter(|id| *id != leader).collect();
    let mut client = connect(&cluster, others[0], None).await;
    let identity = client.identity();
    for (path, flags) in [("/kept", 0), ("/mine", 1)] {
        assert_eq!(client.call(1, Fields::new().create(path, b"", flags)).await.expect("an answer").err, 0);
    }
    cluster.stop(leader).await;
    assert_eq!(client.receive().await, None, "a server without a leader hangs up");

    let mut moved = connect(&cluster, others[1], Some(identity)).await;
    assert_eq!(moved.identity(), identity);
    for path in ["/kept", "/mine"] {
        assert_eq!(exists(&mut moved, path).await.err, 0, "{path} is lost");
    }
    assert_eq!(moved.call(-11, Fields::new()).await.expect("an answer").err, 0);

    cluster.restart(leader).await;
    let mut back = connect(&cluster, leader, None).await;
    assert_eq!(exists(&mut back, "/kept").await.err, 0);
    assert_eq!(exists(&mut back, "/mine").await.err, -101, "the session is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_moves_between_servers_and_leaves_its_old_connection() {
    let cluster = Cluster::start(3, TICK).await;
    let leader = cluster.leader().await;
    let follower = servers().find(|id| *id != leader).expect("three servers");
    for (from, to) in [(leader, follower), (follower, leader)] {
        let mut old = connect(&cluster, from, None).await;
        let new = connect(&cluster, to, Some(old.identity())).await;
        assert_eq!(new.identity(), old.identity());
        assert_eq!(old.receive().await, None, "the old connection is closed");
        let wrong = connect(&cluster, to, Some((old.identity().0, [9; 16]))).await;
        assert_eq!((wrong.timeout(), wrong.identity()), (0, (0, [0; 16])));
    }
}

/// Stays alive until it is told something.
async fn event(id: NodeId, mut watcher: Client) -> Answer {
    let start = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    loop {
        beat.tick().await;
        watcher.send_as(-2, 11, Fields::new()).await;
        match watcher.receive().await {
            Some(answer) if answer.xid == -1 => return answer,
            Some(_) => assert!(start.elapsed() < PATIENCE, "{id} tells nothing"),
            None => panic!("{id} hung up"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_clients_ephemeral_ends_on_every_server_and_its_watchers_hear() {
    let cluster = Cluster::start(3, TICK).await;
    let leader = cluster.leader().await;
    let follower = servers().find(|id| *id != leader).expect("three servers");
    let mut dying = connect(&cluster, follower, None).await;
    let last_heard = Instant::now();
    assert_eq!(dying.call(1, Fields::new().create("/dying", b"", 1)).await.expect("an answer").err, 0);
    drop(dying);
    let mut watchers = Vec::new();
    for id in servers() {
        let mut watcher = connect(&cluster, id, None).await;
        watcher.call(9, Fields::new().str("/")).await.expect("synced");
        assert_eq!(watcher.call(3, Fields::new().str("/dying").bool(true)).await.expect("an answer").err, 0);
        watchers.push((id, tokio::spawn(event(id, watcher))));
    }
    for (id, watcher) in watchers {
        let event = watcher.await.expect("the watcher is told");
        assert_eq!(event.body, Fields::new().int(2).int(3).str("/dying").0, "{id}");
        assert!(last_heard.elapsed() >= Duration::from_secs(6), "{id}: the session expired early");
    }
}
