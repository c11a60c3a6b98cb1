//! The ZooKeeper client sends each write once: a scripted server counts what comes over the wire.

#[path = "support/observed.rs"]
mod observed;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use grudge_workloads::client::{Client, Target};
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::{Protocol, find};
use grudge_workloads::workload::{Options, Workload};
use observed::{Deed, Observed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// For a call that is answered, or whose connection is cut: more than any busy machine needs.
const PATIENT: Duration = Duration::from_secs(30);
/// For a call that gets no answer: long enough for what comes before it.
const IMPATIENT: Duration = Duration::from_secs(2);

/// A server that serves sessions and znodes as far as one register needs, and treats `setData` by script.
struct Server {
    address: SocketAddr,
    seen: Observed,
    deed: Arc<Mutex<Deed>>,
    /// Closes a connection.
    cut: Arc<Notify>,
}

impl Server {
    async fn start(deed: Deed) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let server =
            Server { address, seen: Observed::new(), deed: Arc::new(Mutex::new(deed)), cut: Arc::new(Notify::new()) };
        let (seen, deed, cut) = (server.seen.clone(), server.deed.clone(), server.cut.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, deed, cut) = (seen.clone(), deed.clone(), cut.clone());
                tokio::spawn(async move {
                    seen.note(|seen| seen.opened += 1);
                    tokio::select! {
                        _ = serve(stream, &seen, &deed) => {}
                        () = cut.notified() => {}
                    }
                    seen.note(|seen| seen.ended += 1);
                });
            }
        });
        server
    }

    fn target(&self, timeout: Duration) -> Target {
        Target { node: "n1".into(), address: self.address, timeout, ttl: Duration::from_secs(60) }
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

async fn serve(mut stream: TcpStream, seen: &Observed, deed: &Mutex<Deed>) -> std::io::Result<()> {
    frame(&mut stream).await?;
    seen.request("connect");
    let mut welcome = BytesMut::new();
    welcome.put_i32(0);
    welcome.put_i32(60_000);
    welcome.put_i64(7);
    welcome.put_i32(16);
    welcome.put_bytes(1, 16);
    welcome.put_u8(0);
    send(&mut stream, &welcome).await?;
    loop {
        let mut request = frame(&mut stream).await?;
        let (xid, kind) = (request.get_i32(), request.get_i32());
        let path = "/grudge/register/0";
        let mut reply = BytesMut::new();
        reply.put_i32(xid);
        reply.put_i64(5);
        reply.put_i32(0);
        match kind {
            // create2: the path and a stat.
            15 => {
                seen.request("create");
                reply.put_i32(i32::try_from(path.len()).expect("it is short"));
                reply.put_slice(path.as_bytes());
                reply.put_bytes(0, 68);
            }
            // setData: a stat.
            5 => {
                seen.request("setData");
                let deed = *deed.lock().expect("no test thread panics with the lock");
                match deed {
                    Deed::Answer => reply.put_bytes(0, 68),
                    Deed::Withhold => continue,
                    Deed::Cut => return Ok(()),
                }
            }
            11 => seen.request("ping"),
            -11 => seen.request("closeSession"),
            kind => panic!("no write sends a request of type {kind}"),
        }
        send(&mut stream, &reply).await?;
    }
}

fn workload() -> Workload {
    let options = Options { seed: 1, workers: 1, keys: Some(1), rate: None, time: Duration::from_secs(1) };
    find("register", Protocol::ZooKeeper, &options).expect("it is in the list")
}

async fn connect(server: &Server, timeout: Duration) -> Box<dyn Client> {
    workload().connect.connect(&server.target(timeout)).await.expect("the scripted server accepts sessions")
}

fn write(value: u64) -> Invocation {
    Invocation::new("write").on("0").with(value)
}

/// Lets another client write: when its write has been counted, one that was still on its way would have been too, if
/// anything were left to send it.
async fn another_client_writes(server: &Server) {
    *server.deed.lock().expect("no test thread panics with the lock") = Deed::Answer;
    let mut other = connect(server, PATIENT).await;
    assert!(matches!(other.invoke(&write(2)).await, Outcome::Ok { .. }));
    other.close().await;
    server.seen.until("the polite goodbye", |seen| seen.requests.contains_key("closeSession")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_write_is_ok() {
    let server = Server::start(Deed::Answer).await;
    let mut client = connect(&server, PATIENT).await;
    assert_eq!(client.invoke(&write(1)).await, Outcome::ok(1, Some(0)));
    assert!(client.alive());
    assert_eq!(server.seen.requests("setData"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_unknown_and_never_sent_again() {
    let server = Server::start(Deed::Withhold).await;
    let mut client = connect(&server, IMPATIENT).await;
    assert_eq!(client.invoke(&write(1)).await, Outcome::info("timeout"));
    assert!(!client.alive());
    // The connection goes with the operation, though the client object is still there.
    server.seen.until("the end of the connection", |seen| seen.ended == 1).await;
    assert_eq!(client.invoke(&write(3)).await, Outcome::fail("disconnected"));
    another_client_writes(&server).await;
    assert_eq!(server.seen.requests("setData"), 2, "one by each client");
    assert_eq!(server.seen.requests("connect"), 2, "one by each client");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_connection_is_cut_is_unknown_and_never_sent_again() {
    let server = Server::start(Deed::Cut).await;
    let mut client = connect(&server, PATIENT).await;
    assert_eq!(client.invoke(&write(1)).await, Outcome::info("connection-lost"));
    assert!(!client.alive());
    assert_eq!(client.invoke(&write(3)).await, Outcome::fail("disconnected"));
    another_client_writes(&server).await;
    assert_eq!(server.seen.requests("setData"), 2, "one by each client");
    assert_eq!(server.seen.requests("connect"), 2, "one by each client");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_connection_broke_nothing_is_sent_at_all() {
    let server = Server::start(Deed::Answer).await;
    let mut client = connect(&server, PATIENT).await;
    server.cut.notify_one();
    let broken = async {
        while client.alive() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENT, broken).await.expect("the client notices");
    assert_eq!(client.invoke(&write(1)).await, Outcome::fail("disconnected"));
    another_client_writes(&server).await;
    assert_eq!(server.seen.requests("setData"), 1, "only the other client's");
}

#[tokio::test]
async fn nobody_there_is_a_refusal() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    drop(listener);
    let target = Target { node: "n1".into(), address, timeout: PATIENT, ttl: Duration::from_secs(60) };
    assert_eq!(workload().connect.connect(&target).await.err().as_deref(), Some("refused"));
}
