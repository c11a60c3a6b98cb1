//! Says in words why a few operations have no legal order.
//!
//! The operations form a [history graph](crate::graph): what returned before what was called, and who observed whose
//! product. The model adds what follows from that ([`Model::forced`]), until it adds nothing more or two operations
//! have to come before each other. The shortest such ring is the explanation.

use std::collections::VecDeque;

use petgraph::visit::EdgeRef;

use super::problem::{Call, Problem};
use super::told::Told;
use crate::graph::{Access, HistoryGraph, Relation};
use crate::history::Operation;
use crate::model::{Model, Story};

/// A sentence for a person, and an operation beside those of the witness that it speaks of.
pub(super) struct Explanation<'t> {
    pub(super) reason: String,
    pub(super) mentioned: Option<Operation<'t>>,
}

/// The positions of the events of which an explanation of these calls may speak.
pub(super) fn positions<M: Model>(model: &M, problem: &Problem<M>, calls: &[Call<M::Op>]) -> Vec<u32> {
    let beside = calls.iter().filter_map(|call| later_source(model, problem, call));
    let told = calls.iter().chain(beside).map(|call| (call.start, call.ret));
    told.chain(problem.failed_writes.iter().copied()).flat_map(|(start, ret)| [start, ret]).collect()
}

/// The first other call that produces what this one observes.
fn later_source<'p, M: Model>(model: &M, problem: &'p Problem<M>, call: &Call<M::Op>) -> Option<&'p Call<M::Op>> {
    let observed = model.observes(&call.op)?;
    problem.calls.iter().find(|other| other.start != call.start && model.produces(&other.op) == Some(observed))
}

/// Explains why these calls have no legal order. Their events were picked.
pub(super) fn explain<'t, M: Model>(
    model: &M,
    problem: &Problem<M>,
    calls: &[Call<M::Op>],
    told: &'t Told,
) -> Explanation<'t> {
    let operations: Option<Vec<Operation<'t>>> = calls.iter().map(|call| told.operation(call)).collect();
    let Some(operations) = operations else {
        let reason = "its operations have no legal order, but the history ended too early when it was read again";
        return Explanation { reason: reason.to_owned(), mentioned: None };
    };
    let happened = happened(model, calls);
    let teller = Teller { model, problem, calls, happened, operations, told };
    teller.nobody_produced().unwrap_or_else(|| {
        let reason = teller.ring().map_or_else(|| teller.no_order(), |ring| teller.tell(&ring));
        Explanation { reason, mentioned: None }
    })
}

/// The calls that surely happened: they returned, or one of these observed what only they can have produced.
fn happened<M: Model>(model: &M, calls: &[Call<M::Op>]) -> Vec<bool> {
    let mut happened: Vec<bool> = calls.iter().map(|call| call.must).collect();
    loop {
        let sources = calls.iter().zip(&happened).filter(|(_, happened)| **happened).filter_map(|(call, _)| {
            let observed = model.observes(&call.op)?;
            let mut made = (0..calls.len()).filter(|&at| model.produces(&calls[at].op) == Some(observed));
            made.next().filter(|_| made.next().is_none())
        });
        let more: Vec<usize> = sources.filter(|&source| !happened[source]).collect();
        if more.is_empty() {
            return happened;
        }
        more.into_iter().for_each(|source| happened[source] = true);
    }
}

struct Teller<'a, 't, M: Model> {
    model: &'a M,
    problem: &'a Problem<M>,
    calls: &'a [Call<M::Op>],
    /// Which of the calls surely happened; nothing follows from the others.
    happened: Vec<bool>,
    /// The calls as the history tells of them.
    operations: Vec<Operation<'t>>,
    told: &'t Told,
}

/// One operation comes before another.
#[derive(Clone, Debug)]
struct Step {
    from: usize,
    to: usize,
    why: Why,
}

#[derive(Clone, Debug)]
enum Why {
    RealTime,
    ReadsFrom,
    Forced(String),
}

