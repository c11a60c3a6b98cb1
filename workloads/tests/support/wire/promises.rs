//! The promises, each stated once.

use std::net::Ipv4Addr;

use grudge_workloads::operation::{Invocation, Outcome};
use tokio::net::TcpListener;

use super::{Deed, IMPATIENT, PATIENT, Server, Wire, target, workload};

/// A write to the one register.
pub fn write(value: u64) -> Invocation {
    Invocation::new("write").on("0").with(value)
}

/// Lets another client write and leave: when its write has been counted, one that was still on its way would have
/// been too, if anything were left to send it.
async fn another_client_writes<W: Wire>(server: &Server<W>) {
    server.script.set(Deed::Answer);
    let mut other = server.connect(PATIENT).await;
    assert!(matches!(other.invoke(&write(2)).await, Outcome::Ok { .. }));
    other.close().await;
    if let Some(farewell) = W::FAREWELL {
        server.seen.until("the polite goodbye", |seen| seen.requests.contains_key(farewell)).await;
    }
    server.seen.until("the end of every connection", |seen| seen.ended == seen.opened).await;
}

/// Two clients sent one write each, and began once each.
async fn each_client_wrote_once<W: Wire>(server: &Server<W>) {
    assert_eq!(server.seen.requests(W::WRITE), 2, "one by each client");
    match W::GREETING {
        // A library may have opened one connection more before it was stopped, but it began nothing on it.
        Some(greeting) => assert_eq!(server.seen.requests(greeting), 2, "one by each client"),
        None => server.seen.until("two connections", |seen| seen.opened == 2).await,
    }
}

/// The answer is the outcome.
pub async fn an_answered_write_is_ok<W: Wire>() {
    let server = Server::<W>::start(Deed::Answer).await;
    let mut client = server.connect(PATIENT).await;
    assert_eq!(client.invoke(&write(1)).await, Outcome::ok(1, W::VERSION));
    assert!(client.alive());
    assert_eq!(server.seen.requests(W::WRITE), 1);
}

/// Silence is an unknown outcome, after which nothing more is sent.
pub async fn a_write_without_an_answer_is_unknown_and_never_sent_again<W: Wire>() {
    let server = Server::<W>::start(Deed::Withhold).await;
    let mut client = server.connect(IMPATIENT).await;
    assert_eq!(client.invoke(&write(1)).await, Outcome::info("timeout"));
    assert!(!client.alive());
    // The connection goes with the operation, though the client object is still there.
    server.seen.until("the end of the connection", |seen| seen.ended == 1).await;
    assert_eq!(client.invoke(&write(3)).await, Outcome::fail("disconnected"));
    another_client_writes(&server).await;
    each_client_wrote_once(&server).await;
}

/// A connection that breaks under a write is an unknown outcome, after which nothing more is sent.
pub async fn a_write_whose_connection_is_cut_is_unknown_and_never_sent_again<W: Wire>() {
    let server = Server::<W>::start(Deed::Cut).await;
    let mut client = server.connect(PATIENT).await;
    assert_eq!(client.invoke(&write(1)).await, Outcome::info("connection-lost"));
    assert!(!client.alive());
    assert_eq!(client.invoke(&write(3)).await, Outcome::fail("disconnected"));
    another_client_writes(&server).await;
    each_client_wrote_once(&server).await;
}

/// A client whose connection broke between two operations notices and sends nothing.
pub async fn after_the_connection_broke_nothing_is_sent_at_all<W: Wire>() {
    let server = Server::<W>::start(Deed::Answer).await;
    let mut client = server.connect(PATIENT).await;
    server.cut.notify_one();
    let broken = async {
        while client.alive() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENT, broken).await.expect("the client notices");
    assert_eq!(client.invoke(&write(1)).await, Outcome::fail("disconnected"));
    another_client_writes(&server).await;
    assert_eq!(server.seen.requests(W::WRITE), 1, "only the other client's");
}

/// A closed port is told in a word.
pub async fn nobody_there_is_a_refusal<W: Wire>() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    drop(listener);
    let connected = workload::<W>("register").connect.connect(&target(address, PATIENT)).await;
    assert_eq!(connected.err().as_deref(), Some(W::REFUSED));
}
