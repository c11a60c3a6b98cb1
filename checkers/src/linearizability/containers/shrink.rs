//! Where a search found out that the operations on a container have no legal order: the few that show it. Values may
//! have been put in twice here.
//!
//! What is taken out of a legal order leaves a legal order, if with what put a value in goes what took one like it out, and the other way
//! round. And with a value of which it is not known who took it goes all that may have taken something of which nobody
//! knows.

use std::collections::BTreeMap;
use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::budget::{Allowance, Budget, Spent};
use super::super::problem::{Call, Problem, last_return};
use super::super::search::{Found, search};
use super::super::shrink::{PER_ATTEMPT, until};
use super::reduce::reduce;
use crate::model::{Access, Datum, Model};

/// Drops the calls that may have happened and cannot matter.
///
/// A value that may have been put in, and that nobody is known to have taken, can be left out of a legal order, with
/// the operation of unknown outcome that took it there, if one did. And if as many takings are known as values can have
/// been put in, then none is left for those of which nobody knows what they took.
pub(in super::super) fn expire<M: Model>(
    model: &M,
    calls: &mut Vec<Call<M::Op>>,
    budget: &mut Budget<'_>,
) -> Result<(), Spent> {
    let access = |call: &Call<M::Op>| model.container(&call.op);
    let mut all_taken: FxHashSet<Datum> = FxHashSet::default();
    for call in calls.iter() {
        budget.work(1)?;
        all_taken.extend(taken(access(call)));
    }
    let is_missed = |call: &Call<M::Op>| put(access(call)).is_none_or(|value| all_taken.contains(&value));
    calls.retain(|call| call.must || is_missed(call));
    if unsettled(model, calls, budget)?.is_empty() {
        calls.retain(|call| call.must || access(call) != Some(Access::TookSomething));
    }
    Ok(())
}

/// The few calls that have no legal order, out of some that have none.
pub(in super::super) fn shrink<M: Model>(
    model: &M,
    problem: &Problem<M>,
    calls: Vec<Call<M::Op>>,
    deadline: Instant,
) -> Vec<Call<M::Op>> {
    let allowance = Allowance::new(deadline, usize::MAX);
    let Ok(unsettled) = unsettled(model, &problem.calls, &mut allowance.share()) else { return calls };
    let shrinking = Shrinking { model, problem, unsettled, deadline };
    let mut calls = calls;
    loop {
        let part = shrinking.smaller(&calls);
        let last = last_return(&part);
        // What is left may show it earlier, and some of it be needed no more.
        match shrinking.stuck(&part).filter(|stuck| Some(*stuck) < last) {
            Some(stuck) => calls = until(model, &part, stuck),
            None => return part,
        }
    }
}

/// The values of which more can have been put in than are known to have been taken.
fn unsettled<M: Model>(model: &M, calls: &[Call<M::Op>], budget: &mut Budget<'_>) -> Result<FxHashSet<Datum>, Spent> {
    let mut left: FxHashMap<Datum, i64> = FxHashMap::default();
    for call in calls {
        budget.work(1)?;
        let access = model.container(&call.op);
        if let Some(value) = put(access) {
            *left.entry(value).or_default() += 1;
        } else if let Some(value) = taken(access).filter(|_| call.must) {
            *left.entry(value).or_default() -= 1;
        }
    }
    Ok(left.into_iter().filter(|(_, left)| *left > 0).map(|(value, _)| value).collect())
}

fn put(access: Option<Access>) -> Option<Datum> {
    match access {
        Some(Access::Put(item)) => Some(item.value),
        _ => None,
    }
}

fn taken(access: Option<Access>) -> Option<Datum> {
    match access {
        Some(Access::Took(item)) => Some(item.value),
        _ => None,
    }
}

/// Calls that stay or go together.
type Piece<Op> = Vec<Call<Op>>;

struct Shrinking<'a, M: Model> {
    model: &'a M,
    problem: &'a Problem<M>,
    unsettled: FxHashSet<Datum>,
    deadline: Instant,
}

impl<M: Model> Shrinking<'_, M> {
    fn is_lost(&self, call: &Call<M::Op>) -> bool {
        self.model.container(&call.op) == Some(Access::TookSomething)
    }

    /// The calls in pieces, in the order in which the first of each was made.
    fn pieces(&self, calls: &[Call<M::Op>]) -> Vec<Piece<M::Op>> {
        let access = |call: &Call<M::Op>| self.model.container(&call.op);
        let puts: FxHashSet<Datum> = calls.iter().filter_map(|call| put(access(call))).collect();
        let takings: FxHashSet<Datum> = calls.iter().filter_map(|call| taken(access(call))).collect();
        let is_bound = |value: &Datum| puts.contains(value) && takings.contains(value);
        let mut first: FxHashMap<Datum, u32> = FxHashMap::default();
        let mut pieces: BTreeMap<u32, Piece<M::Op>> = BTreeMap::new();
        for call in calls.iter().filter(|call| !self.is_lost(call)) {
            let value = put(access(call)).or(taken(access(call))).filter(is_bound);
            let place = value.map_or(call.start, |value| *first.entry(value).or_insert(call.start));
            pieces.entry(place).or_default().push(call.clone());
        }
        pieces.into_values().collect()
    }

    /// Pieces of the calls that have no legal order, and none to spare. If some of which it is known who took them have none, then
    /// these; if not, all that may have taken something stays.
    fn smaller(&self, calls: &[Call<M::Op>]) -> Vec<Call<M::Op>> {
        let lost: Vec<Call<M::Op>> = calls.iter().filter(|call| self.is_lost(call)).cloned().collect();
        let is_unsettled = |value: Datum| self.unsettled.contains(&value);
        let is_open = |call: &Call<M::Op>| put(self.model.container(&call.op)).is_some_and(is_unsettled);
        let pieces = self.pieces(calls);
        let settled = pieces.iter().filter(|piece| !piece.iter().any(is_open)).cloned().collect();
        for (pieces, lost) in [(settled, &[][..]), (pieces, &lost[..])] {
            if self.stuck(&whole(&pieces, lost)).is_some() {
                let pieces = reduce(pieces, self.deadline, |pieces| self.stuck(&whole(pieces, lost)).is_some());
                return whole(&pieces, lost);
            }
        }
        calls.to_vec()
    }

    /// The return that no order of these calls passes, if there is one.
    fn stuck(&self, calls: &[Call<M::Op>]) -> Option<u32> {
        let allowance = Allowance::new(self.deadline, PER_ATTEMPT);
        match search(self.model, &self.problem.init, calls, &allowance) {
            Found::Stuck { blocker } => Some(calls[blocker].end),
            Found::Order(_) | Found::GaveUp { .. } => None,
        }
    }
}

/// All of these calls, in the order in which they were made.
fn whole<Op: Clone>(pieces: &[Piece<Op>], lost: &[Call<Op>]) -> Vec<Call<Op>> {
    let mut whole: Vec<Call<Op>> = pieces.concat();
    whole.extend_from_slice(lost);
    whole.sort_unstable_by_key(|call| call.start);
    whole
}
