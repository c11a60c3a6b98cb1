//! The history graph: real-time order is reduced and complete, reads-from is only where it is certain.

use grudge_checkers::graph::{Access, HistoryGraph, Relation};
use grudge_checkers::history::{History, Outcome, csv};
use grudge_checkers::model::{Data, Datum};
use petgraph::algo::has_path_connecting;
use petgraph::graph::NodeIndex;
use petgraph::visit::{EdgeFiltered, EdgeRef};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

mod common;

use common::random::{self, Answer, Knobs, Object};

/// An object of which only the calls and returns matter.
struct Silent;

impl Object for Silent {
    fn call(&mut self, _: &mut ChaCha8Rng, _: &Knobs) -> (&'static str, Value) {
        ("read", Value::Null)
    }

    fn apply(&mut self, _: &mut ChaCha8Rng, _: &str, _: &Value) -> Option<Answer> {
        Some(Value::Null.into())
    }

    fn lie(&mut self, _: &mut ChaCha8Rng, _: &Knobs, _: &str, _: &Value) -> Answer {
        Value::Null.into()
    }
}

fn edges(graph: &HistoryGraph<'_>, relation: Relation) -> Vec<(usize, usize)> {
    let of = graph.graph().edge_references().filter(|edge| *edge.weight() == relation);
    of.map(|edge| (edge.source().index(), edge.target().index())).collect()
}

fn whole(file: &str) -> History {
    let (history, damage) = csv::read(file.as_bytes());
    assert!(damage.is_none(), "{damage:?}");
    history
}

/// Paths of real-time edges connect exactly what returned with what was called later, and no edge can be spared.
#[test]
fn real_time_order_is_complete_and_reduced() {
    for seed in 0..500 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let knobs = Knobs { keys: 1, ..Knobs::small(&mut rng) };
        let history = random::history(&mut rng, &knobs, |_| Silent);
        let operations = history.operations().expect("it pairs");
        let graph = HistoryGraph::new(&operations);
        let order = edges(&graph, Relation::RealTime);
        for one in graph.graph().node_indices() {
            for other in graph.graph().node_indices() {
                let (before, after) = (graph.graph()[one], graph.graph()[other]);
                let returned = before.ret.filter(|_| before.outcome() == Outcome::Ok);
                let expected = one == other || returned.is_some_and(|ret| ret < after.call);
                let real_time = EdgeFiltered::from_fn(graph.graph(), |edge| *edge.weight() == Relation::RealTime);
                let found = has_path_connecting(&real_time, one, other, None);
                assert_eq!(found, expected, "seed {seed}: from {} to {}", one.index(), other.index());
            }
        }
        for spared in &order {
            let without = EdgeFiltered::from_fn(graph.graph(), |edge| {
                *edge.weight() == Relation::RealTime && (edge.source().index(), edge.target().index()) != *spared
            });
            let (one, other) = (NodeIndex::new(spared.0), NodeIndex::new(spared.1));
            assert!(!has_path_connecting(&without, one, other, None), "seed {seed}: {spared:?} can be spared");
        }
    }
}

/// As many edges as operations times concurrency, not as the square of the operations.
#[test]
fn real_time_order_stays_small() {
    let shape = common::simulated::Shape { operations: 4_000, keys: 1, workers: 10, reads: 50, lost: 10 };
    let history = common::simulated::registers(&mut ChaCha8Rng::seed_from_u64(1), shape);
    let operations = history.operations().expect("it pairs");
    let graph = HistoryGraph::new(&operations);
    let count = edges(&graph, Relation::RealTime).len();
    assert!(count <= operations.len() * shape.workers, "{count} edges for {} operations", operations.len());
}

const FILE: &str = "process,type,f,value\n\
    0,invoke,write,1\n0,ok,write,1\n\
    1,invoke,write,2\n\
    2,invoke,read,\n2,ok,read,2\n\
    0,invoke,write,3\n0,fail,write,3\n\
    1,info,write,2\n\
    0,invoke,read,\n0,ok,read,1\n";

fn of_registers(graph: &mut HistoryGraph<'_>) {
    let mut data = Data::default();
    graph.add_reads_from(|operation| {
        let datum: Option<Datum> = operation.completion.map(|completion| data.intern(&completion.value));
        match operation.f() {
            "read" => Access { produces: None, observes: datum },
            _ => Access { produces: datum, observes: None },
        }
    });
}

#[test]
fn reads_come_from_the_only_write_and_failed_ones_are_not_there() {
    let history = whole(FILE);
    let operations = history.operations().expect("it pairs");
    let mut graph = HistoryGraph::new(&operations);
    of_registers(&mut graph);
    assert_eq!(graph.graph().node_count(), 4);
    assert_eq!(edges(&graph, Relation::ReadsFrom), [(1, 2), (0, 3)]);
    assert_eq!(edges(&graph, Relation::Process), [(0, 3)]);
}

#[test]
fn a_value_written_twice_comes_from_nobody_for_certain() {
    let history = whole(
        "process,type,f,value\n0,invoke,write,1\n0,ok,write,1\n0,invoke,write,1\n0,ok,write,1\n0,invoke,read,\n0,ok,read,1\n",
    );
    let operations = history.operations().expect("it pairs");
    let mut graph = HistoryGraph::new(&operations);
    of_registers(&mut graph);
    assert_eq!(edges(&graph, Relation::ReadsFrom), []);
}

#[test]
fn dot() {
    let history = whole(FILE);
    let operations = history.operations().expect("it pairs");
    let mut graph = HistoryGraph::new(&operations);
    of_registers(&mut graph);
    insta::assert_snapshot!(graph.dot(), @r#"
    digraph history {
      0 [label="0: write 1"]
      1 [label="1: write 2"]
      2 [label="2: read 2"]
      3 [label="0: read 1"]
      0 -> 3 [label="process"]
      0 -> 1 [label="real time"]
      0 -> 2 [label="real time"]
      2 -> 3 [label="real time"]
      1 -> 2 [label="reads from"]
      0 -> 3 [label="reads from"]
    }
    "#);
}
