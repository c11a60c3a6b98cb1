//! The ZooKeeper client sends each write once: a scripted server counts what comes over the wire.

#[path = "support/wire/mod.rs"]
mod wire;

use bytes::{Buf, BufMut, BytesMut};
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::Protocol;
use grudge_workloads::speech::Speech;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::observed::Observed;
use wire::promises::{self, write};
use wire::{Deed, PATIENT, Script, Server, Wire};

/// Serves sessions and znodes as far as one key needs, and treats the request under test by script.
struct ZooKeeper;

/// What follows the header in the answer to one kind of request.
#[derive(Clone, Copy, Debug)]
struct Body {
    to: &'static str,
    bytes: &'static [u8],
}

impl Wire for ZooKeeper {
    const WRITE: &'static str = "setData";
    const VERSION: Option<i64> = Some(0);
    const GREETING: Option<&'static str> = Some("connect");
    const FAREWELL: Option<&'static str> = Some("closeSession");
    const REFUSED: &'static str = "refused";

    type Reply = Body;

    fn speech() -> Speech {
        Protocol::ZooKeeper.into()
    }

    async fn serve(stream: TcpStream, seen: Observed, script: Script<Body>) {
        // How a connection ends is counted, not judged.
        let _ = serve(stream, &seen, &script).await;
    }
}

async fn frame(stream: &mut TcpStream) -> std::io::Result<BytesMut> {
    let length = stream.read_i32().await?;
    let mut body = BytesMut::zeroed(usize::try_from(length).map_err(std::io::Error::other)?);
    stream.read_exact(&mut body).await?;
    Ok(body)
}

async fn send(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    stream.write_i32(i32::try_from(body.len()).map_err(std::io::Error::other)?).await?;
    stream.write_all(body).await
}

async fn serve(mut stream: TcpStream, seen: &Observed, script: &Script<Body>) -> std::io::Result<()> {
    seen.request(greeting(&mut frame(&mut stream).await?));
    match script.deed() {
        Deed::Reply(Body { to: "connect", bytes }) => send(&mut stream, bytes).await?,
        _ => send(&mut stream, &welcome()).await?,
    }
    loop {
        let mut request = frame(&mut stream).await?;
        let (xid, kind) = (request.get_i32(), request.get_i32());
        let name = name(kind, &request);
        seen.request(name);
        let mut reply = BytesMut::new();
        reply.put_i32(xid);
        reply.put_i64(5);
        reply.put_i32(0);
        match script.deed() {
            Deed::Reply(Body { to, bytes }) if to == name => reply.put_slice(bytes),
            Deed::Withhold if name == ZooKeeper::WRITE => continue,
            Deed::Cut if name == ZooKeeper::WRITE => return Ok(()),
            Deed::Reply(_) => answer(name, &mut reply),
            _ if matches!(name, "getData" | "sync") => panic!("no write sends {name}"),
            _ => answer(name, &mut reply),
        }
        send(&mut stream, &reply).await?;
    }
}

/// A client that has no session yet begins one; another takes up its own on a new connection.
fn greeting(request: &mut BytesMut) -> &'static str {
    let (_version, _zxid, _timeout, session) =
        (request.get_i32(), request.get_i64(), request.get_i32(), request.get_i64());
    if session == 0 { "connect" } else { "reconnect" }
}

fn welcome() -> BytesMut {
    let mut welcome = BytesMut::new();
    welcome.put_i32(0);
    welcome.put_i32(60_000);
    welcome.put_i64(7);
    welcome.put_i32(16);
    welcome.put_bytes(1, 16);
    welcome.put_u8(0);
    welcome
}

/// What a request of this type is called here. The flags that end a request to create tell a directory from a lock's
/// znode, which is ephemeral and sequential.
fn name(kind: i32, request: &[u8]) -> &'static str {
    match kind {
        15 if request.ends_with(&3_i32.to_be_bytes()) => "createOwn",
        15 => "create",
        4 => "getData",
        5 => "setData",
        9 => "sync",
        11 => "ping",
        -11 => "closeSession",
        kind => panic!("no operation under test sends a request of type {kind}"),
    }
}

