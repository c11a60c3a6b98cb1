//! What comes before what, as edges between transactions; how a key's are collected; and how they become a graph.
//!
//! Where each of several transactions comes before each of several others, hubs stand between them: nodes that are no
//! transactions, so that the edges are as many as the transactions and not as their product. A path goes on from a hub by
//! [`Relation::Onward`]; what it means was said by the edge into the first hub.

use std::collections::BTreeMap;

use super::anomaly::Class;
use super::log::{Position, Txn, number};

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Relation {
    /// It wrote the version before.
    Ww,
    /// It wrote what the other read.
    Wr,
    /// It read a version before the one that the other wrote.
    Rw,
    /// So it did, and it wrote the same object itself.
    Update,
    /// Its process ran it first.
    Process,
    /// It returned before the other was called.
    RealTime,
    /// From a hub to the next, or to a transaction.
    Onward,
}

/// Several relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relations(u8);

impl Relations {
    pub(super) const fn of(relations: &[Relation]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < relations.len() {
            bits |= 1 << relations[at] as u8;
            at += 1;
        }
        Relations(bits)
    }

    pub(super) const fn and(self, other: Relations) -> Self {
        Relations(self.0 | other.0)
    }

    pub(super) const fn has(self, relation: Relation) -> bool {
        self.0 & 1 << relation as u8 != 0
    }
}

/// One comes before the other. Nodes below the number of transactions are these, the others are hubs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) relation: Relation,
}

/// The first of its kind, and how many there are.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) count: usize,
    pub(super) at: Position,
    /// The transactions that the words call T1, T2, ...
    pub(super) txns: Vec<Txn>,
    pub(super) words: String,
}

/// What is wrong besides cycles.
#[derive(Debug, Default)]
pub(super) struct Sightings(pub(super) BTreeMap<Class, Sighting>);

impl Sightings {
    /// Takes one more. The words are asked for if it is the first so far.
    pub(super) fn note(&mut self, class: Class, at: Position, tell: impl FnOnce() -> (Vec<Txn>, String)) {
        let known = self.0.get_mut(&class);
        let count = known.as_ref().map_or(0, |known| known.count) + 1;
        match known {
            Some(known) if known.at <= at => known.count = count,
            _ => {
                let (txns, words) = tell();
                self.0.insert(class, Sighting { count, at, txns, words });
            }
        }
    }

    fn merge(&mut self, other: Sightings) {
        for (class, sighting) in other.0 {
            let count = sighting.count + self.0.get(&class).map_or(0, |known| known.count);
            let first = match self.0.remove(&class) {
                Some(known) if known.at <= sighting.at => known,
                _ => sighting,
            };
            self.0.insert(class, Sighting { count, ..first });
        }
    }
}

/// A hub's number before it is known how many there are elsewhere.
const HUB: u32 = 1 << 31;

/// What some keys show.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) edges: Vec<Edge>,
    pub(super) sightings: Sightings,
    /// Of keys that cannot be judged: why.
    pub(super) unclear: Vec<String>,
    hubs: u32,
}

impl Findings {
    pub(super) fn edge(&mut self, from: Txn, to: Txn, relation: Relation) {
        if from != to {
            self.edges.push(Edge { from, to, relation });
        }
    }

    /// Each source comes before each target but itself. The targets are distinct.
    ///
    /// Of two chains of hubs, one reaches from its i-th hub the first i targets, the other the i-th and all later
    /// ones. A source that is itself the i-th target enters both beside itself, any other enters the first at its end.
    pub(super) fn fan(&mut self, sources: &[(Txn, Relation)], targets: &[Txn]) {
        if sources.len() <= 2 || targets.len() <= 2 {
            for &(source, relation) in sources {
                targets.iter().for_each(|&target| self.edge(source, target, relation));
            }
            return;
        }
        let count = number(targets.len());
        let first = HUB | self.hubs;
        self.hubs += 2 * count;
        let (upto, since) = (|at: u32| first + at, |at: u32| first + count + at);
        for (at, &target) in (0..).zip(targets) {
            self.edge(upto(at), target, Relation::Onward);
            self.edge(since(at), target, Relation::Onward);
            if at > 0 {
                self.edge(upto(at), upto(at - 1), Relation::Onward);
                self.edge(since(at - 1), since(at), Relation::Onward);
            }
        }
        let mut places: Vec<(Txn, u32)> = targets.iter().copied().zip(0..).collect();
        places.sort_unstable();
        for &(source, relation) in sources {
            let Ok(place) = places.binary_search_by_key(&source, |place| place.0) else {
                self.edge(source, upto(count - 1), relation);
                continue;
            };
            let at = places[place].1;
            if at > 0 {
                self.edge(source, upto(at - 1), relation);
            }
            if at + 1 < count {
                self.edge(source, since(at + 1), relation);
            }
        }
    }

    /// One more hub.
    pub(super) fn hub(&mut self) -> u32 {
        self.hubs += 1;
        HUB | (self.hubs - 1)
    }

    /// Takes what other keys show.
    pub(super) fn merge(&mut self, other: Findings) {
        let renumber = |node: u32| if node & HUB == 0 { node } else { node + self.hubs };
        let edges = other.edges.into_iter();
        self.edges.extend(edges.map(|edge| Edge { from: renumber(edge.from), to: renumber(edge.to), ..edge }));
        self.sightings.merge(other.sightings);
        self.unclear.extend(other.unclear);
        self.hubs += other.hubs;
    }

    /// The edges as a graph of so many transactions; the hubs come behind them.
    pub(super) fn graph(self, txns: usize) -> (Graph, Sightings, Vec<String>) {
        let txns = number(txns);
        let place = |node: u32| if node & HUB == 0 { node } else { (node & !HUB) + txns };
        let mut edges = self.edges;
        for edge in &mut edges {
            (edge.from, edge.to) = (place(edge.from), place(edge.to));
        }
        (Graph::new((txns + self.hubs) as usize, &edges), self.sightings, self.unclear)
    }
}

/// Edges by the node that they leave, in the order in which they were found.
#[derive(Debug)]
pub(super) struct Graph {
    starts: Vec<u32>,
    targets: Vec<u32>,
    relations: Vec<Relation>,
}

impl Graph {
    pub(super) fn new(nodes: usize, edges: &[Edge]) -> Self {
        let mut starts = vec![0_u32; nodes + 1];
        edges.iter().for_each(|edge| starts[edge.from as usize + 1] += 1);
        for at in 0..nodes {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; edges.len()];
        let mut relations = vec![Relation::Onward; edges.len()];
        for edge in edges {
            let slot = next[edge.from as usize] as usize;
            next[edge.from as usize] += 1;
            (targets[slot], relations[slot]) = (edge.to, edge.relation);
        }
        Graph { starts, targets, relations }
    }

    pub(super) fn nodes(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn edges(&self) -> usize {
        self.targets.len()
    }

    /// The numbers of the edges that leave a node.
    pub(super) fn out(&self, node: u32) -> std::ops::Range<usize> {
        self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize
    }

    pub(super) fn target(&self, edge: usize) -> u32 {
        self.targets[edge]
    }

    pub(super) fn relation(&self, edge: usize) -> Relation {
        self.relations[edge]
    }
}