impl<'t, M: Model> Teller<'_, 't, M> {
    /// An observation that nobody's product explains.
    fn nobody_produced(&self) -> Option<Explanation<'t>> {
        let data = &self.problem.data;
        let orphan = self.calls.iter().enumerate().find(|(at, call)| {
            let Some(datum) = self.model.observes(&call.op) else { return false };
            let made = |other: &Call<M::Op>| self.model.produces(&other.op) == Some(datum) && other.start < call.end;
            let others = self.calls.iter().enumerate().filter(|(other, _)| other != at);
            let initial = self.model.initially(&self.problem.init) == Some(datum);
            call.must && !initial && !others.map(|(_, other)| other).any(made)
        });
        let (at, call) = orphan?;
        let text = data.text(self.model.observes(&call.op)?);
        let later = later_source(self.model, self.problem, call)
            .and_then(|later| Some((self.told.operation(later)?, self.did(later))));
        let (rest, mentioned) = match (later, self.failed_write(&text)) {
            (Some((later, did)), _) => (format!("{} only after that", who_did(&later, &did)), Some(later)),
            (None, Some(failed)) => {
                (format!("the {} of {text} by process {} had failed", failed.f(), failed.process()), Some(failed))
            }
            (None, None) => (format!("nothing that was called before it returned can have brought {text} about"), None),
        };
        let reason = format!("{}, but {rest}", self.who_did(at));
        Some(Explanation { reason, mentioned })
    }

    /// A write of this that certainly did not happen.
    fn failed_write(&self, text: &str) -> Option<Operation<'t>> {
        let failed = self.problem.failed_writes.iter().filter_map(|&(start, ret)| self.told.at(start, ret));
        let mut written = failed.map(|operation| (operation.invoke.value.to_string(), operation));
        written.find(|(written, _)| written == text).map(|(_, operation)| operation)
    }

    /// The shortest ring of operations that have to come before each other.
    fn ring(&self) -> Option<Vec<Step>> {
        let ops: Vec<M::Op> = self.calls.iter().map(|call| call.op.clone()).collect();
        let mut steps = self.known_steps();
        loop {
            if let Some(ring) = shortest_ring(self.calls.len(), &steps) {
                return Some(ring);
            }
            let before = reachable(self.calls.len(), &steps);
            let story = Story { ops: &ops, happened: &self.happened, before: &before };
            let forced = self.model.forced(&story, &self.problem.data);
            let new = forced.into_iter().filter(|forced| !before[forced.from][forced.to]);
            let count = steps.len();
            steps.extend(new.map(|forced| Step { from: forced.from, to: forced.to, why: Why::Forced(forced.why) }));
            if steps.len() == count {
                return None;
            }
        }
    }

    /// Real-time order and reads-from, out of the history graph of the operations.
    fn known_steps(&self) -> Vec<Step> {
        let mut graph = HistoryGraph::new(&self.operations);
        let mut calls = self.calls.iter().zip(&self.happened);
        graph.add_reads_from(|_| {
            let Some((Call { op, .. }, happened)) = calls.next() else { return Access::default() };
            let observes = self.model.observes(op).filter(|_| *happened);
            Access { produces: self.model.produces(op), observes }
        });
        let edges = graph.graph().edge_references().filter_map(|edge| {
            let (from, to) = (edge.source().index(), edge.target().index());
            match edge.weight() {
                Relation::RealTime => Some(Step { from, to, why: Why::RealTime }),
                Relation::ReadsFrom => Some(Step { from, to, why: Why::ReadsFrom }),
                Relation::Process => None,
            }
        });
        let initial = self.model.initially(&self.problem.init);
        let from_initial = |to: usize| initial.is_some() && self.model.observes(&self.calls[to].op) == initial;
        edges.filter(|step| !(matches!(step.why, Why::ReadsFrom) && from_initial(step.to))).collect()
    }

    fn tell(&self, ring: &[Step]) -> String {
        // The story is about what should not have been possible: the call that was made last.
        let last = (0..ring.len()).max_by_key(|&at| self.calls[ring[at].to].start).unwrap_or(0);
        let steps: Vec<&Step> = (1..=ring.len()).map(|at| &ring[(last + at) % ring.len()]).collect();
        let surprise = ring[last].to;
        let (why, before) = match steps[..] {
            [Step { why: Why::Forced(why), .. }, Step { from, why: Why::RealTime, .. }] => (why, *from),
            [
                Step { why: Why::Forced(why), .. },
                Step { why: Why::ReadsFrom, .. },
                Step { from, why: Why::RealTime, .. },
            ] => (why, *from),
            // The ring is walked from the surprise: it comes before `to`, and `to` before it.
            [Step { to, why: Why::Forced(one), .. }, Step { why: Why::Forced(other), .. }]
                if one == other || self.found_the_same(surprise, *to) =>
            {
                let why = if one == other { one.clone() } else { self.found_once(surprise) };
                return format!("{}, and {}; {why}", self.who_did(surprise), self.who_did(*to));
            }
            _ => {
                let chain: Vec<String> = steps.iter().map(|step| self.tell_step(step)).collect();
                let observes = |at: &usize| self.calls[*at].must && self.model.observes(&self.calls[*at].op).is_some();
                let last = (0..self.calls.len()).filter(observes).max_by_key(|&at| self.calls[at].end);
                let last = last.unwrap_or(surprise);
                return format!("{}, and no order fits: {}", self.who_did(last), chain.join("; "));
            }
        };
        format!("{}, although {} before that began; {why}", self.who_did(surprise), self.who_did(before))
    }

    fn tell_step(&self, step: &Step) -> String {
        let (from, to) = (self.short(step.from), self.short(step.to));
        match &step.why {
            Why::RealTime => format!("{from} returned before {to} was called"),
            Why::ReadsFrom => format!("{to} saw what {from} left"),
            Why::Forced(why) => format!("{from} is before {to}, for {why}"),
        }
    }

    /// What is left to say if no two operations alone have to come before each other.
    fn no_order(&self) -> String {
        if let Some(reason) = self.one_after_another() {
            return reason;
        }
        let start = self.model.show(&self.problem.init, &self.problem.data);
        let did: Vec<String> = (0..self.calls.len()).map(|at| self.who_did(at)).collect();
        format!("at first {start}, and then no order of these is legal: {}", did.join("; "))
    }

    /// If there is but one order: where it goes wrong, and what was there.
    fn one_after_another(&self) -> Option<String> {
        let in_turn = |pair: &[Call<M::Op>]| pair[0].must && pair[0].end < pair[1].start;
        if !self.calls.windows(2).all(in_turn) {
            return None;
        }
        let mut state = self.problem.init.clone();
        for (at, call) in self.calls.iter().enumerate() {
            let Some(next) = self.model.step(&state, &call.op) else {
                let found = self.model.show(&state, &self.problem.data);
                let since = at.checked_sub(1).map_or("at first".to_owned(), |at| format!("after {}", self.who_did(at)));
                return Some(format!("{}, although {found} {since}", self.who_did(at)));
            };
            state = next;
        }
        None
    }

    /// Whether both put something else in the place of the same.
    fn found_the_same(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.calls[one].op, &self.calls[other].op);
        let observed = self.model.observes(one);
        let both_produce = self.model.produces(one).and(self.model.produces(other)).is_some();
        observed.is_some() && observed == self.model.observes(other) && both_produce
    }

    fn found_once(&self, at: usize) -> String {
        let found = self.model.observes(&self.calls[at].op);
        let found = found.map_or_else(String::new, |found| self.problem.data.text(found).to_string());
        format!("{found} was there once, and only one of them can have found it")
    }

    fn who_did(&self, at: usize) -> String {
        who_did(&self.operations[at], &self.did(&self.calls[at]))
    }

    fn short(&self, at: usize) -> String {
        format!("[{}: {}]", self.operations[at].process(), self.did(&self.calls[at]))
    }

    /// What was done in truth, whatever part of it was forgotten on the way to the witness.
    fn did(&self, call: &Call<M::Op>) -> String {
        let whole = self.problem.calls.binary_search_by_key(&call.start, |call| call.start);
        let op = whole.map_or(&call.op, |at| &self.problem.calls[at].op);
        self.model.show_op(op, &self.problem.data)
    }
}

