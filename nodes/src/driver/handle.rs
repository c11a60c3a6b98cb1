//! The way in for clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::replica::{ClientId, Replica};

/// How many replies may wait for a client. A client that lets more pile up loses its conversation.
const REPLIES: usize = 4_096;

/// The replica does not run any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the replica has stopped")]
pub struct Stopped;

/// Makes conversations with a replica; clones share it.
#[derive(Debug)]
pub struct Handle<R: Replica> {
    requests: mpsc::Sender<FromClient<R>>,
    gone: mpsc::UnboundedSender<ClientId>,
    last: Arc<AtomicU64>,
}

impl<R: Replica> Clone for Handle<R> {
    fn clone(&self) -> Self {
        Handle { requests: self.requests.clone(), gone: self.gone.clone(), last: Arc::clone(&self.last) }
    }
}

/// One client's two directions; they may be moved apart.
#[derive(Debug)]
pub struct Conversation<R: Replica> {
    /// Its number.
    pub client: ClientId,
    /// The way in.
    pub requests: Requests<R>,
    /// The way out. Dropping it ends the conversation.
    pub replies: Replies<R>,
}

/// What a client asks goes in here.
#[derive(Debug)]
pub struct Requests<R: Replica> {
    client: ClientId,
    sender: mpsc::Sender<FromClient<R>>,
}

/// What a client is told comes out here.
#[derive(Debug)]
pub struct Replies<R: Replica> {
    client: ClientId,
    receiver: mpsc::Receiver<R::Reply>,
    gone: mpsc::UnboundedSender<ClientId>,
}

#[derive(Debug)]
pub(super) enum FromClient<R: Replica> {
    Connect { client: ClientId, replies: mpsc::Sender<R::Reply> },
    Request { client: ClientId, request: R::Request },
}

/// The core's end.
pub(super) struct Clients<R: Replica> {
    pub(super) requests: mpsc::Receiver<FromClient<R>>,
    pub(super) gone: mpsc::UnboundedReceiver<ClientId>,
}

pub(super) fn channel<R: Replica>(capacity: usize) -> (Handle<R>, Clients<R>) {
    let (requests_in, requests) = mpsc::channel(capacity);
    let (gone_in, gone) = mpsc::unbounded_channel();
    (Handle { requests: requests_in, gone: gone_in, last: Arc::default() }, Clients { requests, gone })
}

impl<R: Replica> Handle<R> {
    /// Begins a conversation. Waits while the replica is behind.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn connect(&self) -> Result<Conversation<R>, Stopped> {
        let client = ClientId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let (replies, receiver) = mpsc::channel(REPLIES);
        self.requests.send(FromClient::Connect { client, replies }).await.map_err(|_| Stopped)?;
        Ok(Conversation {
            client,
            requests: Requests { client, sender: self.requests.clone() },
            replies: Replies { client, receiver, gone: self.gone.clone() },
        })
    }

    /// A conversation of one request and one reply.
    ///
    /// # Errors
    /// [`Stopped`], also if the replica stops before it replies.
    pub async fn ask(&self, request: R::Request) -> Result<R::Reply, Stopped> {
        let mut conversation = self.connect().await?;
        conversation.requests.send(request).await?;
        conversation.replies.next().await.ok_or(Stopped)
    }
}

impl<R: Replica> Requests<R> {
    /// Asks; requests of one conversation reach the replica in order. Waits while the replica is behind.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn send(&self, request: R::Request) -> Result<(), Stopped> {
        self.sender.send(FromClient::Request { client: self.client, request }).await.map_err(|_| Stopped)
    }
}

impl<R: Replica> Replies<R> {
    /// The next reply; `None` if the replica stopped, or let the conversation go because too many replies waited.
    pub async fn next(&mut self) -> Option<R::Reply> {
        self.receiver.recv().await
    }
}

impl<R: Replica> Drop for Replies<R> {
    fn drop(&mut self) {
        // A replica that has stopped has no conversations.
        let _ = self.gone.send(self.client);
    }
}
