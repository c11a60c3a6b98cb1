//! One conversation with a server that stands alone, byte by byte, and what Apache ZooKeeper 3.8 answers to the same.
//! Zxids are shown without their epoch, and times, sessions and passwords not at all.

use std::fmt::Write as _;
use std::time::Duration;

use grudge_nodes::replica::NodeId;

use crate::client::{Answer, Client, Fields};
use crate::cluster::Cluster;

fn show(answer: Option<Answer>) -> String {
    let Some(answer) = answer else { return "closed".to_owned() };
    let body: String = answer.body.iter().flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect();
    let zxid = if answer.zxid < 0 { answer.zxid } else { answer.zxid & 0xffff_ffff };
    format!("xid {} zxid {zxid} err {} {body}", answer.xid, answer.err)
}

/// A stat without what differs from run to run.
fn show_stat(answer: Option<Answer>) -> String {
    let body = answer.expect("a stat").body;
    let long = |at: usize| i64::from_be_bytes(body[at..at + 8].try_into().expect("eight bytes")) & 0xffff_ffff;
    let int = |at: usize| i32::from_be_bytes(body[at..at + 4].try_into().expect("four bytes"));
    format!(
        "czxid {} mzxid {} version {} cversion {} aversion {} length {} children {} pzxid {}",
        long(0),
        long(8),
        int(32),
        int(36),
        int(40),
        int(52),
        int(56),
        long(60)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_reads_as_with_zookeeper() {
    let cluster = Cluster::start(1, Duration::from_millis(2000)).await;
    let server = cluster.address(NodeId(1));
    let mut log = String::new();
    let mut say = |what: &str, answer: String| writeln!(log, "{what}: {answer}").expect("strings take all");

    let mut c = Client::connect(server, None, 0).await.expect("a session");
    say("connect", format!("{} bytes, timeout {}", c.connected.len(), c.timeout()));
    for (asked, field) in [(6000, false), (1, true), (999_999, true)] {
        let other = Client::connect_for(server, None, 0, asked, field).await.expect("a session");
        say("connect", format!("{} bytes, asked {asked}, timeout {}", other.connected.len(), other.timeout()));
    }
    let f = Fields::new;
    for (what, code, body) in [
        ("create", 1, f().create("/a", b"x", 0)),
        ("create again", 1, f().create("/a", b"x", 0)),
        ("create without parent", 1, f().create("/q/r", b"", 0)),
        ("sequential", 1, f().create("/a/n-", b"", 2)),
        ("plain child", 1, f().create("/a/plain", b"", 0)),
        ("ephemeral sequential", 1, f().create("/a/n-", b"", 3)),
        ("delete plain", 2, f().str("/a/plain").int(-1)),
        ("sequential after delete", 1, f().create("/a/n-", b"", 2)),
    ] {
        say(what, show(c.call(code, body).await));
    }
    say("stat of /a", show_stat(c.call(3, f().str("/a").bool(false)).await));
    for (what, code, body) in
        [("sequential, only a slash", 1, f().create("/a/", b"", 2)), ("exists and watch", 3, f().str("/w").bool(true))]
    {
        say(what, show(c.call(code, body).await));
    }
    c.send(1, f().create("/w", b"", 0)).await;
    say("create with the own watch", show(c.receive().await));
    say("then", show(c.receive().await));
    for (what, code, body) in [
        ("ephemeral", 1, f().create("/e", b"", 1)),
        ("child of an ephemeral", 1, f().create("/e/k", b"", 0)),
        ("delete with children", 2, f().str("/a").int(-1)),
        ("wrong version", 5, f().str("/a").bytes(b"y").int(7)),
        ("children", 8, f().str("/a").bool(false)),
    ] {
        say(what, show(c.call(code, body).await));
    }
    c.send_as(-2, 11, f()).await;
    say("ping", show(c.receive().await));
    c.send_as(-4, 100, f().int(0).str("digest").str("u:p")).await;
    say("auth", show(c.receive().await));
    let failing = f()
        .multi(1, f().create("/m2", b"", 0))
        .multi(2, f().str("/nope").int(-1))
        .multi(1, f().create("/m3", b"", 0))
        .end_multi();
    let applied = f()
        .multi(1, f().create("/m1", b"", 0))
        .multi(13, f().str("/m1").int(0))
        .multi(2, f().str("/m1").int(0))
        .end_multi();
    for (what, code, body) in [
        ("multi that is applied", 14, applied),
        ("multi that fails", 14, failing),
        ("and leaves nothing", 3, f().str("/m2").bool(false)),
        ("sync", 9, f().str("/a")),
        ("unknown", 77, f()),
    ] {
        say(what, show(c.call(code, body).await));
    }

    let mut old = Client::connect(server, None, 0).await.expect("a session");
    say("ephemeral", show(old.call(1, f().create("/ed", b"", 1)).await));
    let (session, password) = old.identity();
    let new = Client::connect(server, Some((session, password)), 0).await.expect("an answer");
    say("reconnect", format!("the same session {}, timeout {}", new.identity() == (session, password), new.timeout()));
    say("the old connection", show(old.receive().await));
    let wrong = Client::connect(server, Some((session, [1; 16])), 0).await.expect("an answer");
    say("wrong password", format!("timeout {} session {}", wrong.timeout(), wrong.identity().0));
    let ahead = Client::connect(server, None, 1 << 60).await;
    say("ahead of the server", if ahead.is_some() { "served" } else { "closed" }.to_owned());
    let mut again = Client::connect(server, Some((session, password)), 0).await.expect("an answer");
    say("after the wrong password", format!("timeout {}", again.timeout()));
    say("close the session", show(again.call(-11, f()).await));
    say("and then", show(again.receive().await));
    let gone = Client::connect(server, Some((session, password)), 0).await.expect("an answer");
    say("closed session", format!("timeout {} session {}", gone.timeout(), gone.identity().0));

    let mut e = Client::connect(server, None, 0).await.expect("a session");
    say("its ephemeral", show(e.call(3, f().str("/ed").bool(false)).await));
    say("nearly 1 MiB", show(e.call(1, f().create("/big", &vec![b'z'; 1_048_475], 0)).await));
    say("more than 1 MiB", show(e.call(1, f().create("/big2", &vec![b'z'; 1_050_576], 0)).await));
    let mut w = Client::connect(server, None, 0).await.expect("a session");
    w.send_as(-8, 101, f().long(0).strs(&["/a"]).strs(&["/zz"]).strs(&["/a"])).await;
    for what in ["missed", "missed", "set watches"] {
        say(what, show(w.receive().await));
    }
    say("ruok", cluster.word(NodeId(1), "ruok").await);
    insta::assert_snapshot!(log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_request_end_their_connection_and_nothing_else() {
    let cluster = Cluster::start(1, Duration::from_millis(500)).await;
    let server = cluster.address(NodeId(1));
    let mut bystander = Client::connect(server, None, 0).await.expect("a session");
    for garbage in [Fields::new().int(-5), Fields::new().int(i32::MAX), Fields::new().str("no connect message")] {
        let mut stream = tokio::net::TcpStream::connect(server).await.expect("the client port is open");
        tokio::io::AsyncWriteExt::write_all(&mut stream, &garbage.0).await.expect("sent");
        let end = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1]).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{:?} was answered", garbage.0);
    }
    let mut client = Client::connect(server, None, 0).await.expect("a session");
    assert_eq!(client.call(1, Fields::new().int(9999)).await, None, "a body that is no create");
    let alive = bystander.call(3, Fields::new().str("/").bool(false)).await.expect("the bystander is served");
    assert_eq!(alive.err, 0);
}
