//! The session guarantees, and monotonic reads of a user.
//!
//! Each says: of two operations of a session, of which one came before the other, what the one saw or wrote is not newer
//! than what the other saw or wrote. With versions that is looked up, in n log n.
//!
//! Without versions each such pair is an edge between writes, from old to new: the source of a read is the only write of
//! its value, or that nothing was there. Let a cluster be what reaches itself by edges. There is an order of the writes
//! that fits if and only if no cluster has two writes of one register, or a write and the nothing before it: within a
//! cluster all are as new as each other, writes are not, and clusters can be sorted topologically. (Two writes of
//! different registers in a cluster are a contradiction just as well: the order is one of all writes.) The edges are of
//! the guarantee and of those above it that hold. It costs as many steps as there are operations.
//!
//! So that there are few edges, what a session has done so far is a chain of nodes: each node is as new as the newest of
//! what is before it, whatever the order is, so chains forbid no order.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;

use super::Level;
use super::record::{Act, Call, Moment, Record};
use crate::model::Datum;
use crate::verdict::{Verdict, Witness};

/// What is said of them, in their order.
pub(super) struct Guarantees {
    pub(super) verdicts: Vec<(Level, Verdict)>,
}

/// What an operation saw, or what it wrote.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Saw,
    Wrote,
}

