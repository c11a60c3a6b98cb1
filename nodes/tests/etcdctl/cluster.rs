//! Replicas as processes: this test binary, run again with the arguments of `grudge node`.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use grudge_nodes::command::{self, NodeArgs};
use tempfile::TempDir;

/// Generous: a loaded machine must not fail a test.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Set in the processes that are replicas.
const LINE: &str = "GRUDGE_TEST_NODE";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: NodeArgs,
}

/// The replicas' entrance; as a test it has nothing to do.
#[test]
fn replica_process() {
    if let Ok(line) = std::env::var(LINE) {
        // A test that is killed itself must not leave its replicas behind.
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).expect("Linux can do this");
        let args = Line::parse_from(line.split('\n')).args;
        if let Err(error) = command::run(&args) {
            panic!("{error:#}");
        }
    }
}

/// Five or fewer replicas and their directories; all are killed when it is dropped.
pub struct Cluster {
    protocol: &'static str,
    dir: TempDir,
    peers: Vec<SocketAddr>,
    clients: Vec<SocketAddr>,
    running: Vec<Option<Child>>,
}

impl Cluster {
    /// Starts so many replicas, with ports that the system chose.
    pub fn start(protocol: &'static str, nodes: usize) -> Cluster {
        let addresses = free_addresses(2 * nodes);
        let (peers, clients) = addresses.split_at(nodes);
        let mut cluster = Cluster {
            protocol,
            dir: tempfile::tempdir().expect("a directory"),
            peers: peers.to_vec(),
            clients: clients.to_vec(),
            running: (0..nodes).map(|_| None).collect(),
        };
        for node in 1..=nodes {
            cluster.restart(node);
        }
        cluster
    }

    /// Where clients reach a node; they are numbered from 1.
    pub fn client(&self, node: usize) -> SocketAddr {
        self.clients[node - 1]
    }

    /// Starts a node that does not run.
    pub fn restart(&mut self, node: usize) {
        let child = self.spawn(node, &[]);
        assert!(self.running[node - 1].replace(child).is_none(), "n{node} runs already");
    }

    /// Starts one more process for a node, running or not; later arguments win.
    pub fn spawn(&self, node: usize, more: &[&str]) -> Child {
        let log = File::options().append(true).create(true).open(self.log(node)).expect("room for a log");
        let mut line = vec!["node".to_owned(), self.protocol.to_owned()];
        line.extend(["--id".to_owned(), node.to_string(), "--data".to_owned()]);
        line.push(self.dir.path().join(format!("n{node}")).display().to_string());
        for (peer, address) in self.peers.iter().enumerate() {
            line.extend(["--peer".to_owned(), format!("{}={address}", peer + 1)]);
        }
        if !more.contains(&"--client") {
            line.extend(["--client".to_owned(), self.client(node).to_string()]);
        }
        line.extend(more.iter().map(|&word| word.to_owned()));
        Command::new(std::env::current_exe().expect("a test has a file"))
            .args(["--exact", "cluster::replica_process", "--nocapture"])
            .env(LINE, line.join("\n"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("this test binary runs again")
    }

    /// SIGKILL.
    pub fn kill(&mut self, node: usize) {
        let mut child = self.running[node - 1].take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("a child can be waited for");
    }

    /// SIGTERM; how it ended.
    pub fn terminate(&mut self, node: usize) -> ExitStatus {
        let mut child = self.running[node - 1].take().expect("it runs");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("a child can be signalled");
        wait(&mut child)
    }

    /// What a node has written.
    pub fn said(&self, node: usize) -> String {
        std::fs::read_to_string(self.log(node)).expect("a node has a log")
    }

    fn log(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("n{node}.log"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 1..=self.running.len() {
            if self.running[node - 1].is_some() {
                self.kill(node);
            }
            if std::thread::panicking() {
                eprintln!("--- n{node}\n{}", self.said(node));
            }
        }
    }
}

/// Waits for a process that must end by itself.
pub fn wait(child: &mut Child) -> ExitStatus {
    eventually("the process ends", || child.try_wait().expect("a child can be waited for"))
}

/// Asks until there is an answer.
///
/// # Panics
/// If there is none within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Addresses with ports from the system, on a loopback address that only this process uses: nobody else takes one
/// between this and the start of its replica.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let own = IpAddr::V4(Ipv4Addr::new(127, 77, high, low));
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind((own, 0)).expect("the system has a port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("a socket has an address")).collect()
}
