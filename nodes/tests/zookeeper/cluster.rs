//! A cluster inside the test's process: each server has its own driver, sockets and data directory.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use grudge_nodes::driver::{self, Driver};
use grudge_nodes::replica::NodeId;
use grudge_nodes::znode::{Config, Replica};
use grudge_nodes::{zab, zookeeper};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Long enough for two busy cores; a condition that holds ends the wait.
pub const PATIENCE: Duration = Duration::from_secs(60);
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Several servers, and the addresses they keep across restarts.
pub struct Cluster {
    tick: Duration,
    data: TempDir,
    peers: BTreeMap<NodeId, SocketAddr>,
    clients: BTreeMap<NodeId, SocketAddr>,
    running: BTreeMap<NodeId, Running>,
}

struct Running {
    driver: Driver<Replica>,
    front: JoinHandle<std::io::Result<()>>,
}

impl Cluster {
    /// Starts that many servers and waits until they all serve.
    pub async fn start(servers: u64, tick: Duration) -> Cluster {
        let data = TempDir::new().expect("a temporary directory");
        let mut cluster =
            Cluster { tick, data, peers: BTreeMap::new(), clients: BTreeMap::new(), running: BTreeMap::new() };
        let mut listeners = Vec::new();
        for id in (1..=servers).map(NodeId) {
            let (peers, clients) = (bind(LOOPBACK).await, bind(LOOPBACK).await);
            cluster.peers.insert(id, peers.local_addr().expect("a bound address"));
            cluster.clients.insert(id, clients.local_addr().expect("a bound address"));
            listeners.push((id, peers, clients));
        }
        for (id, peers, clients) in listeners {
            cluster.run(id, peers, clients);
        }
        for id in (1..=servers).map(NodeId) {
            cluster.wait_serving(id).await;
        }
        cluster
    }

    fn run(&mut self, id: NodeId, peers: TcpListener, clients: TcpListener) {
        let options = driver::Options {
            cluster: "test".into(),
            id,
            data: self.data.path().join(id.to_string()),
            listener: peers,
            peers: self.peers.clone(),
            events: None,
        };
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let zab = zab::Config::new(id, self.peers.keys().copied().collect());
        let config = Config { tick: self.tick, ..Config::new(zab, wall.as_millis() as i64, id.0) };
        let driver = driver::start::<Replica>(options, config).expect("the server starts");
        let front = tokio::spawn(zookeeper::serve(clients, driver.handle(), zookeeper::Options::default()));
        self.running.insert(id, Running { driver, front });
    }

    /// Ends a server; its clients lose their connections.
    pub async fn stop(&mut self, id: NodeId) {
        let Running { driver, front } = self.running.remove(&id).expect("the server runs");
        front.abort();
        let _ = front.await;
        driver.stop().await;
    }

    /// Starts a server again, on its old addresses and data.
    pub async fn restart(&mut self, id: NodeId) {
        let (peers, clients) = (bind(self.peers[&id]).await, bind(self.clients[&id]).await);
        self.run(id, peers, clients);
        self.wait_serving(id).await;
    }

    /// Where clients connect to a server.
    pub fn address(&self, id: NodeId) -> SocketAddr {
        self.clients[&id]
    }

    /// Where clients connect, for a client that tries them all.
    pub fn hosts(&self) -> String {
        self.clients.values().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
    }

    /// The server that says it leads, as soon as one does.
    pub async fn leader(&self) -> NodeId {
        let start = Instant::now();
        loop {
            for &id in self.running.keys() {
                let srvr = self.word(id, "srvr").await;
                if srvr.contains("Mode: leader") || srvr.contains("Mode: standalone") {
                    return id;
                }
            }
            assert!(start.elapsed() < PATIENCE, "no server leads");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn wait_serving(&self, id: NodeId) {
        let start = Instant::now();
        while !self.word(id, "srvr").await.contains("Mode: ") {
            assert!(start.elapsed() < PATIENCE, "{id} does not serve");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A server's answer to a four-letter word.
    pub async fn word(&self, id: NodeId, word: &str) -> String {
        let mut stream = TcpStream::connect(self.clients[&id]).await.expect("the client port is open");
        stream.write_all(word.as_bytes()).await.expect("the word is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the answer is text");
        answer
    }
}

async fn bind(address: SocketAddr) -> TcpListener {
    driver::listen("the test", address).await.expect("the address is free")
}