impl Side {
    /// What may not have happened may have written something, but is not known to have seen anything.
    fn has(self, call: &Call<'_>) -> bool {
        match self {
            Side::Saw => call.happened && call.act.observes().is_some(),
            Side::Wrote => call.act.produces().is_some(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Session,
    User,
}

/// That what comes before is not newer than what comes after.
#[derive(Clone, Copy)]
struct Guarantee {
    level: Level,
    before: Side,
    after: Side,
    /// Whether it speaks of each key by itself.
    by_key: bool,
    whose: Whose,
}

const GUARANTEES: [Guarantee; 5] = {
    use Level::{MonotonicPerUser, MonotonicReads, MonotonicWrites, ReadYourWrites, WritesFollowReads};
    use Side::{Saw, Wrote};
    use Whose::{Session, User};
    [
        Guarantee { level: ReadYourWrites, before: Wrote, after: Saw, by_key: true, whose: Session },
        Guarantee { level: MonotonicReads, before: Saw, after: Saw, by_key: true, whose: Session },
        Guarantee { level: MonotonicWrites, before: Wrote, after: Wrote, by_key: false, whose: Session },
        Guarantee { level: WritesFollowReads, before: Saw, after: Wrote, by_key: false, whose: Session },
        Guarantee { level: MonotonicPerUser, before: Saw, after: Saw, by_key: true, whose: User },
    ]
};

impl Guarantees {
    pub(super) fn of(record: &Record<'_>) -> Guarantees {
        let verdicts = if record.versioned { by_versions(record) } else { Values::new(record).judge() };
        Guarantees { verdicts }
    }

    /// What is said of one.
    pub(super) fn verdict(self, level: Level) -> Verdict {
        let found = self.verdicts.into_iter().find(|(other, _)| *other == level);
        found.map_or(Verdict::Valid, |(_, verdict)| verdict)
    }

    /// The first that a session of one process breaks.
    pub(super) fn broken_session(&self) -> Option<(Level, &Witness)> {
        let sessions = self.verdicts.iter().filter(|(level, _)| *level != Level::MonotonicPerUser);
        sessions.into_iter().find_map(|(level, verdict)| match verdict {
            Verdict::Invalid { witness } => Some((*level, witness)),
            Verdict::Valid | Verdict::Unknown { .. } => None,
        })
    }
}

/// What came before what, of the operations a guarantee speaks of.
#[derive(Default)]
struct Pairs {
    /// What was done so far: a call, and the link of what was done before it.
    links: Vec<(usize, Option<usize>)>,
    /// A call, and the link of all that comes before it.
    uses: Vec<(usize, usize)>,
}

impl Guarantee {
    fn pairs(&self, record: &Record<'_>) -> Pairs {
        let mut pairs = Pairs::default();
        let mut heads: FxHashMap<(usize, usize), usize> = FxHashMap::default();
        let mut waiting: FxHashMap<usize, usize> = FxHashMap::default();
        for (_, moment) in record.moments() {
            let (Moment::Call(at) | Moment::Return(at)) = moment;
            let call = &record.calls[at];
            let who = if self.whose == Whose::User { call.user } else { call.session };
            let place = (who, if self.by_key { call.key } else { 0 });
            if moment == Moment::Call(at) {
                let before = heads.get(&place).copied().filter(|_| self.after.has(call));
                match (before, call.happened) {
                    (Some(before), true) => drop(waiting.insert(at, before)),
                    (Some(before), false) => pairs.uses.push((at, before)),
                    (None, _) => {}
                }
                continue;
            }
            pairs.uses.extend(waiting.remove(&at).map(|before| (at, before)));
            if self.before.has(call) {
                let link = (at, heads.get(&place).copied());
                heads.insert(place, pairs.links.len());
                pairs.links.push(link);
            }
        }
        pairs
    }

    fn reason(&self, record: &Record<'_>, before: usize, after: usize) -> String {
        let (first, then) = (record.who(before), record.words(after));
        let other = record.calls[after].operation.process();
        match other == record.calls[before].operation.process() {
            true => format!("{first}, and then {then}"),
            false => format!("{first}, and then the same user as process {other} {then}"),
        }
    }
}

/// Before every version.
const NOTHING: i64 = i64::MIN;

fn by_versions(record: &Record<'_>) -> Vec<(Level, Verdict)> {
    let version = |call: &Call<'_>| match call.act {
        Act::Read(value) if value == record.nothing => Some(call.version.unwrap_or(NOTHING)),
        _ => call.version,
    };
    let judge = |guarantee: Guarantee| {
        let Pairs { links, uses } = guarantee.pairs(record);
        // Of each link the newest until then, of those that have a version.
        let mut newest: Vec<Option<(i64, usize)>> = Vec::with_capacity(links.len());
        for (call, before) in &links {
            let own = version(&record.calls[*call]).map(|version| (version, *call));
            let before = before.and_then(|before| newest[before]);
            newest.push(if own.map(|own| own.0) > before.map(|before| before.0) { own } else { before });
        }
        for (after, before) in uses {
            let (Some(own), Some((seen, before))) = (version(&record.calls[after]), newest[before]) else { continue };
            if own < seen || (own == seen && guarantee.after == Side::Wrote) {
                let reason = guarantee.reason(record, before, after);
                return Verdict::Invalid { witness: record.witness(reason, [before, after]) };
            }
        }
        Verdict::Valid
    };
    GUARANTEES.into_iter().map(|guarantee| (guarantee.level, judge(guarantee))).collect()
}

/// From which write a read has its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Nothing,
    Write(usize),
    /// Nobody or several wrote it.
    Unknown,
}

/// A history without versions.
struct Values<'r, 'h> {
    record: &'r Record<'h>,
    /// Of each call that saw something.
    sources: Vec<Source>,
    /// The node of each call that wrote something. The nodes before are the nothings of the keys.
    nodes: Vec<usize>,
    /// Nodes that no two may be as new as each other.
    solid: usize,
    /// Why some reads were left out.
    left_out: Option<String>,
}

/// From old to new, because of a call.
#[derive(Clone, Copy)]
struct Edge {
    from: usize,
    to: usize,
    because: Option<usize>,
}

/// The edges of the guarantees that hold.
#[derive(Clone, Default)]
struct Edges {
    edges: Vec<Edge>,
    nodes: usize,
}

impl<'r, 'h> Values<'r, 'h> {
    fn new(record: &'r Record<'h>) -> Self {
        let mut producers: FxHashMap<(usize, Datum), Vec<usize>> = FxHashMap::default();
        let mut nodes = Vec::with_capacity(record.calls.len());
        let mut solid = record.keys.len();
        for (at, call) in record.calls.iter().enumerate() {
            nodes.push(solid);
            if let Some(value) = call.act.produces() {
                producers.entry((call.key, value)).or_default().push(at);
                solid += 1;
            }
        }
        let mut left_out = None;
        let sources = record.calls.iter().enumerate().map(|(at, call)| {
            let Some(value) = call.act.observes() else { return Source::Unknown };
            let written = producers.get(&(call.key, value)).map_or(&[][..], Vec::as_slice);
            match (written, value == record.nothing) {
                ([], true) => Source::Nothing,
                ([source], false) => Source::Write(*source),
                (written, _) => {
                    let who = if written.is_empty() { "nobody wrote" } else { "was not written only once" };
                    let left = || format!("{}, which {who}: nobody knows how old that is", record.who(at));
                    if call.happened {
                        left_out.get_or_insert_with(left);
                    }
                    Source::Unknown
                }
            }
        });
        let sources = sources.collect();
        Values { record, sources, nodes, solid, left_out }
    }

