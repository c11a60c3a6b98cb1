//! Makes a part of a history that has no legal order as small as it gets.
//!
//! Operations are left out while what remains still has no legal order. What remains must prove something about the
//! whole, so it is *closed*: with an operation that observes a product stay all operations that could have produced it,
//! and operations that come in pairs stay together. If the whole had a legal order, the same order of a closed part
//! would be legal too: leaving out an observer changes nothing but what its own product's observers see, and those
//! went first; a product that nobody observes is not missed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::problem::{Call, NEVER, Problem, expire};
use super::search::{Budget, Found, search};
use crate::model::Model;

/// How long shrinking may go on after the deadline of the check, which has its answer already.
const GRACE: Duration = Duration::from_secs(5);
/// Configurations for one attempt: one that needs more counts as not removable.
const PER_ATTEMPT: usize = 200_000;

/// The calls of a small part without a legal order, given the return that no order of the whole reaches.
pub(super) fn shrink<M: Model>(model: &M, problem: &Problem<M>, stuck: u32, deadline: Instant) -> Vec<Call<M::Op>> {
    let calls = until(model, &problem.calls, stuck);
    let deadline = deadline.max(Instant::now() + GRACE);
    let needed_by = needed_by(model, &calls);
    let mut shrinking = Shrinking { model, init: &problem.init, calls, needed_by, deadline };
    let mut kept: Vec<usize> = (0..shrinking.calls.len()).collect();
    let mut size = kept.len().div_ceil(2);
    loop {
        let before = kept.len();
        kept = shrinking.drop_chunks(kept, size);
        if size > 1 {
            size = size.div_ceil(2);
        } else if kept.len() == before || Instant::now() > deadline {
            break;
        }
    }
    shrinking.part(&kept)
}

/// The calls as they stood when the return came: what had not returned may never have happened, and what it returned
/// later tells nothing.
fn until<M: Model>(model: &M, calls: &[Call<M::Op>], stuck: u32) -> Vec<Call<M::Op>> {
    let begun = calls.iter().filter(|call| call.start < stuck);
    let open = |call: &Call<M::Op>| call.end > stuck;
    begun
        .filter(|call| !(open(call) && model.is_pure(&call.op)))
        .map(|call| if open(call) { Call { must: false, end: NEVER, ..call.clone() } } else { call.clone() })
        .collect()
}

/// For each call, those that must go if it goes.
fn needed_by<M: Model>(model: &M, calls: &[Call<M::Op>]) -> Vec<Vec<usize>> {
    let mut observers: FxHashMap<_, Vec<usize>> = FxHashMap::default();
    for (number, call) in calls.iter().enumerate() {
        if let Some(datum) = model.observes(&call.op) {
            observers.entry(datum).or_default().push(number);
        }
    }
    let observers_of = |call: &Call<M::Op>| {
        let datum = model.produces(&call.op)?;
        observers.get(&datum).cloned()
    };
    calls.iter().map(|call| observers_of(call).unwrap_or_default()).collect()
}

struct Shrinking<'a, M: Model> {
    model: &'a M,
    init: &'a M::State,
    calls: Vec<Call<M::Op>>,
    needed_by: Vec<Vec<usize>>,
    deadline: Instant,
}

impl<M: Model> Shrinking<'_, M> {
    /// Tries to leave out each run of this many calls.
    fn drop_chunks(&mut self, mut kept: Vec<usize>, size: usize) -> Vec<usize> {
        let mut from = 0;
        while from < kept.len() && Instant::now() <= self.deadline {
            let chunk = &kept[from..(from + size).min(kept.len())];
            let gone = self.closure(chunk);
            let rest: Vec<usize> = kept.iter().copied().filter(|call| !gone.contains(call)).collect();
            if !rest.is_empty() && self.has_no_order(&rest) {
                // What went before the chunk moves the place where the next begins.
                from -= kept[..from].iter().filter(|call| gone.contains(call)).count();
                kept = rest;
            } else {
                from += size;
            }
        }
        kept
    }

    fn closure(&self, chunk: &[usize]) -> BTreeSet<usize> {
        let mut gone: BTreeSet<usize> = BTreeSet::new();
        let mut next = chunk.to_vec();
        while let Some(call) = next.pop() {
            if gone.insert(call) {
                next.extend(&self.needed_by[call]);
            }
        }
        gone
    }

    fn part(&self, kept: &[usize]) -> Vec<Call<M::Op>> {
        kept.iter().map(|&call| self.calls[call].clone()).collect()
    }

    fn has_no_order(&self, kept: &[usize]) -> bool {
        let mut calls = self.part(kept);
        expire(self.model, &mut calls);
        let mut budget = Budget::new(self.deadline, PER_ATTEMPT);
        matches!(search(self.model, self.init, &calls, &mut budget), Found::Stuck { .. })
    }
}
