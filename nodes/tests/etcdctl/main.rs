//! `etcdctl` against three real processes, with what etcd 3.4 says to the same commands.
#![expect(clippy::print_stderr, reason = "a skipped test says why, a failed one shows the logs")]

mod cluster;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use cluster::{Cluster, eventually, wait};

/// A cluster in which every node knows the leader; none if `etcdctl` is not here.
fn serving() -> Option<Cluster> {
    if Command::new("etcdctl").arg("version").output().is_err() {
        eprintln!("skipped: etcdctl is not installed (apt-get install etcd-client)");
        return None;
    }
    let cluster = Cluster::start("raft", 3);
    for node in 1..=3 {
        eventually("the node serves", || call(&cluster, &[node], &["get", "-"], "").status.success().then_some(()));
    }
    Some(cluster)
}

fn call(cluster: &Cluster, nodes: &[usize], words: &[&str], input: &str) -> Output {
    let endpoints: Vec<String> = nodes.iter().map(|&node| cluster.client(node).to_string()).collect();
    let mut child = Command::new("etcdctl")
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", &endpoints.join(","), "--command-timeout", "10s"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("etcdctl runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("etcdctl reads");
    child.wait_with_output().expect("etcdctl ends")
}

/// What a command that must work prints.
fn done(cluster: &Cluster, node: usize, words: &[&str]) -> String {
    done_with(cluster, node, words, "")
}

fn done_with(cluster: &Cluster, node: usize, words: &[&str], input: &str) -> String {
    let output = call(cluster, &[node], words, input);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{words:?} at n{node}: {out}{err}");
    out.into_owned()
}

/// What a command that must not work complains about.
fn refused(cluster: &Cluster, node: usize, words: &[&str], input: &str) -> String {
    let output = call(cluster, &[node], words, input);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{words:?} at n{node} works: {}", String::from_utf8_lossy(&output.stdout));
    said
}

/// The number of the leader, as a node's status names it.
fn leader(cluster: &Cluster, node: usize) -> Option<usize> {
    let output = call(cluster, &[node], &["endpoint", "status", "-w", "json"], "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, rest) = said.split_once("\"leader\":")?;
    rest.split([',', '}']).next()?.parse().ok().filter(|&leader| leader > 0)
}

#[test]
fn keys_and_transactions() {
    let Some(cluster) = serving() else { return };
    assert_eq!(done(&cluster, 1, &["put", "a", "1"]), "OK\n");
    assert_eq!(done(&cluster, 2, &["get", "a"]), "a\n1\n", "a linearizable read at another node");
    assert_eq!(done(&cluster, 3, &["put", "--prev-kv", "a", "2"]), "OK\na\n1\n");
    assert_eq!(done(&cluster, 1, &["put", "ab", "3"]), "OK\n");
    assert_eq!(done(&cluster, 1, &["put", "b", "4"]), "OK\n");
    assert_eq!(done(&cluster, 2, &["get", "--prefix", "a"]), "a\n2\nab\n3\n");
    assert_eq!(done(&cluster, 2, &["get", "--from-key", "ab", "--keys-only"]), "ab\n\nb\n\n");
    assert_eq!(done(&cluster, 2, &["get", "", "--prefix", "--limit", "1", "--order", "DESCEND"]), "b\n4\n");
    assert_eq!(done(&cluster, 3, &["get", "a", "--rev", "2"]), "a\n1\n", "a read of the past");

    let wins =
        done_with(&cluster, 1, &["txn"], "value(\"a\") = \"2\"\nmod(\"b\") > \"1\"\n\nput a 5\nget b\n\nget a\n\n");
    assert_eq!(wins, "SUCCESS\n\nOK\n\nb\n4\n");
    let loses = done_with(&cluster, 2, &["txn"], "create(\"none\") > \"0\"\n\nput a 6\n\nget a\ndel b\n\n");
    assert_eq!(loses, "FAILURE\n\na\n5\n\n1\n");
    assert_eq!(done(&cluster, 3, &["del", "a", "--prefix"]), "2\n");
    assert_eq!(done(&cluster, 1, &["get", "", "--prefix"]), "");

    let twice = refused(&cluster, 1, &["txn"], "\nput a 1\nput a 2\n\n\n");
    assert!(twice.contains("etcdserver: duplicate key given in txn request"), "{twice}");
    let nothing = refused(&cluster, 2, &["put", "", "x"], "");
    assert!(nothing.contains("etcdserver: key is not provided"), "{nothing}");
    assert_eq!(done(&cluster, 1, &["compact", "3"]), "compacted revision 3\n");
    let past = refused(&cluster, 1, &["get", "a", "--rev", "2"], "");
    assert!(past.contains("etcdserver: mvcc: required revision has been compacted"), "{past}");
    let future = refused(&cluster, 2, &["get", "a", "--rev", "1000"], "");
    assert!(future.contains("etcdserver: mvcc: required revision is a future revision"), "{future}");
}