    fn judge(&self) -> Vec<(Level, Verdict)> {
        let mut kept = Edges { edges: self.beginnings(), nodes: self.solid };
        let mut judge = |guarantee: Guarantee| {
            if let Some(witness) = self.sees_own_future(&guarantee) {
                return Verdict::Invalid { witness };
            }
            let mut edges = kept.clone();
            self.add(&guarantee, &mut edges);
            if let Some(ring) = self.ring(&edges) {
                return Verdict::Invalid { witness: self.witness(&ring) };
            }
            kept = edges;
            match &self.left_out {
                Some(reason) => Verdict::Unknown { reason: reason.clone() },
                None => Verdict::Valid,
            }
        };
        GUARANTEES.into_iter().map(|guarantee| (guarantee.level, judge(guarantee))).collect()
    }

    /// Nothing was there before each write.
    fn beginnings(&self) -> Vec<Edge> {
        let calls = self.record.calls.iter().enumerate();
        let writes = calls.filter(|(_, call)| call.act.produces().is_some());
        writes.map(|(at, call)| Edge { from: call.key, to: self.nodes[at], because: None }).collect()
    }

    fn node(&self, side: Side, call: usize) -> Option<usize> {
        match (side, self.sources[call]) {
            (Side::Wrote, _) => Some(self.nodes[call]),
            (Side::Saw, Source::Nothing) => Some(self.record.calls[call].key),
            (Side::Saw, Source::Write(write)) => Some(self.nodes[write]),
            (Side::Saw, Source::Unknown) => None,
        }
    }

    fn add(&self, guarantee: &Guarantee, edges: &mut Edges) {
        let Pairs { links, uses } = guarantee.pairs(self.record);
        let first = edges.nodes;
        for (at, (call, before)) in links.iter().enumerate() {
            let to = first + at;
            edges.edges.extend(before.map(|before| Edge { from: first + before, to, because: None }));
            let from = self.node(guarantee.before, *call);
            edges.edges.extend(from.map(|from| Edge { from, to, because: Some(*call) }));
        }
        edges.nodes += links.len();
        for (after, before) in uses {
            let to = self.node(guarantee.after, after);
            edges.edges.extend(to.map(|to| Edge { from: first + before, to, because: Some(after) }));
        }
        if guarantee.level == Level::WritesFollowReads {
            let calls = self.record.calls.iter().enumerate();
            for (at, _) in calls.filter(|(_, call)| matches!(call.act, Act::Cas(..)) && call.happened) {
                let from = self.node(Side::Saw, at);
                edges.edges.extend(from.map(|from| Edge { from, to: self.nodes[at], because: Some(at) }));
            }
        }
    }

    /// A session that saw what it only wrote afterwards: a write is newer than that, and not only as new.
    fn sees_own_future(&self, guarantee: &Guarantee) -> Option<Witness> {
        if guarantee.level != Level::WritesFollowReads {
            return None;
        }
        let calls = self.record.calls.iter().enumerate();
        calls.filter(|(_, call)| call.happened).find_map(|(at, call)| {
            let Source::Write(write) = self.sources[at] else { return None };
            let written = &self.record.calls[write];
            let before = call.session == written.session && call.ret() < Some(written.operation.call);
            (write == at || before).then(|| {
                let reason = match write == at {
                    true => format!("{}, which it wrote itself", self.record.who(at)),
                    false => guarantee.reason(self.record, at, write),
                };
                self.record.witness(reason, [at, write])
            })
        })
    }

