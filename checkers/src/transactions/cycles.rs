//! Finds, in a graph of dependencies, the cycles that isolation levels forbid, and for each kind a short one.
//!
//! A cycle lies within a strongly connected component. Within each, and for the orders that a cycle may rest on from the
//! least (data alone) to the most (real time), kinds are looked for in restricted sets of relations, as Elle does
//! (Kingsbury and Alvaro 2020, section 6): write-write alone; with write-read; with exactly one read-write; with several
//! of which no two follow one another; any. Each search is a breadth-first one from the end of an edge back to its
//! beginning.
//!
//! What is decided does not rest on how far a search goes. That there is a cycle of a set of relations, or one in which
//! no two read-writes follow one another, is decided by components in linear time; only which of several kinds that
//! the same levels forbid is named, and how short its cycle is, depends on the effort, which is bounded by the number of
//! edges looked at, never by time. In small components all edges are tried, and the cycles are the shortest.
//!
//! An *update* is a read-write of who wrote the same object. Whatever forbids lost updates puts the updater's write
//! first, so there it counts as a write-write: a cycle with updates and one read-write, or none, is a G-single. (With
//! snapshots: of two that write the same object one sees the other; the updater did not see, so it was seen.)
//!
//! *No two follow one another*: take two copies of each node, one for a walk that came by a read-write and one for
//! any other; read-writes lead from the second to the first only. A component of these holds a closed walk of that
//! kind. It may come through both copies of a node; then split it there in two. Were both halves to join two
//! read-writes, the walk would have come to one copy by a read-write and left it by another: so one half is of that
//! kind, and shorter.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::anomaly::{Anomaly, Class, Scope};
use super::components::{components, part};
use super::dependencies::{Edge, Graph, Relation, Relations};
use super::log::{Transaction, Txn};
use super::paths::{Effort, Paths, Rule};

/// A transaction and why it comes before the next; the last one comes before the first.
pub(super) type Steps = Vec<(Txn, Relation)>;

/// How often a kind of cycle was found, and the shortest.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) components: usize,
    pub(super) shortest: Steps,
}

/// Write-write.
const WW: Relations = Relations::of(&[Relation::Ww, Relation::Onward]);
/// With write-read.
const FLOW: Relations = WW.and(Relations::of(&[Relation::Wr]));
/// With updates, which are write-writes wherever no update may be lost.
const KEPT: Relations = FLOW.and(Relations::of(&[Relation::Update]));
/// All of the data.
const DATA: Relations = KEPT.and(Relations::of(&[Relation::Rw]));
/// All there is.
pub(super) const ALL: Relations = DATA.and(Relations::of(&[Relation::Process, Relation::RealTime]));

/// The cycles of each kind within these components of the whole graph.
pub(super) fn cycles(graph: &Graph, txns: &[Transaction], cyclic: &[Vec<u32>]) -> BTreeMap<Anomaly, Seen> {
    let mut places = vec![u32::MAX; graph.nodes()];
    let mut seen = BTreeMap::new();
    for nodes in cyclic {
        let whole = part(graph, nodes, &mut places);
        let mut inner = vec![u32::MAX; nodes.len()];
        let mut told: Vec<Class> = Vec::new();
        let is_large = whole.edges() > LARGE;
        for (scope, added) in [
            (Scope::Data, Relations::of(&[])),
            (Scope::Process, Relations::of(&[Relation::Process])),
            (Scope::RealTime, Relations::of(&[Relation::Process, Relation::RealTime])),
        ] {
            if is_large && !told.is_empty() {
                break;
            }
            let parts = match scope {
                Scope::RealTime => vec![(0..nodes.len() as u32).collect()],
                Scope::Data | Scope::Process => components(&whole, DATA.and(added)).cyclic,
            };
            let mut found_here = Vec::new();
            for local in parts {
                let names: Vec<u32> = local.iter().map(|&node| nodes[node as usize]).collect();
                let graph = part(&whole, &local, &mut inner);
                let mut hunt = Hunt {
                    paths: Paths::new(&graph, &names, txns.len()),
                    graph: &graph,
                    names: &names,
                    txns,
                    added,
                    is_large,
                    told: &told,
                    found: BTreeMap::new(),
                };
                hunt.run();
                found_here.extend(hunt.found.keys().map(|anomaly| anomaly.class()));
                count(&mut seen, hunt.found);
            }
            told.extend(found_here);
        }
    }
    seen
}

fn count(seen: &mut BTreeMap<Anomaly, Seen>, found: BTreeMap<Anomaly, Steps>) {
    for (anomaly, steps) in found {
        match seen.get_mut(&anomaly) {
            None => drop(seen.insert(anomaly, Seen { components: 1, shortest: steps })),
            Some(known) => {
                known.components += 1;
                if steps.len() < known.shortest.len() {
                    known.shortest = steps;
                }
            }
        }
    }
}