#[test]
fn leases() {
    let Some(cluster) = serving() else { return };
    let granted = done(&cluster, 1, &["lease", "grant", "300"]);
    assert!(granted.starts_with("lease ") && granted.ends_with(" granted with TTL(300s)\n"), "{granted}");
    let id = granted.split(' ').nth(1).expect("lease ID granted");
    assert_eq!(done(&cluster, 2, &["put", "--lease", id, "k", "v"]), "OK\n");
    assert_eq!(
        done(&cluster, 3, &["lease", "keep-alive", "--once", id]),
        format!("lease {id} keepalived with TTL(300)\n")
    );
    let left = done(&cluster, 1, &["lease", "timetolive", "--keys", id]);
    assert!(left.starts_with(&format!("lease {id} granted with TTL(300s), remaining(")), "{left}");
    assert!(left.ends_with("attached keys([k])\n"), "{left}");
    assert!(done(&cluster, 2, &["lease", "list"]).contains(id));
    assert_eq!(done(&cluster, 2, &["lease", "revoke", id]), format!("lease {id} revoked\n"));
    assert_eq!(done(&cluster, 3, &["get", "k"]), "", "a key outlives its lease");
    assert_eq!(done(&cluster, 1, &["lease", "timetolive", id]), format!("lease {id} already expired\n"));
    let dead = refused(&cluster, 1, &["put", "--lease", id, "k", "v"], "");
    assert!(dead.contains("etcdserver: requested lease not found"), "{dead}");

    let short = done(&cluster, 2, &["lease", "grant", "1"]);
    let id = short.split(' ').nth(1).expect("lease ID granted");
    done(&cluster, 2, &["put", "--lease", id, "short", "v"]);
    eventually("the key of an expired lease is gone", || done(&cluster, 3, &["get", "short"]).is_empty().then_some(()));
}

#[test]
fn members_and_health() {
    let Some(cluster) = serving() else { return };
    let leaders: Vec<_> = (1..=3).map(|node| eventually("it knows the leader", || leader(&cluster, node))).collect();
    assert!(leaders.iter().all(|leader| leader == &leaders[0]), "they disagree: {leaders:?}");
    let members = done(&cluster, 1, &["member", "list"]);
    for node in 1..=3 {
        assert!(members.contains(&format!("{node}, started, n{node}, http://")), "{members}");
    }
    assert!(members.contains(&format!("http://{}", cluster.client(1))), "{members}");
    let health = call(&cluster, &[1, 2, 3], &["endpoint", "health"], "");
    assert!(health.status.success(), "{}", String::from_utf8_lossy(&health.stderr));
}

#[test]
fn a_killed_leader_is_replaced_and_comes_back_with_what_it_promised() {
    let Some(mut cluster) = serving() else { return };
    done(&cluster, 1, &["put", "before", "1"]);
    let old = eventually("somebody leads", || leader(&cluster, 1));
    cluster.kill(old);
    let others: Vec<usize> = (1..=3).filter(|&node| node != old).collect();
    let put = |key| call(&cluster, &others, &["put", key, "2"], "").status.success().then_some(());
    eventually("a new leader takes writes", || put("while"));
    cluster.restart(old);
    eventually("the old leader serves again", || {
        call(&cluster, &[old], &["get", "-"], "").status.success().then_some(())
    });
    assert_eq!(done(&cluster, old, &["get", "before"]), "before\n1\n");
    assert_eq!(done(&cluster, old, &["get", "while"]), "while\n2\n");
    for node in 1..=3 {
        cluster.kill(node);
    }
    for node in 1..=3 {
        cluster.restart(node);
    }
    eventually("all are back", || call(&cluster, &[1], &["get", "-"], "").status.success().then_some(()));
    assert_eq!(done(&cluster, 1, &["get", "", "--prefix"]), "before\n1\nwhile\n2\n");
}

#[test]
fn a_process_ends_cleanly_and_says_what_stops_it_from_starting() {
    let mut cluster = Cluster::start("raft", 1);
    let address = cluster.client(1).to_string();
    eventually("it serves", || std::net::TcpStream::connect(&address).ok());
    let mut twin = cluster.spawn(1, &["--listen", "127.0.0.1:0", "--client", "127.0.0.1:0"]);
    assert!(!wait(&mut twin).success());
    assert!(cluster.said(1).contains("is in use by process"), "{}", cluster.said(1));
    let mut second = cluster.spawn(1, &["--listen", "127.0.0.1:0"]);
    assert!(!wait(&mut second).success());
    assert!(cluster.said(1).contains(&format!("cannot listen for clients on {address}")), "{}", cluster.said(1));
    assert!(cluster.terminate(1).success());
    assert!(cluster.said(1).contains("stopped"), "{}", cluster.said(1));
}