    /// The shortest ring with two nodes that cannot be as new as each other, of the first cluster that has them.
    fn ring(&self, edges: &Edges) -> Option<Vec<Edge>> {
        let list = edges.edges.iter().enumerate();
        let mut graph: DiGraph<(), usize> = DiGraph::with_capacity(edges.nodes, edges.edges.len());
        for _ in 0..edges.nodes {
            graph.add_node(());
        }
        for (at, edge) in list {
            graph.add_edge(NodeIndex::new(edge.from), NodeIndex::new(edge.to), at);
        }
        let solid = |cluster: &[NodeIndex]| cluster.iter().filter(|node| node.index() < self.solid).count();
        let clusters = kosaraju_scc(&graph).into_iter().filter(|cluster| solid(cluster) > 1);
        let first = |cluster: &Vec<NodeIndex>| cluster.iter().map(|node| node.index()).min();
        let cluster = clusters.min_by_key(first)?;
        let inside: FxHashSet<NodeIndex> = cluster.iter().copied().collect();
        let mut starts: Vec<NodeIndex> = cluster.into_iter().filter(|node| node.index() < self.solid).collect();
        starts.sort_unstable();
        let rings = starts.into_iter().take(RINGS).filter_map(|start| self.ring_from(&graph, &inside, start));
        let ring = rings.min_by_key(Vec::len)?;
        Some(ring.into_iter().map(|at| edges.edges[at]).collect())
    }

    /// The shortest way back to a solid node by way of another, breadth first: a node is visited twice at most, before
    /// and after the other.
    fn ring_from(
        &self,
        graph: &DiGraph<(), usize>,
        inside: &FxHashSet<NodeIndex>,
        start: NodeIndex,
    ) -> Option<Vec<usize>> {
        let mut came: FxHashMap<(NodeIndex, bool), ((NodeIndex, bool), usize)> = FxHashMap::default();
        let mut queue = VecDeque::from([(start, false)]);
        while let Some((node, passed)) = queue.pop_front() {
            // The list of edges that leave a node is in the reverse order of their making.
            let mut leaving: Vec<_> = graph.edges(node).map(|edge| (*edge.weight(), edge.target())).collect();
            leaving.sort_unstable();
            for (at, target) in leaving.into_iter().filter(|(_, target)| inside.contains(target)) {
                let next = (target, passed || (target.index() < self.solid && target != start));
                if next == (start, false) || came.contains_key(&next) {
                    continue;
                }
                came.insert(next, ((node, passed), at));
                queue.push_back(next);
                if next == (start, true) {
                    let mut ring = Vec::new();
                    let mut place = next;
                    while place != (start, false) {
                        let (before, at) = came[&place];
                        ring.push(at);
                        place = before;
                    }
                    ring.reverse();
                    return Some(ring);
                }
            }
        }
        None
    }

    fn witness(&self, ring: &[Edge]) -> Witness {
        let because: Vec<usize> = ring.iter().filter_map(|edge| edge.because).collect();
        let mut steps: Vec<String> = Vec::new();
        let mut calls = because.clone();
        for edge in ring {
            let nodes = [edge.from, edge.to].into_iter().filter(|node| *node >= self.record.keys.len());
            calls.extend(nodes.filter(|node| *node < self.solid).filter_map(|node| self.writer(node)));
        }
        let mut at = 0;
        while at < ring.len() {
            // From one solid node to the next.
            let end = ring[at..].iter().position(|edge| edge.to < self.solid).map_or(ring.len(), |more| at + more + 1);
            let told: Vec<usize> = ring[at..end].iter().filter_map(|edge| edge.because).collect();
            match told[..] {
                [before, after] => {
                    steps.push(format!("{}, and then {}", self.record.who(before), self.second(before, after)))
                }
                [only] => steps.push(self.record.who(only)),
                _ => {}
            }
            at = end;
        }
        let reason = format!("no order of the writes fits: {}", steps.join("; "));
        self.record.witness(reason, calls)
    }

    fn second(&self, before: usize, after: usize) -> String {
        let (one, other) = (&self.record.calls[before].operation, &self.record.calls[after].operation);
        match one.process() == other.process() {
            true => self.record.words(after),
            false => self.record.who(after),
        }
    }

    /// The call that wrote what a node stands for.
    fn writer(&self, node: usize) -> Option<usize> {
        let last = self.nodes.partition_point(|other| *other <= node);
        // Calls that wrote nothing have the number of the next that does.
        let mut same = (0..last).rev().take_while(|&at| self.nodes[at] == node);
        same.find(|&at| self.record.calls[at].act.produces().is_some())
    }
}

/// From so many writes of a cluster the shortest ring is looked for.
const RINGS: usize = 64;
