//! One key's operations, as the deciders see them.

use rustc_hash::{FxHashMap, FxHashSet};

use super::budget::{Budget, Spent};
use super::containers;
use crate::history::{Operation, Outcome, Process};
use crate::model::{Data, Datum, Family, Meaning, Model};

/// The end of what never ends.
pub(super) const NEVER: u32 = u32::MAX;

/// An operation that has to be put in order.
#[derive(Clone, Debug)]
pub(super) struct Call<Op> {
    pub(super) op: Op,
    /// Position of its call in the history: no two calls have the same.
    pub(super) start: u32,
    /// Position of its return; of one that may never have happened, the return after which it no longer matters.
    pub(super) end: u32,
    /// Position of its completion in the history, whatever that said; [`NEVER`] if it has none.
    pub(super) ret: u32,
    /// Whose it is, as a number that only this problem knows; 0 throughout if the model does not ask for pairs.
    pub(super) who: u32,
    /// Whether it happened.
    pub(super) must: bool,
}

/// The calls of one key, in the order in which they were made, and where they begin.
pub(super) struct Problem<M: Model> {
    pub(super) calls: Vec<Call<M::Op>>,
    /// Calls that may have happened, and cannot matter.
    expired: Vec<Call<M::Op>>,
    pub(super) init: M::State,
    pub(super) data: Data,
    /// Writes that certainly did not happen, by the positions of their events: who observes their value has it from one
    /// of them, and an explanation can say so.
    pub(super) failed_writes: Vec<(u32, u32)>,
    /// Of registers: which version the system gave to which call that happened, by its start. In the order of the starts
    /// once the problem is closed.
    pub(super) versions: Vec<(u32, i64)>,
    processes: FxHashMap<Process, u32>,
    /// Why the operations cannot be read by the model: of the first that cannot.
    unreadable: Option<String>,
}

/// Why the calls cannot be judged.
#[derive(Debug)]
pub(super) enum Unjudged {
    /// The model cannot read an operation; the text names its events.
    Unreadable(String),
    Spent(Spent),
}

impl From<Spent> for Unjudged {
    fn from(spent: Spent) -> Self {
        Unjudged::Spent(spent)
    }
}

impl<M: Model> Problem<M> {
    pub(super) fn new(model: &M) -> Self {
        let mut data = Data::default();
        let init = model.init(&mut data);
        let (calls, failed_writes, versions, processes) = Default::default();
        Problem { calls, expired: Vec::new(), init, data, failed_writes, versions, processes, unreadable: None }
    }

    /// Puts back what could not matter for the whole: for a part, it may.
    pub(super) fn restore_expired(&mut self) {
        self.calls.append(&mut self.expired);
        self.calls.sort_by_key(|call| call.start);
    }

    /// Takes one more operation.
    pub(super) fn push(&mut self, model: &M, operation: &Operation<'_>) {
        if self.unreadable.is_some() {
            return;
        }
        let (start, ret) = (position(operation.call), operation.ret.map_or(NEVER, position));
        let meaning = model.read(operation, &mut self.data);
        let (op, must) = match meaning {
            Ok(Meaning::Must(op)) => (op, true),
            Ok(Meaning::May(op)) => (op, false),
            Ok(Meaning::Never) => {
                if operation.outcome() == Outcome::Fail
                    && matches!(operation.f(), "write" | "enqueue" | "push" | "insert")
                {
                    self.failed_writes.push((start, ret));
                }
                return;
            }
            Err(problem) => {
                self.unreadable = Some(format!("{}: the model {} {problem}", operation.events(), model.name()));
                return;
            }
        };
        let next = self.processes.len() as u32;
        let who = if model.is_paired() { *self.processes.entry(operation.process()).or_insert(next) } else { 0 };
        let end = if must { ret } else { NEVER };
        let version = operation.completion.and_then(|completion| completion.version);
        if let Some(version) = version.filter(|_| must && model.family() == Family::Register) {
            self.versions.push((start, version));
        }
        self.calls.push(Call { op, start, end, ret, who, must });
    }

    /// All operations were taken: those that cannot matter go.
    ///
    /// # Errors
    /// An operation that the model cannot read, or that there is no time for it.
    pub(super) fn close(&mut self, model: &M, budget: &mut Budget<'_>) -> Result<(), Unjudged> {
        if let Some(reason) = self.unreadable.take() {
            return Err(Unjudged::Unreadable(reason));
        }
        budget.look()?;
        if !self.calls.is_sorted_by_key(|call| call.start) {
            self.calls.sort_unstable_by_key(|call| call.start);
        }
        self.versions.sort_unstable();
        self.expired = expire(model, &mut self.calls, budget)?;
        Ok(())
    }

