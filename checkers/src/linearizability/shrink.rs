//! Makes a part of a history that has no legal order as small as it gets.
//!
//! Operations are left out while what remains still has no legal order. What remains must prove something about the
//! whole, so it is *closed*: with an operation that observes a product stay all operations from which it could have it,
//! and calls that come in pairs stay together. If the whole had a legal order, the same order of a closed part would
//! be legal too: an operation that only observes is not missed, and what else is left out produced nothing that is
//! observed in the part.
//!
//! An operation that observes and produces need not keep the whole chain of those before it: its observation can be
//! forgotten ([`Model::weaken`]), which also leaves every legal order legal.

use std::collections::BTreeSet;
use std::time::Instant;

use super::budget::{Allowance, Spent};
use super::problem::{Call, NEVER, Problem, expire};
use super::search::{Found, search};
use super::sources::needed_by;
use crate::model::{Model, Needs};

/// Memory for one attempt: one that needs more counts as not removable.
pub(super) const PER_ATTEMPT: usize = 16 << 20;

/// The calls as they stood when the return came: what had not returned may never have happened, and what it returned
/// later tells nothing.
pub(super) fn until<M: Model>(model: &M, calls: &[Call<M::Op>], stuck: u32) -> Vec<Call<M::Op>> {
    let begun = calls.iter().filter(|call| call.start < stuck);
    let open = |call: &Call<M::Op>| call.end > stuck;
    begun
        .filter(|call| !(open(call) && model.is_pure(&call.op)))
        .map(|call| if open(call) { Call { must: false, end: NEVER, ..call.clone() } } else { call.clone() })
        .collect()
}

/// When a call that may have happened no longer matters is a question of the part that it is in.
fn endless<Op>(mut calls: Vec<Call<Op>>) -> Vec<Call<Op>> {
    calls.iter_mut().filter(|call| !call.must).for_each(|call| call.end = NEVER);
    calls
}

/// A small part, without a legal order, of calls that have none.
pub(super) fn shrink<M: Model>(
    model: &M,
    problem: &Problem<M>,
    calls: Vec<Call<M::Op>>,
    deadline: Instant,
) -> Vec<Call<M::Op>> {
    let calls = endless(calls);
    let needed_by = needed_by(model, &calls);
    let mut shrinking = Shrinking { model, init: &problem.init, calls, needed_by, deadline };
    let mut kept: Vec<usize> = (0..shrinking.calls.len()).collect();
    let mut size = kept.len();
    loop {
        let weakened = shrinking.weaken_chunks(&kept, size);
        let before = kept.len();
        kept = shrinking.drop_chunks(kept, size);
        if Instant::now() > deadline {
            break;
        } else if size > 1 {
            size = size.div_ceil(2);
        } else if !weakened && kept.len() == before {
            break;
        }
    }
    shrinking.part(&kept)
}

struct Shrinking<'a, M: Model> {
    model: &'a M,
    init: &'a M::State,
    calls: Vec<Call<M::Op>>,
    needed_by: Vec<Vec<usize>>,
    deadline: Instant,
}

impl<M: Model> Shrinking<'_, M> {
    /// Tries to forget the observations of each run of this many calls, and says whether any was forgotten.
    fn weaken_chunks(&mut self, kept: &[usize], size: usize) -> bool {
        let mut any = false;
        for chunk in kept.chunks(size) {
            let weaker: Vec<(usize, M::Op)> =
                chunk.iter().filter_map(|&call| Some((call, self.model.weaken(&self.calls[call].op)?))).collect();
            if weaker.is_empty() || Instant::now() > self.deadline {
                continue;
            }
            let stronger: Vec<(usize, M::Op)> =
                weaker.iter().map(|(call, _)| (*call, self.calls[*call].op.clone())).collect();
            self.replace(weaker);
            if self.has_no_order(kept) {
                any = true;
            } else {
                self.replace(stronger);
            }
        }
        any
    }

    fn replace(&mut self, ops: Vec<(usize, M::Op)>) {
        for (call, op) in ops {
            self.calls[call].op = op;
        }
    }

    /// Tries to leave out each run of this many calls.
    fn drop_chunks(&mut self, mut kept: Vec<usize>, size: usize) -> Vec<usize> {
        let mut from = 0;
        while from < kept.len() && Instant::now() <= self.deadline {
            let gone = self.closure(&kept[from..(from + size).min(kept.len())]);
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

    /// What goes if these go: those that observe their products, and so on.
    fn closure(&self, chunk: &[usize]) -> BTreeSet<usize> {
        let mut gone = BTreeSet::new();
        let mut next = chunk.to_vec();
        while let Some(call) = next.pop() {
            if gone.insert(call) {
                let still = |other: &usize| {
                    let op = &self.calls[*other].op;
                    self.model.is_paired() || self.model.observes(op).or(self.model.excludes(op)).is_some()
                };
                next.extend(self.needed_by[call].iter().copied().filter(still));
                next.extend(self.in_need_of(call));
            }
        }
        gone
    }

    /// Those that may need this call for more than its product.
    fn in_need_of(&self, call: usize) -> Vec<usize> {
        let Call { op: on, start, .. } = &self.calls[call];
        let after = self.calls.iter().enumerate().filter(|(_, other)| other.end > *start);
        match self.model.needs() {
            Needs::AllBefore if !self.model.is_pure(on) => after.map(|(at, _)| at).collect(),
            Needs::NoOthers | Needs::AllBefore => Vec::new(),
            Needs::These(needs) => after.filter(|(_, other)| needs(&other.op, on)).map(|(at, _)| at).collect(),
        }
    }

    fn part(&self, kept: &[usize]) -> Vec<Call<M::Op>> {
        kept.iter().map(|&call| self.calls[call].clone()).collect()
    }

    fn has_no_order(&self, kept: &[usize]) -> bool {
        has_no_order(self.model, self.init, self.part(kept), self.deadline)
    }
}

/// Whether it is certain by the deadline that these calls have no legal order.
pub(super) fn has_no_order<M: Model>(
    model: &M,
    init: &M::State,
    mut calls: Vec<Call<M::Op>>,
    deadline: Instant,
) -> bool {
    let allowance = Allowance::new(deadline, PER_ATTEMPT);
    matches!(search_part(model, init, &mut calls, &allowance), Ok(Found::Stuck { .. }))
}

/// Searches a part of the calls by itself, without those that cannot matter in it.
pub(super) fn search_part<M: Model>(
    model: &M,
    init: &M::State,
    part: &mut Vec<Call<M::Op>>,
    allowance: &Allowance,
) -> Result<Found, Spent> {
    drop(expire(model, part, &mut allowance.share())?);
    Ok(search(model, init, part, allowance))
}
