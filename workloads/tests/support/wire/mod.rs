//! What a client promises on the wire, whatever it speaks: each write is sent once. A scripted server counts.

pub mod observed;
pub mod promises;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grudge_workloads::client::{Client, Target};
use grudge_workloads::registry::find;
use grudge_workloads::speech::Speech;
use grudge_workloads::workload::{Options, Workload};
use observed::Observed;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// For a call that is answered, or whose connection is cut: more than any busy machine needs.
pub const PATIENT: Duration = Duration::from_secs(30);
/// For a call that gets no answer: long enough for what comes before it.
const IMPATIENT: Duration = Duration::from_secs(2);

/// The server's side of a protocol, as far as one key needs.
pub trait Wire: 'static {
    /// What its clients speak.
    fn speech() -> Speech;
    /// The request that carries a write.
    const WRITE: &'static str;
    /// The version that an answered write has.
    const VERSION: Option<i64>;
    /// The request with which a client begins; if there is none, a client is told by its connection.
    const GREETING: Option<&'static str>;
    /// The request with which a client ends, if there is one.
    const FAREWELL: Option<&'static str>;
    /// What a client says when nobody listens.
    const REFUSED: &'static str;

    /// An answer of the test's own making.
    type Reply: Copy + Send + 'static;

    /// Serves one connection until it ends; counts each request.
    fn serve(stream: TcpStream, seen: Observed, script: Script<Self::Reply>) -> impl Future<Output = ()> + Send;
}

/// What the server does with the request under test.
#[derive(Clone, Copy, Debug)]
pub enum Deed<R> {
    /// Answers it.
    Answer,
    /// Reads it and says nothing.
    Withhold,
    /// Reads it and closes the connection.
    Cut,
    /// Answers so.
    Reply(R),
}

/// The server's present deed.
#[derive(Clone, Debug)]
pub struct Script<R>(Arc<Mutex<Deed<R>>>);

impl<R: Copy> Script<R> {
    fn set(&self, deed: Deed<R>) {
        *self.0.lock().expect("no test thread panics with the lock") = deed;
    }

    /// What is to be done now.
    pub fn deed(&self) -> Deed<R> {
        *self.0.lock().expect("no test thread panics with the lock")
    }
}

/// A server that treats requests by script.
pub struct Server<W: Wire> {
    address: SocketAddr,
    /// What came over the wire.
    pub seen: Observed,
    script: Script<W::Reply>,
    /// Closes a connection.
    cut: Arc<Notify>,
}

impl<W: Wire> Server<W> {
    /// Listens.
    pub async fn start(deed: Deed<W::Reply>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let script = Script(Arc::new(Mutex::new(deed)));
        let server = Server { address, seen: Observed::new(), script, cut: Arc::new(Notify::new()) };
        let (seen, script, cut) = (server.seen.clone(), server.script.clone(), server.cut.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, script, cut) = (seen.clone(), script.clone(), cut.clone());
                tokio::spawn(async move {
                    seen.note(|seen| seen.opened += 1);
                    tokio::select! {
                        () = W::serve(stream, seen.clone(), script) => {}
                        () = cut.notified() => {}
                    }
                    seen.note(|seen| seen.ended += 1);
                });
            }
        });
        server
    }

    /// Connects a client of the registers.
    pub async fn connect(&self, timeout: Duration) -> Box<dyn Client> {
        self.connect_for("register", timeout).await.expect("the scripted server accepts clients")
    }

    /// Tries to connect a client for this workload.
    pub async fn connect_for(&self, name: &str, timeout: Duration) -> Result<Box<dyn Client>, String> {
        workload::<W>(name).connect.connect(&target(self.address, timeout)).await
    }
}

fn target(address: SocketAddr, timeout: Duration) -> Target {
    Target { node: "n1".into(), address, cluster: Arc::new([]), timeout, ttl: Duration::from_secs(60) }
}

fn workload<W: Wire>(name: &str) -> Workload {
    let options = Options { seed: 1, workers: 1, keys: Some(1), rate: None, time: Duration::from_secs(1) };
    find(name, W::speech(), &options).expect("it is in the list")
}