/// What a server would answer: the path, the data, a stat.
fn answer(name: &str, reply: &mut BytesMut) {
    if matches!(name, "create" | "createOwn" | "sync") {
        let path = "/grudge/register/0";
        reply.put_i32(i32::try_from(path.len()).expect("it is short"));
        reply.put_slice(path.as_bytes());
    }
    if name == "getData" {
        reply.put_i32(0);
    }
    if matches!(name, "create" | "createOwn" | "getData" | "setData") {
        reply.put_bytes(0, 68);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_write_is_ok() {
    promises::an_answered_write_is_ok::<ZooKeeper>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_unknown_and_never_sent_again() {
    promises::a_write_without_an_answer_is_unknown_and_never_sent_again::<ZooKeeper>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_connection_is_cut_is_unknown_and_never_sent_again() {
    promises::a_write_whose_connection_is_cut_is_unknown_and_never_sent_again::<ZooKeeper>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_connection_broke_nothing_is_sent_at_all() {
    promises::after_the_connection_broke_nothing_is_sent_at_all::<ZooKeeper>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_bad_reply_nothing_more_is_sent() {
    let read = Invocation::new("read").on("0");
    let cas = Invocation::new("cas").on("0").with(json!([null, 1]));
    let acquire = Invocation::new("acquire").on("0");
    let no_stat = Body { to: "getData", bytes: &[] };
    let cases = [
        ("register", &write(1), Body { to: "setData", bytes: &[0; 10] }, Outcome::info("bad-reply")),
        // The library panics over each of these.
        ("register", &read, no_stat, Outcome::fail("bad-reply")),
        ("register", &read, Body { to: "getData", bytes: &[0; 67] }, Outcome::fail("bad-reply")),
        ("register", &read, Body { to: "getData", bytes: &[0; 68] }, Outcome::fail("bad-reply")),
        ("register", &cas, no_stat, Outcome::fail("bad-reply")),
        ("register", &write(1), Body { to: "create", bytes: &[0; 72] }, Outcome::fail("bad-reply")),
        ("lock", &acquire, Body { to: "createOwn", bytes: &[0; 72] }, Outcome::info("bad-reply")),
    ];
    for (workload, invocation, body, outcome) in cases {
        let server = Server::<ZooKeeper>::start(Deed::Reply(body)).await;
        let mut client = server.connect_for(workload, PATIENT).await.expect("the welcome is good");
        assert_eq!(client.invoke(invocation).await, outcome, "{body:?}");
        assert!(!client.alive(), "{body:?}");
        assert_eq!(client.invoke(invocation).await, Outcome::fail("disconnected"), "{body:?}");
        server.seen.until("the end of the connection", |seen| seen.ended == seen.opened).await;
        assert_eq!(server.seen.requests(body.to), 1, "{body:?}");
    }
}

#[tokio::test]
async fn a_bad_welcome_is_a_failed_connect() {
    const NO_SESSION: [u8; 37] = {
        let mut welcome = [0; 37];
        welcome[19] = 16;
        welcome
    };
    let cases: [(&[u8], &str); 3] = [(&[], "refused"), (&[0; 19], "refused"), (&NO_SESSION, "session-expired")];
    for (bytes, token) in cases {
        let server = Server::<ZooKeeper>::start(Deed::Reply(Body { to: "connect", bytes })).await;
        let connected = server.connect_for("register", PATIENT).await;
        assert_eq!(connected.err().as_deref(), Some(token), "{bytes:?}");
        server.seen.until("the end of the connection", |seen| seen.ended == seen.opened).await;
    }
}

#[tokio::test]
async fn nobody_there_is_a_refusal() {
    promises::nobody_there_is_a_refusal::<ZooKeeper>().await;
}