/// The search in one component.
struct Hunt<'g> {
    graph: &'g Graph,
    /// The nodes as the whole graph calls them.
    names: &'g [u32],
    txns: &'g [Transaction],
    /// The relations that count besides those of the data.
    added: Relations,
    is_large: bool,
    /// The kinds that were found with fewer relations.
    told: &'g [Class],
    paths: Paths<'g>,
    found: BTreeMap<Anomaly, Steps>,
}

impl Hunt<'_> {
    fn run(&mut self) {
        for class in [Class::G0, Class::G1c, Class::GSingle, Class::GNonadjacent, Class::G2Item] {
            if self.told.contains(&class) || self.has(class) {
                continue;
            }
            if self.is_large && !self.found.is_empty() {
                break;
            }
            let (edges, rule, is_certain) = self.plan(class);
            self.search(class, &edges, rule, is_certain);
        }
    }

    fn has(&self, class: Class) -> bool {
        self.length(class).is_some()
    }

    fn length(&self, class: Class) -> Option<usize> {
        self.found.iter().filter(|(found, _)| found.class() == class).map(|(_, steps)| steps.len()).min()
    }

    /// The edges from whose end to look for a way back, how that may go, and whether it is certain that the first has one.
    fn plan(&self, class: Class) -> (Vec<usize>, Rule, bool) {
        let [ww, flow, kept, data] = [WW, FLOW, KEPT, DATA].map(|relations| relations.and(self.added));
        match class {
            Class::G0 => (self.inside(ww, Relation::Ww), Rule::Any(ww), true),
            Class::G1c => (self.inside(flow, Relation::Wr), Rule::Any(flow), true),
            Class::GSingle => {
                let certain = self.inside(kept, Relation::Update);
                let is_certain = !certain.is_empty();
                let others = self.backward(self.of(Relation::Rw));
                (certain.into_iter().chain(others).collect(), Rule::Any(kept), is_certain)
            }
            Class::GNonadjacent => {
                let weaker = [Class::G0, Class::G1c, Class::GSingle];
                let is_told = weaker.iter().any(|class| self.has(*class) || self.told.contains(class));
                let rule = if is_told { Rule::TwoApart(data) } else { Rule::Apart(data) };
                (self.backward(self.apart(data)), rule, !is_told)
            }
            _ => {
                let is_told = !self.found.is_empty() || !self.told.is_empty();
                let rule = if is_told { Rule::TwoTogether(data) } else { Rule::Any(data) };
                (self.backward(self.of(Relation::Rw)), rule, !is_told)
            }
        }
    }

    fn edges(&self) -> impl Iterator<Item = (u32, usize)> {
        (0..self.graph.nodes() as u32).flat_map(|node| self.graph.out(node).map(move |edge| (node, edge)))
    }

    fn of(&self, relation: Relation) -> Vec<(u32, usize)> {
        self.edges().filter(|&(_, edge)| self.graph.relation(edge) == relation).collect()
    }

    /// The edges of a relation that lie on a cycle of a set of relations.
    fn inside(&self, relations: Relations, relation: Relation) -> Vec<usize> {
        let component = membership(self.graph.nodes(), &components(self.graph, relations).cyclic);
        let same = |from: u32, edge: usize| {
            let one = component[from as usize];
            one != 0 && one == component[self.graph.target(edge) as usize]
        };
        self.of(relation).into_iter().filter(|&(from, edge)| same(from, edge)).map(|(_, edge)| edge).collect()
    }

    /// The read-writes that lie on a closed walk no two read-writes of which follow one another.
    fn apart(&self, relations: Relations) -> Vec<(u32, usize)> {
        let copy = |node: u32, after_rw: bool| 2 * node + u32::from(after_rw);
        let mut edges = Vec::new();
        for (node, edge) in self.edges() {
            let (to, relation) = (self.graph.target(edge), self.graph.relation(edge));
            if !relations.has(relation) {
                continue;
            }
            match relation {
                Relation::Rw => edges.push((copy(node, false), copy(to, true))),
                Relation::Onward => {
                    edges.push((copy(node, false), copy(to, false)));
                    edges.push((copy(node, true), copy(to, true)));
                }
                _ => {
                    edges.push((copy(node, false), copy(to, false)));
                    edges.push((copy(node, true), copy(to, false)));
                }
            }
        }
        let edges: Vec<Edge> = edges.into_iter().map(|(from, to)| Edge { from, to, relation: Relation::Rw }).collect();
        let twice = Graph::new(2 * self.graph.nodes(), &edges);
        let component = membership(twice.nodes(), &components(&twice, DATA).cyclic);
        let mut on_walk = self.of(Relation::Rw);
        on_walk.retain(|&(from, edge)| {
            let one = component[copy(from, false) as usize];
            one != 0 && one == component[copy(self.graph.target(edge), true) as usize]
        });
        on_walk
    }

    /// Edges that go far back in time first: dependencies mostly go forward, and a cycle has to come back.
    fn backward(&self, mut edges: Vec<(u32, usize)>) -> Vec<usize> {
        let call = |node: u32| self.txns.get(self.names[node as usize] as usize).map_or(u32::MAX, |txn| txn.call);
        edges.sort_by_key(|&(from, edge)| i64::from(call(self.graph.target(edge))) - i64::from(call(from)));
        edges.into_iter().map(|(_, edge)| edge).collect()
    }

    /// Tries the edges with growing effort, each time as many as a share of all effort allows, until one has a way back;
    /// the others with the same effort, for the shortest.
    fn search(&mut self, class: Class, edges: &[usize], rule: Rule, is_certain: bool) {
        let share = (4 * self.graph.edges() + SPENT) / EFFORTS.len();
        let mut open: Vec<usize> = edges.to_vec();
        for effort in EFFORTS {
            let (mut left, mut tried, mut next) = (share, 0, Vec::new());
            for &edge in &open {
                if left == 0 {
                    break;
                }
                let mut spent = Effort::of(effort.min(left));
                let walk = self.paths.back(edge, rule, &mut spent);
                left -= spent.spent();
                tried += 1;
                match walk {
                    Some(walk) => self.note(&walk),
                    None if spent.is_out() => next.push(edge),
                    None => {}
                }
                if self.length(class) == Some(2) {
                    return;
                }
            }
            next.extend_from_slice(&open[tried..]);
            if self.has(class) || next.is_empty() {
                break;
            }
            open = next;
        }
        if let Some(&edge) = edges.first().filter(|_| is_certain && self.found.is_empty()) {
            let walk = self.paths.back(edge, rule, &mut Effort::of(usize::MAX));
            self.note(&walk.expect("both ends of the edge are in one component"));
        }
    }

    /// Splits a closed walk where it comes to a node again, and takes each cycle.
    fn note(&mut self, walk: &[(u32, Relation)]) {
        let mut open: Vec<(u32, Relation)> = Vec::new();
        let mut places: FxHashMap<u32, usize> = FxHashMap::default();
        for &(node, relation) in walk {
            if let Some(&start) = places.get(&node) {
                let cycle = open.split_off(start);
                cycle.iter().for_each(|(node, _)| {
                    places.remove(node);
                });
                self.take(&cycle);
            }
            places.insert(node, open.len());
            open.push((node, relation));
        }
        self.take(&open);
    }

    fn take(&mut self, cycle: &[(u32, Relation)]) {
        let named = cycle.iter().map(|&(node, relation)| (self.names[node as usize], relation));
        let steps: Steps = named.filter(|&(_, relation)| relation != Relation::Onward).collect();
        let anomaly = classify(&steps);
        if self.told.contains(&anomaly.class()) {
            return;
        }
        if self.found.get(&anomaly).is_none_or(|known| known.len() > steps.len()) {
            self.found.insert(anomaly, steps);
        }
    }
}