pub(super) fn who_did(operation: &Operation<'_>, did: &str) -> String {
    let node = operation.node().map_or_else(String::new, |node| format!(" at {node}"));
    format!("process {} {did}{node} ({})", operation.process(), operation.events())
}

/// From each operation, breadth first in the order of the steps, so that the answer is always the same one.
fn shortest_ring(count: usize, steps: &[Step]) -> Option<Vec<Step>> {
    let mut shortest: Option<Vec<Step>> = None;
    for start in 0..count {
        let mut came: Vec<Option<usize>> = vec![None; count];
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for (at, step) in steps.iter().enumerate().filter(|(_, step)| step.from == node) {
                if came[step.to].is_none() {
                    came[step.to] = Some(at);
                    queue.push_back(step.to);
                }
            }
        }
        let Some(mut at) = came[start] else { continue };
        let mut ring = vec![steps[at].clone()];
        while steps[at].from != start {
            let Some(before) = came[steps[at].from] else { break };
            at = before;
            ring.push(steps[at].clone());
        }
        ring.reverse();
        if shortest.as_ref().is_none_or(|shortest| ring.len() < shortest.len()) {
            shortest = Some(ring);
        }
    }
    shortest
}

fn reachable(count: usize, steps: &[Step]) -> Vec<Vec<bool>> {
    let mut reach = vec![vec![false; count]; count];
    for step in steps {
        reach[step.from][step.to] = true;
    }
    for middle in 0..count {
        for from in 0..count {
            if reach[from][middle] {
                let onward = reach[middle].clone();
                reach[from].iter_mut().zip(onward).for_each(|(reached, onward)| *reached |= onward);
            }
        }
    }
    reach
}
