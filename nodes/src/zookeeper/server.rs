//! The TCP front end: accepts clients, takes frames apart, and carries requests and replies between a socket and a
//! replica.
//!
//! A connection begins with a four-letter word, which is answered in text, or with a frame, which begins a session.
//! What a client sends wrongly ends its connection and nothing else.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::jute::Malformed;
use super::wire::{ReadOnlyField, decode_connect, decode_request, encode_reply};
use super::words::{Traffic, Word, answer};
use crate::driver::{Handle, Replies, Requests, Stopped};
use crate::znode::{Replica, Reply, Request};

/// ZooKeeper's `jute.maxbuffer`: the largest frame that is read.
const MAX_FRAME: usize = 1_048_575;
/// So many requests of one connection may wait for their answers; then nothing more is read from it.
const MAX_OUTSTANDING: usize = 1_000;
/// How long a connection may be open without saying anything.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// How long accepting rests after it has failed, most likely for want of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// How clients are treated.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many connections one address may have (`maxClientCnxns`); 0 means any number.
    pub max_connections: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { max_connections: 60 }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    handle: Handle<Replica>,
    options: Options,
    client_port: u16,
    received: AtomicU64,
    sent: AtomicU64,
    by_address: Mutex<BTreeMap<IpAddr, usize>>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error("a frame of {0} bytes")]
    FrameLength(i32),
    #[error("an unreadable frame: {0}")]
    Malformed(#[from] Malformed),
    #[error("nothing was said")]
    Silence,
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Serves clients until it is dropped, which ends their connections.
///
/// # Errors
/// The listener has no address.
pub async fn serve(listener: TcpListener, handle: Handle<Replica>, options: Options) -> io::Result<()> {
    let client_port = listener.local_addr()?.port();
    let shared = Arc::new(Shared {
        handle,
        options,
        client_port,
        received: AtomicU64::new(0),
        sent: AtomicU64::new(0),
        by_address: Mutex::default(),
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => match Place::take(&shared, from.ip()) {
                    Some(place) => {
                        connections.spawn(connection(stream, from, place));
                    }
                    None => tracing::warn!(%from, "refused: this address has its maximum of connections"),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client");
                    tokio::time::sleep(REST).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One of the connections that an address may have; given back when it is dropped.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    address: IpAddr,
}

impl Place {
    fn take(shared: &Arc<Shared>, address: IpAddr) -> Option<Place> {
        let mut by_address = shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = by_address.entry(address).or_insert(0);
        if shared.options.max_connections > 0 && *taken >= shared.options.max_connections {
            return None;
        }
        *taken += 1;
        Some(Place { shared: Arc::clone(shared), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = self.shared.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = by_address.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

async fn connection(stream: TcpStream, from: SocketAddr, place: Place) {
    match converse(stream, &place.shared).await {
        Ok(()) => tracing::debug!(%from, "connection closed"),
        Err(End::Socket(error)) => tracing::debug!(%from, %error, "connection lost"),
        Err(end) => tracing::info!(%from, reason = %end, "connection ended"),
    }
}

async fn converse(stream: TcpStream, shared: &Shared) -> Result<(), End> {
    stream.set_nodelay(true)?;
    let (input, output) = stream.into_split();
    let (mut input, mut output) = (BufReader::new(input), BufWriter::new(output));
    let first = tokio::time::timeout(FIRST_WORD, first_word(&mut input)).await.map_err(|_| End::Silence)??;
    match first {
        First::Word(word) => tell(word, &mut output, shared).await,
        First::Frame(frame) => session(&frame, &mut input, &mut output, shared).await,
    }
}

/// How a connection begins.
enum First {
    Word(Word),
    Frame(Vec<u8>),
}

async fn first_word(input: &mut BufReader<OwnedReadHalf>) -> Result<First, End> {
    let mut head = [0; 4];
    input.read_exact(&mut head).await?;
    match Word::from_bytes(head) {
        Some(word) => Ok(First::Word(word)),
        None => read_body(input, i32::from_be_bytes(head)).await.map(First::Frame),
    }
}

async fn tell(word: Word, output: &mut BufWriter<OwnedWriteHalf>, shared: &Shared) -> Result<(), End> {
    let reply = shared.handle.ask(Request::Status).await?;
    let traffic = Traffic {
        received: shared.received.load(Ordering::Relaxed),
        sent: shared.sent.load(Ordering::Relaxed),
        client_port: shared.client_port,
        max_connections: shared.options.max_connections,
    };
    if let Reply::Status(status) = reply {
        output.write_all(answer(word, &status, &traffic).as_bytes()).await?;
        output.shutdown().await?;
    }
    Ok(())
}

async fn session(
    first: &[u8],
    input: &mut BufReader<OwnedReadHalf>,
    output: &mut BufWriter<OwnedWriteHalf>,
    shared: &Shared,
) -> Result<(), End> {
    let (connect, field) = decode_connect(first)?;
    let mut conversation = shared.handle.connect().await?;
    let requests = &conversation.requests;
    requests.send(Request::Connect(connect)).await?;
    let outstanding = Semaphore::new(MAX_OUTSTANDING);
    let end = tokio::select! {
        end = read(input, requests, &outstanding, shared) => end,
        end = write(output, &mut conversation.replies, &outstanding, field, shared) => end,
    };
    requests.send(Request::Disconnected).await?;
    end
}

/// Passes frames on until the client has gone.
async fn read(
    input: &mut BufReader<OwnedReadHalf>,
    requests: &Requests<Replica>,
    outstanding: &Semaphore,
    shared: &Shared,
) -> Result<(), End> {
    loop {
        let length = input.read_i32().await?;
        let frame = read_body(input, length).await?;
        let (xid, op) = decode_request(&frame)?;
        shared.received.fetch_add(1, Ordering::Relaxed);
        // Each request has one answer, which gives the permit back. The semaphore is never closed.
        if let Ok(permit) = outstanding.acquire().await {
            permit.forget();
        }
        requests.send(Request::Op { xid, op }).await?;
    }
}

async fn read_body(input: &mut BufReader<OwnedReadHalf>, length: i32) -> Result<Vec<u8>, End> {
    let size = usize::try_from(length).ok().filter(|size| *size <= MAX_FRAME).ok_or(End::FrameLength(length))?;
    let mut frame = vec![0; size];
    input.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Writes replies until the server hangs up. Whatever is there goes out in one write.
async fn write(
    output: &mut BufWriter<OwnedWriteHalf>,
    replies: &mut Replies<Replica>,
    outstanding: &Semaphore,
    field: ReadOnlyField,
    shared: &Shared,
) -> Result<(), End> {
    loop {
        let next = match replies.next().now_or_never() {
            Some(reply) => reply,
            None => {
                output.flush().await?;
                replies.next().await
            }
        };
        let frame = match &next {
            Some(reply) => {
                if matches!(reply, Reply::Answer { .. }) {
                    outstanding.add_permits(1);
                }
                encode_reply(reply, field)
            }
            None => None,
        };
        match frame {
            Some(frame) => {
                output.write_all(&frame).await?;
                shared.sent.fetch_add(1, Ordering::Relaxed);
            }
            None => return Ok(output.shutdown().await?),
        }
    }
}
