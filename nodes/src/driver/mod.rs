//! The driver: one [`Replica`] on a real clock, real sockets and a real disk.
//!
//! # Who does what
//!
//! - A *core* thread owns the replica and its clock. It alone calls [`Replica::step`], and lets outputs leave in
//!   their order (`core.rs`).
//! - A *disk* thread owns the write-ahead log. It takes whatever is queued, writes it, makes one fsync for all of
//!   it, and says so to the core: group fsync (`disk.rs`).
//! - Tasks move frames between peers over TCP. The network may lose, so a peer's queue that is full drops, a
//!   connection that stalls is given up and made anew (`peers.rs`).
//! - Somebody outside may have the process halted exactly at a [`Point`](crate::point::Point): a file says where
//!   (`halt.rs`).
//! - Front ends talk to the core through a [`Handle`]; a queue that is full makes them wait (`handle.rs`).
//!
//! # How it ends
//!
//! When it is asked to; when the disk fails, since a replica that cannot remember must not acknowledge; when the
//! replica breaks an invariant, since what it does next would prove nothing. See [`Stop`].

mod core;
mod disk;
mod frame;
mod halt;
mod handle;
mod peers;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::events::{self, EventsError};
use crate::replica::{NodeId, Replica};
use crate::wal::{Wal, WalError};

pub use handle::{Conversation, Handle, Replies, Requests, Stopped};

/// How many messages or requests wait for the core before their senders have to.
const QUEUE: usize = 1_024;

/// Where a replica lives.
#[derive(Debug)]
pub struct Options {
    /// The cluster's name; peers of another cluster are refused.
    pub cluster: String,
    /// The replica's number.
    pub id: NodeId,
    /// The directory of its log.
    pub data: PathBuf,
    /// Where peers reach it; see [`listen`].
    pub listener: TcpListener,
    /// Where it reaches its peers. An entry for itself is not used.
    pub peers: BTreeMap<NodeId, SocketAddr>,
    /// The file to which it appends its [events], if anybody wants them.
    pub events: Option<PathBuf>,
}

/// Why a driver could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen for {whom} on {address}: {hint}")]
    Listen {
        /// Peers or clients.
        whom: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The events cannot be written down.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

/// Why a driver ended.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Somebody asked it to.
    #[error("it was asked to stop")]
    Asked,
    /// The log cannot be written any more.
    #[error("the log fails, so nothing more can be acknowledged: {0}")]
    Disk(WalError),
    /// The replica broke an invariant or panicked.
    #[error("the replica is broken: {0}")]
    Broken(String),
}

/// A replica that runs.
#[derive(Debug)]
pub struct Driver<R: Replica> {
    handle: Handle<R>,
    ask: Option<oneshot::Sender<()>>,
    stopped: oneshot::Receiver<Stop>,
    network: peers::Network,
}

/// Listens on an address; the error says what to do.
///
/// # Errors
/// [`StartError::Listen`].
pub async fn listen(whom: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => "another process has this port: stop it, or choose another port",
            io::ErrorKind::AddrNotAvailable => "no interface has this address: choose one that this machine has",
            io::ErrorKind::PermissionDenied => "ports below 1024 need privileges: choose a higher one",
            _ => "choose another address",
        };
        StartError::Listen { whom, address, source, hint }
    })
}

/// Starts a replica from its data directory. Must be called inside a tokio runtime, which carries the network.
///
/// # Errors
/// See [`StartError`].
pub fn start<R: Replica>(options: Options, config: R::Config) -> Result<Driver<R>, StartError> {
    let (wal, recovered) = Wal::<R::Record>::open(&options.data)?;
    let id = options.id;
    tracing::info!(node = %id, records = recovered.records.len(), torn_bytes = recovered.torn, "log read");
    let events = options.events.as_deref().map(events::Writer::begin).transpose()?;
    let halt = halt::Halt::new(&options.data);
    let (messages_in, messages) = mpsc::channel(QUEUE);
    let (handle, clients) = handle::channel(QUEUE);
    let (synced_in, synced) = mpsc::unbounded_channel();
    let (ask, asked) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    let writes = disk::start(wal, synced_in)?;
    let (network, peers) = peers::start::<R>(options, messages_in);
    let core = core::Core::<R>::new(id, writes, peers, halt, events);
    let inbox = core::Inbox { messages, clients, synced, asked };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name("replica".to_owned()).spawn(move || {
        let end = runtime.block_on(core.run(config, recovered.records, inbox));
        // Nobody waits for a driver that was dropped.
        let _ = stop.send(end);
    })?;
    Ok(Driver { handle, ask: Some(ask), stopped, network })
}

impl<R: Replica> Driver<R> {
    /// The way in for clients.
    #[must_use]
    pub fn handle(&self) -> Handle<R> {
        self.handle.clone()
    }

    /// Waits until it ends by itself. May be cancelled and called again until it has returned.
    pub async fn stopped(&mut self) -> Stop {
        match (&mut self.stopped).await {
            Ok(stop) => stop,
            Err(_) => Stop::Broken("the replica's thread died outside of a step".to_owned()),
        }
    }

    /// Asks it to end and waits until its log and its sockets are closed.
    pub async fn stop(mut self) -> Stop {
        if let Some(ask) = self.ask.take() {
            // It may have ended already.
            let _ = ask.send(());
        }
        self.network.close().await;
        self.stopped().await
    }
}

#[cfg(test)]
mod tests;
