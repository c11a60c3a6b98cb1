//! The etcd client sends each write once: a scripted server counts what comes over the wire.

#[path = "support/observed.rs"]
mod observed;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use grudge_workloads::client::{Client, Target};
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::{Protocol, find};
use grudge_workloads::workload::{Options, Workload};
use h2::server::SendResponse;
use observed::{Deed, Observed};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const PUT: &str = "/etcdserverpb.KV/Put";

/// What the server does with a call.
#[derive(Clone, Copy, Debug)]
enum Script {
    Do(Deed),
    /// Answers with this gRPC code and message.
    Error(&'static str, &'static str),
}

/// For a call that is answered, or whose connection is cut: more than any busy machine needs.
const PATIENT: Duration = Duration::from_secs(30);
/// For a call that gets no answer: long enough for what comes before it.
const IMPATIENT: Duration = Duration::from_secs(2);

/// A server that treats each call by script.
struct Server {
    address: SocketAddr,
    seen: Observed,
    script: Arc<Mutex<Script>>,
    /// Closes a connection.
    cut: Arc<Notify>,
}

impl Server {
    async fn start(script: Script) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let script = Arc::new(Mutex::new(script));
        let server = Server { address, seen: Observed::new(), script, cut: Arc::new(Notify::new()) };
        let (seen, script, cut) = (server.seen.clone(), server.script.clone(), server.cut.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, script, cut) = (seen.clone(), script.clone(), cut.clone());
                tokio::spawn(async move {
                    seen.note(|seen| seen.opened += 1);
                    tokio::select! {
                        _ = serve(stream, &seen, &script) => {}
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

async fn serve(stream: TcpStream, seen: &Observed, script: &Mutex<Script>) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    let mut withheld = Vec::new();
    while let Some(call) = connection.accept().await {
        let (request, mut respond) = call?;
        seen.request(request.uri().path());
        let script = *script.lock().expect("no test thread panics with the lock");
        match script {
            Script::Do(Deed::Answer) => answer(&mut respond)?,
            Script::Do(Deed::Withhold) => withheld.push((request, respond)),
            Script::Do(Deed::Cut) => return Ok(()),
            Script::Error(code, message) => refuse(&mut respond, code, message)?,
        }
    }
    Ok(())
}

/// An empty message: every field has its default.
fn answer(respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    let head = http::Response::builder().header("content-type", "application/grpc");
    let mut body = respond.send_response(head.body(()).expect("the head is legal"), false)?;
    body.send_data(Bytes::from_static(&[0; 5]), false)?;
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    body.send_trailers(trailers)
}

fn refuse(respond: &mut SendResponse<Bytes>, code: &str, message: &str) -> Result<(), h2::Error> {
    let head = http::Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", code)
        .header("grpc-message", message);
    respond.send_response(head.body(()).expect("the head is legal"), true).map(|_| ())
}

fn workload() -> Workload {
    let options = Options { seed: 1, workers: 1, keys: Some(1), rate: None, time: Duration::from_secs(1) };
    find("register", Protocol::Etcd, &options).expect("it is in the list")
}

async fn connect(server: &Server, timeout: Duration) -> Box<dyn Client> {
    workload().connect.connect(&server.target(timeout)).await.expect("the scripted server accepts connections")
}

fn write(value: u64) -> Invocation {
    Invocation::new("write").on("0").with(value)
}

/// Lets another client write: when its write has been counted, one that was still on its way would have been too, if
/// anything were left to send it.
async fn another_client_writes(server: &Server) {
    *server.script.lock().expect("no test thread panics with the lock") = Script::Do(Deed::Answer);
    let mut other = connect(server, PATIENT).await;
    assert!(matches!(other.invoke(&write(2)).await, Outcome::Ok { .. }));
    other.close().await;
    server.seen.until("the end of every connection", |seen| seen.ended == seen.opened).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_write_is_ok() {
    let server = Server::start(Script::Do(Deed::Answer)).await;
    let mut client = connect(&server, PATIENT).await;
    assert_eq!(client.invoke(&write(1)).await, Outcome::ok(1, None));
    assert!(client.alive());
    assert_eq!(server.seen.requests(PUT), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_unknown_and_never_sent_again() {
    let server = Server::start(Script::Do(Deed::Withhold)).await;
    let mut client = connect(&server, IMPATIENT).await;
    assert_eq!(client.invoke(&write(1)).await, Outcome::info("timeout"));
    assert!(!client.alive());
    // The connection goes with the operation, though the client object is still there.
    server.seen.until("the end of the connection", |seen| seen.ended == 1).await;
    assert_eq!(client.invoke(&write(3)).await, Outcome::fail("disconnected"));
    another_client_writes(&server).await;
    assert_eq!(server.seen.requests(PUT), 2, "one by each client");
    server.seen.until("two connections", |seen| seen.opened == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_connection_is_cut_is_unknown_and_never_sent_again() {
    let server = Server::start(Script::Do(Deed::Cut)).await;
    let mut client = connect(&server, PATIENT).await;
    assert_eq!(client.invoke(&write(1)).await, Outcome::info("connection-lost"));
    assert_eq!(client.invoke(&write(3)).await, Outcome::fail("disconnected"));
    another_client_writes(&server).await;
    assert_eq!(server.seen.requests(PUT), 2, "one by each client");
    server.seen.until("two connections", |seen| seen.opened == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_connection_broke_nothing_is_sent_at_all() {
    let server = Server::start(Script::Do(Deed::Answer)).await;
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
    assert_eq!(server.seen.requests(PUT), 1, "only the other client's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_is_told_and_the_write_not_sent_again() {
    let cases = [
        ("14", "etcdserver: request timed out", Outcome::info("request-timed-out")),
        ("14", "etcdserver: leader changed", Outcome::info("leader-changed")),
        ("14", "etcdserver: no leader", Outcome::fail("no-leader")),
        ("8", "etcdserver: too many requests", Outcome::fail("too-many-requests")),
    ];
    for (code, message, outcome) in cases {
        let server = Server::start(Script::Error(code, message)).await;
        let mut client = connect(&server, PATIENT).await;
        assert_eq!(client.invoke(&write(1)).await, outcome, "{message}");
        assert_eq!(server.seen.requests(PUT), 1, "{message}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_refusal() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    drop(listener);
    let target = Target { node: "n1".into(), address, timeout: PATIENT, ttl: Duration::from_secs(60) };
    assert_eq!(workload().connect.connect(&target).await.err().as_deref(), Some("connection-refused"));
}
