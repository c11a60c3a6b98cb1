//! Somebody else's server on loopback, for as long as a test takes.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use grudge_workloads::client::Role;
use grudge_workloads::workload::Workload;

use super::target;

/// A single server, killed with the test.
pub struct Server {
    process: Child,
    folder: PathBuf,
    /// Its client port.
    pub address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and its folder be half gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An address whose port was free a moment ago.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address")
}

/// Starts a server with an empty folder and a client port, and waits until it says that it leads.
pub async fn start(test: &str, workload: &Workload, command: impl Fn(&Path, SocketAddr) -> Command) -> Server {
    // The port may be taken between finding it and using it; then the server ends and another one is tried.
    for attempt in 0..5 {
        let address = free_address();
        let folder = std::env::temp_dir().join(format!("grudge-{test}-{}-{attempt}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
        let process = command(&folder, address).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut server = Server { process: process.expect("the program is installed"), folder, address };
        while server.process.try_wait().expect("a child's state can be asked").is_none() {
            if workload.connect.role(&target(address)).await == Ok(Role::Leader) {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    panic!("the server ended five times before it served");
}
