//! Clients and their connections to nodes.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;

use super::options::Span;
use super::streams::Purpose;
use crate::replica::{ClientId, NodeId, Replica, Time};

/// An answer that has left its replica, for a client that sits beside it.
#[derive(Clone, Debug)]
pub struct Replied<R: Replica> {
    /// The virtual time at which it left.
    pub at: Time,
    /// The conversation.
    pub client: ClientId,
    /// The node that answered.
    pub node: NodeId,
    /// The answer.
    pub reply: R::Reply,
}

/// What came to a client that is far away.
#[derive(Clone, Debug)]
pub struct Arrival<R: Replica> {
    /// The virtual time at which it arrived.
    pub at: Time,
    /// The client's connection.
    pub client: ClientId,
    /// The node at its other end.
    pub node: NodeId,
    /// What came.
    pub what: Heard<R>,
}

/// What a client hears of its connection.
#[derive(Clone, Debug)]
pub enum Heard<R: Replica> {
    /// An answer.
    Reply(R::Reply),
    /// The node was down when the connection arrived: nothing that was asked on it was heard. The connection is over.
    Refused,
    /// The node died. What was asked and not answered may have been done. The connection is over.
    Closed,
}

/// The clients of a world.
#[derive(Debug)]
pub(super) struct Clients {
    last: u64,
    connections: BTreeMap<ClientId, Connection>,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) node: NodeId,
    /// The life of the node that has it; none yet while it is on its way.
    pub(super) life: Option<u64>,
    pub(super) client: End,
}

/// The client's end.
#[derive(Debug)]
pub(super) enum End {
    /// It sits beside its node: it is heard and hears at once.
    Near,
    /// Bytes take their time, and stay in order.
    Far(Box<Way>),
    /// The client has gone; what it said is still on its way.
    Gone,
    /// The node has gone; the client has not heard of it yet.
    Closed,
}

/// The two directions of a connection.
#[derive(Debug)]
pub(super) struct Way {
    rng: ChaCha8Rng,
    delay: Span,
    /// When the last bytes arrive at the node.
    there: Time,
    /// When the last bytes arrive at the client.
    back: Time,
}

impl Way {
    pub(super) fn there(&mut self, now: Time) -> Time {
        self.there = self.there.max(now + self.delay.draw(&mut self.rng));
        self.there
    }

    pub(super) fn back(&mut self, now: Time) -> Time {
        self.back = self.back.max(now + self.delay.draw(&mut self.rng));
        self.back
    }
}

impl Clients {
    pub(super) fn new() -> Self {
        Clients { last: 0, connections: BTreeMap::new() }
    }

    /// A client beside this life of a node.
    pub(super) fn near(&mut self, node: NodeId, life: u64) -> ClientId {
        self.add(|_| Connection { node, life: Some(life), client: End::Near })
    }

    /// A client far away whose connection is on its way.
    pub(super) fn far(&mut self, seed: u64, node: NodeId, delay: Span) -> ClientId {
        self.add(|client| {
            let rng = Purpose::Client(client).stream(seed);
            let way = Way { rng, delay, there: Time::ZERO, back: Time::ZERO };
            Connection { node, life: None, client: End::Far(Box::new(way)) }
        })
    }

    fn add(&mut self, connection: impl FnOnce(ClientId) -> Connection) -> ClientId {
        self.last += 1;
        let client = ClientId(self.last);
        self.connections.insert(client, connection(client));
        client
    }

    pub(super) fn get(&mut self, client: ClientId) -> Option<&mut Connection> {
        self.connections.get_mut(&client)
    }

    pub(super) fn remove(&mut self, client: ClientId) {
        self.connections.remove(&client);
    }

    /// A life of a node ends: its connections end with it. Those who are far away will hear of it then.
    pub(super) fn close_all(&mut self, node: NodeId, now: Time) -> Vec<(ClientId, Time)> {
        let mut told = Vec::new();
        self.connections.retain(|&client, connection| {
            if connection.node != node || connection.life.is_none() {
                return true;
            }
            match &mut connection.client {
                End::Far(way) => {
                    told.push((client, way.back(now)));
                    connection.client = End::Closed;
                    true
                }
                End::Closed => true,
                End::Near | End::Gone => false,
            }
        });
        told
    }
}
