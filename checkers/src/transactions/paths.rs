//! Breadth-first search for the way back from the end of an edge to its beginning, with as few transactions as possible.
//!
//! Steps to a transaction cost one, steps to a hub nothing: nodes of the same distance are done before the next.

use std::collections::VecDeque;

use super::dependencies::{Graph, Relation, Relations};

/// Which steps a way back may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// All of these relations.
    Any(Relations),
    /// The edge is a read-write, and no two of them follow one another.
    Apart(Relations),
    /// As before, and there is a second one.
    TwoApart(Relations),
    /// The edge is a read-write, and so is the next.
    TwoTogether(Relations),
}

/// What a way has behind it: with the node this is where it is.
type Mood = u32;

/// It came by a read-write.
const AFTER_RW: Mood = 1;
/// What the rule wants besides was there.
const SATISFIED: Mood = 2;
const MOODS: u32 = 4;

impl Rule {
    fn start(self) -> Mood {
        match self {
            Rule::Any(_) => SATISFIED,
            Rule::Apart(_) => AFTER_RW | SATISFIED,
            Rule::TwoApart(_) => AFTER_RW,
            Rule::TwoTogether(_) => 0,
        }
    }

    fn step(self, mood: Mood, relation: Relation) -> Option<Mood> {
        let (Rule::Any(relations) | Rule::Apart(relations) | Rule::TwoApart(relations) | Rule::TwoTogether(relations)) =
            self;
        if !relations.has(relation) {
            return None;
        }
        match (self, relation) {
            (_, Relation::Onward) | (Rule::Any(_), _) => Some(mood),
            (Rule::Apart(_) | Rule::TwoApart(_), Relation::Rw) if mood & AFTER_RW != 0 => None,
            (Rule::Apart(_) | Rule::TwoApart(_), Relation::Rw) => Some(AFTER_RW | SATISFIED),
            (Rule::Apart(_) | Rule::TwoApart(_), _) => Some(mood & !AFTER_RW),
            (Rule::TwoTogether(_), Relation::Rw) => Some(SATISFIED),
            (Rule::TwoTogether(_), _) => Some(mood).filter(|mood| mood & SATISFIED != 0),
        }
    }

    /// Whether a way that has come back closes a walk.
    fn accepts(self, mood: Mood) -> bool {
        let joins = mood & AFTER_RW != 0;
        mood & SATISFIED != 0 && !joins
    }
}

/// How many edges may be looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    allowed: usize,
    left: usize,
}

impl Effort {
    pub(super) fn of(edges: usize) -> Self {
        Effort { allowed: edges, left: edges }
    }

    pub(super) fn spent(self) -> usize {
        self.allowed - self.left
    }

    pub(super) fn is_out(self) -> bool {
        self.left == 0
    }

    fn spend(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }
}

/// The searches in one graph. What one search wrote the next one knows by its number, so that none has to clear it.
pub(super) struct Paths<'g> {
    graph: &'g Graph,
    names: &'g [u32],
    txns: usize,
    round: u32,
    places: Vec<Place>,
    /// Where each edge begins.
    origins: Vec<u32>,
    queue: VecDeque<(u32, u32)>,
}

#[derive(Clone, Copy)]
struct Place {
    round: u32,
    distance: u32,
    /// The place and the edge by which it was reached.
    from: u32,
    by: u32,
}

const START: u32 = u32::MAX;

impl<'g> Paths<'g> {
    /// Nodes whose name is below the number of transactions are transactions.
    pub(super) fn new(graph: &'g Graph, names: &'g [u32], txns: usize) -> Self {
        let nowhere = Place { round: 0, distance: 0, from: START, by: START };
        let places = vec![nowhere; graph.nodes() * MOODS as usize];
        let mut origins = vec![0; graph.edges()];
        for node in 0..graph.nodes() as u32 {
            origins[graph.out(node)].fill(node);
        }
        Paths { graph, names, txns, round: 0, places, origins, queue: VecDeque::new() }
    }

    /// The shortest closed walk through an edge: each node with the relation by which it is left, from the edge's beginning.
    pub(super) fn back(&mut self, edge: usize, rule: Rule, effort: &mut Effort) -> Option<Vec<(u32, Relation)>> {
        let (goal, first) = (self.origins[edge], self.graph.target(edge));
        self.round += 1;
        self.queue.clear();
        self.reach(first * MOODS + rule.start(), 0, START, edge as u32);
        while let Some((place, distance)) = self.queue.pop_front() {
            if self.places[place as usize].distance < distance {
                continue;
            }
            let (node, mood) = (place / MOODS, place % MOODS);
            if node == goal && rule.accepts(mood) {
                return Some(self.walk(place));
            }
            for edge in self.graph.out(node) {
                if !effort.spend() {
                    return None;
                }
                if let Some(mood) = rule.step(mood, self.graph.relation(edge)) {
                    self.reach(self.graph.target(edge) * MOODS + mood, distance, place, edge as u32);
                }
            }
        }
        None
    }

    fn reach(&mut self, place: u32, before: u32, from: u32, by: u32) {
        let is_hub = self.names[(place / MOODS) as usize] as usize >= self.txns;
        let distance = before + u32::from(!is_hub);
        let known = &mut self.places[place as usize];
        if known.round == self.round && known.distance <= distance {
            return;
        }
        *known = Place { round: self.round, distance, from, by };
        match is_hub {
            true => self.queue.push_front((place, distance)),
            false => self.queue.push_back((place, distance)),
        }
    }

    fn walk(&self, end: u32) -> Vec<(u32, Relation)> {
        let mut walk = Vec::new();
        let mut at = end;
        while at != START {
            let Place { from, by, .. } = self.places[at as usize];
            walk.push((self.origins[by as usize], self.graph.relation(by as usize)));
            at = from;
        }
        walk.reverse();
        walk
    }
}
