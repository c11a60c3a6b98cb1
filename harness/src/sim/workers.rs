//! The workers' hands in simulated time: each has a client of its node, and a new one when that is dead.

use std::collections::BTreeMap;
use std::mem::take;
use std::rc::Rc;

use grudge_nodes::replica::{ClientId, NodeId, Time};
use grudge_nodes::sim::{self, Arrival, World};
use grudge_workloads::generator::Worker;
use grudge_workloads::operation::{Invocation, Outcome};

use super::client::{Client, Heard, Life, Line, Order, Patience, Place};
use super::protocol::Protocol;
use crate::runner::core::Completion;

/// All workers.
pub(super) struct Workers<P: Protocol> {
    life: Life<P>,
    patience: Patience,
    nodes: Vec<NodeId>,
    names: Rc<[String]>,
    hands: Vec<Hand<P>>,
    /// Whose a connection is.
    owners: BTreeMap<ClientId, (usize, Line)>,
    completions: Vec<Completion>,
}

struct Hand<P: Protocol> {
    /// The place of its node among all.
    home: usize,
    client: Option<Client<P>>,
    /// The client's connections, in the order of its lines.
    connections: Vec<ClientId>,
    /// Whether its client makes a call.
    calling: bool,
}

impl<P: Protocol> Workers<P> {
    /// So many workers, the i-th bound to node i modulo their number.
    pub(super) fn new(
        life: Life<P>,
        patience: Patience,
        nodes: Vec<NodeId>,
        names: &[String],
        concurrency: usize,
    ) -> Workers<P> {
        let hand = |i: usize| Hand { home: i % nodes.len(), client: None, connections: Vec::new(), calling: false };
        let hands = (0..concurrency).map(hand).collect();
        Workers { life, patience, names: names.into(), hands, nodes, owners: BTreeMap::new(), completions: Vec::new() }
    }

    /// A worker makes a call.
    pub(super) fn start(&mut self, world: &mut World<P>, worker: Worker, invocation: Invocation) {
        let (life, patience) = (self.life, self.patience);
        let hand = &mut self.hands[worker.0];
        let place = || Place { home: hand.home, nodes: Rc::clone(&self.names) };
        let client = hand.client.get_or_insert_with(|| Client::new(place(), |port| life(port, patience)));
        hand.calling = true;
        client.start(world.now(), invocation);
        self.settle(world, worker.0);
    }

    /// Something came over a connection.
    pub(super) fn arrive(&mut self, world: &mut World<P>, arrival: Arrival<P>) {
        let Some(&(owner, line)) = self.owners.get(&arrival.client) else { return };
        let heard = match arrival.what {
            sim::Heard::Reply(reply) => Heard::Reply(reply),
            sim::Heard::Refused => Heard::Refused,
            sim::Heard::Closed => Heard::Closed,
        };
        if let Some(client) = &mut self.hands[owner].client {
            client.hear(world.now(), line, heard);
            self.settle(world, owner);
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, world: &mut World<P>) {
        let now = world.now();
        for worker in 0..self.hands.len() {
            if let Some(client) = &mut self.hands[worker].client
                && client.wake() <= now
            {
                client.poll(now);
                self.settle(world, worker);
            }
        }
    }

    /// When time must be told of at the latest.
    pub(super) fn wake(&self) -> Time {
        self.hands.iter().filter_map(|hand| hand.client.as_ref().map(Client::wake)).min().unwrap_or(Time::MAX)
    }

    /// The calls that have ended.
    pub(super) fn take_completions(&mut self) -> Vec<Completion> {
        take(&mut self.completions)
    }

    /// Does what a client wants done, and lets go of one that is dead.
    fn settle(&mut self, world: &mut World<P>, worker: usize) {
        let hand = &mut self.hands[worker];
        let Some(client) = &mut hand.client else { return };
        for order in client.take_orders() {
            match order {
                Order::Open(line, node) => {
                    let connection = world.connect(self.nodes[node]);
                    hand.connections.push(connection);
                    self.owners.insert(connection, (worker, line));
                }
                Order::Send(line, request) => world.request_as(hand.connections[line.0], request),
                Order::Close(line) => {
                    let connection = hand.connections[line.0];
                    self.owners.remove(&connection);
                    leave(world, connection);
                }
            }
        }
        let ended = client.take_ended();
        // After an unknown outcome the process is dead: the next call is another's, with a client of its own.
        let unknown = ended.as_ref().is_some_and(|ended| matches!(ended.outcome, Outcome::Info { .. }));
        let alive = client.alive() && !unknown;
        if let Some(ended) = ended {
            hand.calling = false;
            let (outcome, reached) = (ended.outcome, ended.reached);
            self.completions.push(Completion { worker: Worker(worker), outcome, reached });
        }
        if !alive && !hand.calling {
            hand.client = None;
            for connection in take(&mut hand.connections) {
                self.owners.remove(&connection);
                leave(world, connection);
            }
        }
    }
}

/// Ends a connection; one that has ended stays so.
fn leave<P: Protocol>(world: &mut World<P>, connection: ClientId) {
    if let Some(goodbye) = P::goodbye() {
        world.request_as(connection, goodbye);
    }
    world.disconnect(connection);
}
