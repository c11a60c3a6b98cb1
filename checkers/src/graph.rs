//! A history as a graph: operations are nodes, and edges say what came before what.
//!
//! * [`Relation::Process`]: a process makes its calls one after another.
//! * [`Relation::RealTime`]: one returned before the other was called. Only the edges that do not follow from others
//!   are there, so that there are about as many as operations times concurrency; the relation itself is all paths.
//! * [`Relation::ReadsFrom`]: one observed what only the other can have produced.
//!
//! Operations that failed are left out: they did not happen. The graph is the same for the same history, node for node
//! and edge for edge, and a consistency model is a kind of cycle that it forbids (Adya, "Weak consistency", 1999).

use std::fmt::{self, Write as _};

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use rustc_hash::FxHashMap;

use crate::history::{Operation, Outcome, Process};
use crate::model::Datum;

/// Why one operation comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// The same process made them one after the other.
    Process,
    /// One returned before the other was called.
    RealTime,
    /// One observed what the other produced.
    ReadsFrom,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Relation::Process => "process",
            Relation::RealTime => "real time",
            Relation::ReadsFrom => "reads from",
        })
    }
}

/// What an operation does to the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// What it brought into the world.
    pub produces: Option<Datum>,
    /// What it found.
    pub observes: Option<Datum>,
}

/// Operations and what came before what.
#[derive(Clone, Debug)]
pub struct HistoryGraph<'h> {
    graph: DiGraph<Operation<'h>, Relation>,
}

impl<'h> HistoryGraph<'h> {
    /// The graph of these operations, which are in the order of their calls, with process order and real-time order.
    #[must_use]
    pub fn new(operations: &[Operation<'h>]) -> Self {
        let mut graph = DiGraph::new();
        for operation in operations.iter().filter(|operation| operation.outcome() != Outcome::Fail) {
            graph.add_node(*operation);
        }
        let mut this = HistoryGraph { graph };
        this.add_process_order();
        this.add_real_time_order();
        this
    }

    /// The nodes and edges. Node numbers follow the order of the calls.
    #[must_use]
    pub fn graph(&self) -> &DiGraph<Operation<'h>, Relation> {
        &self.graph
    }

    /// Adds an edge from each producer to those who observe its product, where only one operation can have produced it.
    /// `access` is asked once for each node, in order; data of different keys must differ.
    pub fn add_reads_from(&mut self, mut access: impl FnMut(&Operation<'h>) -> Access) {
        let accesses: Vec<Access> = self.graph.node_weights().map(&mut access).collect();
        let mut producers: FxHashMap<Datum, Option<NodeIndex>> = FxHashMap::default();
        for (node, access) in self.graph.node_indices().zip(&accesses) {
            if let Some(datum) = access.produces {
                producers.entry(datum).and_modify(|producer| *producer = None).or_insert(Some(node));
            }
        }
        for (node, access) in self.graph.node_indices().zip(&accesses) {
            let producer = access.observes.and_then(|datum| producers.get(&datum).copied().flatten());
            if let Some(producer) = producer.filter(|producer| *producer != node) {
                self.graph.add_edge(producer, node, Relation::ReadsFrom);
            }
        }
    }

    fn add_process_order(&mut self) {
        let mut last: FxHashMap<Process, NodeIndex> = FxHashMap::default();
        for node in self.graph.node_indices() {
            if let Some(before) = last.insert(self.graph[node].process(), node) {
                self.graph.add_edge(before, node, Relation::Process);
            }
        }
    }

    /// Goes through the events in order and keeps those returned operations that no other returned one follows: each
    /// new call comes after exactly these, and after all others by way of them.
    fn add_real_time_order(&mut self) {
        let mut events: Vec<(usize, NodeIndex, bool)> = Vec::new();
        for node in self.graph.node_indices() {
            let operation = &self.graph[node];
            events.push((operation.call, node, false));
            let returned = operation.ret.filter(|_| operation.outcome() == Outcome::Ok);
            events.extend(returned.map(|ret| (ret, node, true)));
        }
        events.sort_unstable_by_key(|event| event.0);
        let mut frontier: Vec<NodeIndex> = Vec::new();
        for (_, node, returns) in events {
            if returns {
                let call = self.graph[node].call;
                frontier.retain(|before| self.graph[*before].ret.is_none_or(|ret| ret > call));
                frontier.push(node);
            } else {
                for before in &frontier {
                    self.graph.add_edge(*before, node, Relation::RealTime);
                }
            }
        }
    }

    /// The graph in the language of Graphviz.
    ///
    /// Edges of process order that are edges of real-time order as well are not drawn twice.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut dot = String::from("digraph history {\n");
        for node in self.graph.node_indices() {
            let operation = &self.graph[node];
            let value = operation.completion.unwrap_or(operation.invoke).value.to_string();
            let label = format!("{}: {} {value}", operation.process(), operation.f());
            writeln!(dot, "  {} [label={label:?}]", node.index()).expect("a string takes everything");
        }
        for edge in self.graph.edge_references() {
            let drawn = |other: petgraph::graph::EdgeReference<'_, Relation>| *other.weight() == Relation::RealTime;
            let twice = self.graph.edges_connecting(edge.source(), edge.target()).any(drawn);
            if *edge.weight() == Relation::Process && twice {
                continue;
            }
            let (from, to) = (edge.source().index(), edge.target().index());
            writeln!(dot, "  {from} -> {to} [label=\"{}\"]", edge.weight()).expect("a string takes everything");
        }
        dot.push_str("}\n");
        dot
    }
}
