//! Peers over TCP: one outgoing connection to each, frames in order, lost when the way is blocked.
//!
//! A cut link resets nothing: the kernel would retry with a growing delay and stay silent for seconds after the
//! link has healed. So a connection whose bytes are not acknowledged within [`STALL`] is given up, and attempts to
//! connect are begun every [`RETRY`], side by side, since the first packet of an attempt may be lost as well.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use futures::stream::{FuturesUnordered, StreamExt};
use nix::sys::socket::{setsockopt, sockopt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, interval, sleep, timeout};

use super::Options;
use super::frame::{self, Hello};
use crate::replica::{NodeId, Replica};

/// Unacknowledged for so long, a connection is given up.
const STALL: Duration = Duration::from_secs(1);
/// Between the beginnings of two attempts to connect.
const RETRY: Duration = Duration::from_millis(100);
/// How long one attempt may take; longer than the round trip of any network worth a replica.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How many messages wait for one peer; more are lost.
const QUEUE: usize = 4_096;
/// A message that waited longer for a connection is lost: the protocol has said something newer since.
const STALE: Duration = Duration::from_millis(200);
/// A connection is written to in pieces of about this size, in bytes.
const PIECE: usize = 64 << 10;
/// How long a new connection may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(5);

/// The tasks of the network; they end when it is dropped.
#[derive(Debug)]
pub(super) struct Network {
    tasks: JoinSet<Infallible>,
}

impl Network {
    /// Ends them; the port is free afterwards.
    pub(super) async fn close(&mut self) {
        self.tasks.shutdown().await;
    }
}

/// The queues to the peers.
#[derive(Debug)]
pub(super) struct Peers<M> {
    queues: BTreeMap<NodeId, mpsc::Sender<(Instant, M)>>,
}

impl<M> Peers<M> {
    /// Queues a message, or loses it.
    pub(super) fn send(&self, to: NodeId, message: M) {
        match self.queues.get(&to) {
            Some(queue) => {
                if queue.try_send((Instant::now(), message)).is_err() {
                    tracing::debug!(peer = %to, "queue full, message lost");
                }
            }
            None => tracing::error!(peer = %to, "a message for nobody: give its address with --peer"),
        }
    }

    /// Whether nothing waits for a connection any more.
    pub(super) fn have_left(&self) -> bool {
        self.queues.values().all(|queue| queue.capacity() == queue.max_capacity())
    }
}

/// Starts to listen and to connect.
pub(super) fn start<R: Replica>(
    options: Options,
    messages: mpsc::Sender<(NodeId, R::Message)>,
) -> (Network, Peers<R::Message>) {
    let boot = RandomState::new().hash_one(0);
    let mut tasks = JoinSet::new();
    let mut queues = BTreeMap::new();
    for (&to, &address) in options.peers.iter().filter(|&(&to, _)| to != options.id) {
        let (queue_in, queue) = mpsc::channel(QUEUE);
        queues.insert(to, queue_in);
        tasks.spawn(speak(Hello::new(options.cluster.clone(), options.id, to, boot), address, queue));
    }
    let known = queues.keys().copied().collect();
    let ear = Arc::new(Ear { cluster: options.cluster, id: options.id, known, talking: Mutex::default() });
    tasks.spawn(hear(ear, options.listener, messages));
    (Network { tasks }, Peers { queues })
}

/// Keeps one peer told, for ever.
async fn speak<M: Serialize>(hello: Hello, address: SocketAddr, mut queue: mpsc::Receiver<(Instant, M)>) -> Infallible {
    loop {
        let stream = connect(address).await;
        tracing::debug!(peer = %hello.to, %address, "connected");
        let error = converse(stream, &hello, &mut queue).await;
        tracing::debug!(peer = %hello.to, %address, %error, "connection lost");
        sleep(RETRY / 2).await;
    }
}

/// Connects, however long it takes.
async fn connect(address: SocketAddr) -> TcpStream {
    let mut attempts = FuturesUnordered::new();
    let mut begin = interval(RETRY);
    loop {
        tokio::select! {
            _ = begin.tick() => attempts.push(timeout(ATTEMPT, TcpStream::connect(address))),
            Some(Ok(Ok(stream))) = attempts.next() => return stream,
        }
    }
}

