//! What clients do, and what comes back to them.

use super::super::client::{Arrival, End, Heard, Replied};
use super::super::trace::Line;
use super::{Happening, Stimulus, World};
use crate::replica::{ClientId, NodeId, Replica, Time};

impl<R: Replica> World<R> {
    /// A client far away connects to a node, and may ask at once: requests and answers of one connection are neither
    /// lost nor reordered, they only take time. A connection that arrives while the node is down is
    /// [refused](Heard::Refused).
    pub fn connect(&mut self, node: NodeId) -> ClientId {
        let client = self.clients.far(self.seed, node, self.options.clients);
        self.send_there(client, Happening::Connect(client));
        client
    }

    /// A new client beside a node asks it: it is heard at once and answered in [`take_replies`](World::take_replies)
    /// when the answer leaves. A node that is down never answers.
    pub fn request(&mut self, node: NodeId, request: R::Request) -> ClientId {
        let client = self.clients.near(node, self.node(node).life);
        self.request_as(client, request);
        client
    }

    /// A client asks, or asks again, on its connection. If the node has died since, nobody hears.
    pub fn request_as(&mut self, client: ClientId, request: R::Request) {
        match self.clients.get(client).map(|connection| &connection.client) {
            Some(End::Near) => self.heard(client, request),
            Some(End::Far(_)) => self.send_there(client, Happening::Request { client, request }),
            Some(End::Gone | End::Closed) | None => {}
        }
    }

    /// A client goes away. What it asked before is still heard, nothing comes back any more. The replica is not told:
    /// where a protocol's front end tells it, say so with [`request_as`](World::request_as) first.
    pub fn disconnect(&mut self, client: ClientId) {
        let Some(connection) = self.clients.get(client) else { return };
        match std::mem::replace(&mut connection.client, End::Closed) {
            End::Far(mut way) => {
                let at = way.there(self.now);
                connection.client = End::Gone;
                self.at(at, Happening::HangUp(client));
            }
            End::Near | End::Closed => self.clients.remove(client),
            gone @ End::Gone => connection.client = gone,
        }
    }

    /// What has come to the clients that are far away since this was last asked, in order.
    pub fn take_arrivals(&mut self) -> Vec<Arrival<R>> {
        std::mem::take(&mut self.arrivals)
    }

    /// All answers to clients beside their nodes that have not been taken yet, in the order in which they left.
    pub fn take_replies(&mut self) -> Vec<Replied<R>> {
        std::mem::take(&mut self.replies)
    }

    /// The answers that have not been taken yet.
    #[must_use]
    pub fn replies(&self) -> &[Replied<R>] {
        &self.replies
    }

    fn send_there(&mut self, client: ClientId, what: Happening<R>) {
        if let Some(End::Far(way)) = self.clients.get(client).map(|connection| &mut connection.client) {
            let at = way.there(self.now);
            self.at(at, what);
        }
    }

    /// A connection arrives at its node. The system takes it also for a process that is stopped.
    pub(super) fn connected(&mut self, client: ClientId) {
        let Some(connection) = self.clients.get(client) else { return };
        let node = connection.node;
        let at = self.index(node);
        let accepted = self.nodes[at].process.as_ref().map(|_| self.nodes[at].life);
        let Some(connection) = self.clients.get(client) else { return };
        connection.life = accepted;
        if accepted.is_some() {
            return;
        }
        match std::mem::replace(&mut connection.client, End::Closed) {
            End::Far(mut way) => {
                let at = way.back(self.now);
                self.tell(client, node, at, Heard::Refused);
            }
            End::Near | End::Gone | End::Closed => self.clients.remove(client),
        }
    }

    /// A request arrives at its node.
    pub(super) fn heard(&mut self, client: ClientId, request: R::Request) {
        let Some(connection) = self.clients.get(client) else { return };
        let (node, life) = (connection.node, connection.life);
        let at = self.index(node);
        if life == Some(self.nodes[at].life) {
            self.reach(at, Stimulus::Request { client, request });
        }
    }

    /// An answer leaves its node. A client that has gone is ignored.
    pub(super) fn answer(&mut self, node: NodeId, client: ClientId, reply: R::Reply) {
        self.trace.note(self.now, Some(node), || Line::Reply { client, reply: reply.clone() });
        let now = self.now;
        match self.clients.get(client).map(|connection| &mut connection.client) {
            Some(End::Near) => self.replies.push(Replied { at: now, client, node, reply }),
            Some(End::Far(way)) => {
                let at = way.back(now);
                self.tell(client, node, at, Heard::Reply(reply));
            }
            Some(End::Gone | End::Closed) | None => {}
        }
    }

    /// A node's life ends, and its connections with it.
    pub(super) fn close_connections(&mut self, node: NodeId) {
        for (client, at) in self.clients.close_all(node, self.now) {
            self.tell(client, node, at, Heard::Closed);
        }
    }

    fn tell(&mut self, client: ClientId, node: NodeId, at: Time, what: Heard<R>) {
        self.at(at, Happening::Arrive(Arrival { at, client, node, what }));
    }

    /// Something arrives at a client, if it is still there.
    pub(super) fn arrived(&mut self, arrival: Arrival<R>) {
        let Some(connection) = self.clients.get(arrival.client) else { return };
        if matches!(connection.client, End::Gone) {
            return;
        }
        if matches!(arrival.what, Heard::Refused | Heard::Closed) {
            self.clients.remove(arrival.client);
        }
        self.arrivals.push(arrival);
    }
}