/// In a component of more edges the first kind found is the last one looked for. They are looked for in the order of
/// what they rule out: what comes later, or rests on more, is ruled out already.
const LARGE: usize = 200_000;

/// So many edges may be looked at for one kind, besides four times those that there are.
const SPENT: usize = 1 << 20;
/// How many edges are looked at for one edge, from round to round.
const EFFORTS: [usize; 5] = [1 << 6, 1 << 10, 1 << 14, 1 << 18, usize::MAX];

/// For each node the number of its component, from 1; 0 for those that are in none.
fn membership(nodes: usize, cyclic: &[Vec<u32>]) -> Vec<u32> {
    let mut component = vec![0; nodes];
    for (number, nodes) in (1..).zip(cyclic) {
        nodes.iter().for_each(|&node| component[node as usize] = number);
    }
    component
}

/// What kind of cycle it is.
fn classify(steps: &Steps) -> Anomaly {
    let has = |relation: Relation| steps.iter().any(|step| step.1 == relation);
    let scope = match (has(Relation::RealTime), has(Relation::Process)) {
        (true, _) => Scope::RealTime,
        (false, true) => Scope::Process,
        (false, false) => Scope::Data,
    };
    let missed: Vec<usize> = (0..steps.len()).filter(|&at| steps[at].1 == Relation::Rw).collect();
    let follows = |at: &usize| steps[(at + 1) % steps.len()].1 == Relation::Rw;
    let class = match missed.len() {
        0 if has(Relation::Update) => Class::GSingle,
        0 if has(Relation::Wr) => Class::G1c,
        0 => Class::G0,
        1 => Class::GSingle,
        _ if missed.iter().any(follows) => Class::G2Item,
        _ => Class::GNonadjacent,
    };
    Anomaly::new(class, scope)
}
