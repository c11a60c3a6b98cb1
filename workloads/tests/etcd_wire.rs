//! The etcd client sends each write once: a scripted server counts what comes over the wire.

#[path = "support/wire/mod.rs"]
mod wire;

use bytes::Bytes;
use grudge_workloads::operation::Outcome;
use grudge_workloads::registry::Protocol;
use grudge_workloads::speech::Speech;
use h2::server::SendResponse;
use tokio::net::TcpStream;
use wire::observed::Observed;
use wire::promises::{self, write};
use wire::{Deed, PATIENT, Script, Server, Wire};

/// Answers each call by script.
struct Etcd;

impl Wire for Etcd {
    const WRITE: &'static str = "/etcdserverpb.KV/Put";
    const VERSION: Option<i64> = None;
    const GREETING: Option<&'static str> = None;
    const FAREWELL: Option<&'static str> = None;
    const REFUSED: &'static str = "connection-refused";

    /// A gRPC code and its message.
    type Reply = (&'static str, &'static str);

    fn speech() -> Speech {
        Protocol::Etcd.into()
    }

    async fn serve(stream: TcpStream, seen: Observed, script: Script<Self::Reply>) {
        // How a connection ends is counted, not judged.
        let _ = serve(stream, &seen, &script).await;
    }
}

async fn serve(
    stream: TcpStream,
    seen: &Observed,
    script: &Script<(&'static str, &'static str)>,
) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    let mut withheld = Vec::new();
    while let Some(call) = connection.accept().await {
        let (request, mut respond) = call?;
        seen.request(request.uri().path());
        match script.deed() {
            Deed::Answer => answer(&mut respond)?,
            Deed::Withhold => withheld.push((request, respond)),
            Deed::Cut => return Ok(()),
            Deed::Reply((code, message)) => refuse(&mut respond, code, message)?,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_write_is_ok() {
    promises::an_answered_write_is_ok::<Etcd>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_unknown_and_never_sent_again() {
    promises::a_write_without_an_answer_is_unknown_and_never_sent_again::<Etcd>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_connection_is_cut_is_unknown_and_never_sent_again() {
    promises::a_write_whose_connection_is_cut_is_unknown_and_never_sent_again::<Etcd>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_connection_broke_nothing_is_sent_at_all() {
    promises::after_the_connection_broke_nothing_is_sent_at_all::<Etcd>().await;
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
        let server = Server::<Etcd>::start(Deed::Reply((code, message))).await;
        let mut client = server.connect(PATIENT).await;
        assert_eq!(client.invoke(&write(1)).await, outcome, "{message}");
        assert_eq!(server.seen.requests(Etcd::WRITE), 1, "{message}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_refusal() {
    promises::nobody_there_is_a_refusal::<Etcd>().await;
}