/// Writes what is queued until the connection breaks; why it broke.
async fn converse<M: Serialize>(
    stream: TcpStream,
    hello: &Hello,
    queue: &mut mpsc::Receiver<(Instant, M)>,
) -> io::Error {
    if let Err(error) = tune(&stream) {
        return error;
    }
    let connected = Instant::now();
    let (mut answers, mut stream) = stream.into_split();
    let mut bytes = BytesMut::new();
    append(&mut bytes, hello);
    let mut nothing = [0; 1];
    loop {
        if let Err(error) = stream.write_all_buf(&mut bytes).await {
            return error;
        }
        tokio::select! {
            // A peer says nothing on this connection; when it is readable, it is over.
            read = answers.read(&mut nothing) => {
                return read.err().unwrap_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the peer"));
            }
            Some(first) = queue.recv() => {
                let mut next = Some(first);
                while let Some((since, message)) = next {
                    if connected.duration_since(since) < STALE {
                        append(&mut bytes, &message);
                    }
                    next = if bytes.len() < PIECE { queue.try_recv().ok() } else { None };
                }
            }
        }
    }
}

fn append<T: Serialize>(bytes: &mut BytesMut, value: &T) {
    if let Err(error) = frame::put(bytes, value) {
        tracing::error!(error, "a message cannot be sent");
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stall = u32::try_from(STALL.as_millis()).expect("a short time");
    setsockopt(stream, sockopt::TcpUserTimeout, &stall).map_err(io::Error::from)
}

/// What a listener knows.
struct Ear {
    cluster: String,
    id: NodeId,
    known: Vec<NodeId>,
    /// Each peer's latest life and connection; an older connection is over when a newer one begins.
    talking: Mutex<BTreeMap<NodeId, (u64, AbortHandle)>>,
}

/// Listens to all peers, for ever.
async fn hear<M>(ear: Arc<Ear>, listener: TcpListener, messages: mpsc::Sender<(NodeId, M)>) -> Infallible
where
    M: DeserializeOwned + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let (ear, messages) = (Arc::clone(&ear), messages.clone());
                    let (me_in, me) = tokio::sync::oneshot::channel();
                    let handle = connections.spawn(async move {
                        let Ok(me) = me.await else { return };
                        match listen_to(&ear, stream, me, messages).await {
                            Ok(()) => {}
                            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                                tracing::warn!(%address, %error, "connection from a peer dropped");
                            }
                            Err(error) => tracing::debug!(%address, %error, "connection from a peer lost"),
                        }
                    });
                    // The task waits for it.
                    let _ = me_in.send(handle);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept peers for a moment");
                    sleep(RETRY).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn listen_to<M: DeserializeOwned>(
    ear: &Ear,
    stream: TcpStream,
    me: AbortHandle,
    messages: mpsc::Sender<(NodeId, M)>,
) -> io::Result<()> {
    let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut stream = BufReader::with_capacity(PIECE, stream);
    let hello = timeout(INTRODUCTION, frame::get::<Hello>(&mut stream)).await;
    let Some(hello) = hello.map_err(|_| bad("it did not say who it is".to_owned()))?? else { return Ok(()) };
    hello.check(&ear.cluster, ear.id).map_err(bad)?;
    if !ear.known.contains(&hello.from) {
        return Err(bad(format!("{} is no member: give its address with --peer", hello.from)));
    }
    let before = ear.talking.lock().unwrap_or_else(PoisonError::into_inner).insert(hello.from, (hello.boot, me));
    match before {
        Some((boot, older)) => {
            older.abort();
            tracing::debug!(peer = %hello.from, restarted = boot != hello.boot, "peer is back");
        }
        None => tracing::debug!(peer = %hello.from, "peer is here"),
    }
    while let Some(message) = frame::get(&mut stream).await? {
        if messages.send((hello.from, message)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