    /// Some of the calls by themselves. Where one observes what a call outside has produced, the observation is forgotten.
    pub(super) fn part(&self, model: &M, numbers: &[usize]) -> Vec<Call<M::Op>> {
        let part = || numbers.iter().map(|&call| &self.calls[call].op);
        let inside: FxHashSet<_> = part().filter_map(|op| model.produces(op)).collect();
        let missing = part().filter_map(|op| model.observes(op)).filter(|datum| !inside.contains(datum));
        let missing: FxHashSet<_> = missing.collect();
        let produced = self.calls.iter().filter_map(|call| model.produces(&call.op));
        let outside: FxHashSet<_> = produced.filter(|datum| missing.contains(datum)).collect();
        let forget = |call: &Call<M::Op>| {
            model.observes(&call.op).filter(|datum| outside.contains(datum)).and_then(|_| model.weaken(&call.op))
        };
        let calls = numbers.iter().map(|&call| &self.calls[call]);
        calls.map(|call| Call { op: forget(call).unwrap_or_else(|| call.op.clone()), ..call.clone() }).collect()
    }
}

/// The last return of those that happened.
pub(super) fn last_return<Op>(calls: &[Call<Op>]) -> Option<u32> {
    calls.iter().filter(|call| call.must).map(|call| call.end).max()
}

fn position(position: usize) -> u32 {
    u32::try_from(position).expect("a history that fits into memory has fewer than 2^32 events")
}

/// Sets the end of each call that may never have happened, and takes out those that cannot matter. Only of registers it
/// can be said when a product no longer matters.
///
/// Let X be such a call, taken in a legal order after all that surely happened and observes its product has
/// returned. Take the last such X. Nothing after it observes its product: what surely happened did so before, and
/// what may have happened and observes it would itself be taken after its own end, later than the last. So X is
/// followed by an operation that replaces the state whatever it was, or by nothing, and the order without X is legal
/// as well. By induction none need be taken after its end. An operation that observes its own product (a cas from v
/// to v) leaves the state alone and does not count as an observer of itself.
pub(super) fn expire<M: Model>(
    model: &M,
    calls: &mut Vec<Call<M::Op>>,
    budget: &mut Budget<'_>,
) -> Result<Vec<Call<M::Op>>, Spent> {
    if calls.iter().all(|call| call.must) {
        return Ok(Vec::new());
    }
    if model.family().is_container() {
        containers::expire(model, calls, budget)?;
    }
    if model.family() != Family::Register {
        return Ok(Vec::new());
    }
    let mut expiring = Expiring::default();
    for (at, call) in calls.iter_mut().enumerate().filter(|(_, call)| !call.must) {
        call.end = 0;
        expiring.add(at as u32, model.produces(&call.op));
        budget.work(1)?;
    }
    for call in calls.iter().filter(|call| call.must) {
        expiring.observe(model.observes(&call.op), call.end);
        budget.work(1)?;
    }
    expiring.set_ends(model, calls, budget)?;
    Ok(calls.extract_if(.., |call| !call.must && call.end <= call.start).collect())
}

/// The products of what may have happened.
#[derive(Default)]
struct Expiring {
    slots: FxHashMap<Datum, u32>,
    /// By slot: the return after which nobody observes it.
    last: Vec<u32>,
    /// Who produced it, by slot.
    producers: Vec<(u32, u32)>,
}

impl Expiring {
    fn add(&mut self, call: u32, produced: Option<Datum>) {
        let Some(produced) = produced else { return };
        let next = self.last.len() as u32;
        let slot = *self.slots.entry(produced).or_insert(next);
        if slot == next {
            self.last.push(0);
        }
        self.producers.push((slot, call));
    }

    fn observe(&mut self, observed: Option<Datum>, end: u32) {
        if let Some(&slot) = observed.and_then(|datum| self.slots.get(&datum)) {
            let last = &mut self.last[slot as usize];
            *last = end.max(*last);
        }
    }

    /// What may have happened observes too, until its own end. From the latest end on down, so that the first that
    /// reaches a product is the last.
    fn set_ends<M: Model>(
        mut self,
        model: &M,
        calls: &mut [Call<M::Op>],
        budget: &mut Budget<'_>,
    ) -> Result<(), Spent> {
        self.producers.sort_unstable();
        let mut by_end: Vec<(u32, u32)> = (0..).zip(&self.last).map(|(slot, &last)| (last, slot)).collect();
        by_end.sort_unstable_by(|one, other| other.cmp(one));
        let mut done = vec![false; self.last.len()];
        for (last, slot) in by_end {
            let mut reached = vec![slot];
            while let Some(slot) = reached.pop() {
                if std::mem::replace(&mut done[slot as usize], true) {
                    continue;
                }
                let from = self.producers.partition_point(|producer| producer.0 < slot);
                for &(_, at) in self.producers[from..].iter().take_while(|producer| producer.0 == slot) {
                    budget.work(1)?;
                    let call = &mut calls[at as usize];
                    call.end = last;
                    // What was called only after its end is never taken, and observes nothing.
                    if call.start < last {
                        reached.extend(model.observes(&call.op).and_then(|datum| self.slots.get(&datum)));
                    }
                }
            }
        }
        Ok(())
    }
}
