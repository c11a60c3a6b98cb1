//! The last touch to a witness: no call of it can be spared.
//!
//! Shrinking ([`super::shrink`]) leaves out many calls at a time and forgets what it can. What is left is small; here each of
//! its calls is taken out by itself, with what has to go with it, until every single one is needed. A call goes with
//! another if it may not be legal without it: the reader of a value goes with any of those from which it could have it,
//! as far as those that stay do not rule that out, and one of a pair with the other; what can forget what it saw
//! ([`Model::weaken`]) does so and stays. So the calls that stay would have a legal order if the whole had one.
//!
//! It costs as many searches of the small part as it has calls, twice over for each that goes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::problem::{Call, NEVER, Problem, last_return};
use super::shrink::has_no_order;
use super::sources::pairs;
use crate::model::{Datum, Family, Model, Needs};

/// The same calls without those that can be spared, told as they stood when the last of them returned that happened.
pub(super) fn minimal<M: Model>(
    model: &M,
    problem: &Problem<M>,
    calls: Vec<Call<M::Op>>,
    deadline: Instant,
) -> Vec<Call<M::Op>> {
    // Nothing of what shrinking left can go without what needs it.
    if !matches!(model.needs(), Needs::NoOthers) {
        return calls;
    }
    let Some(now) = last_return(&calls) else { return calls };
    let before = &problem.calls[..problem.calls.partition_point(|call| call.start < now)];
    let number = |call: &Call<M::Op>| before.binary_search_by_key(&call.start, |call| call.start).ok();
    let Some(mut kept) = calls.iter().map(number).collect::<Option<BTreeSet<usize>>>() else { return calls };
    let partners = if model.is_paired() { pairs(model, before) } else { Vec::new() };
    let partners = partners.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]).collect();
    let replaces = model.family() == Family::Register || before.iter().any(|call| model.excludes(&call.op).is_some());
    let producers = producers(model, before);
    let part = Part { model, problem, calls: before, producers, replaces, partners, now, deadline };
    part.add_replacements(&mut kept);
    if !part.has_no_order(&part.rest(&kept, None)) {
        return calls;
    }
    while let Some(smaller) = part.smaller(&kept) {
        kept = smaller;
    }
    part.rest(&kept, None).into_values().collect()
}

struct Part<'a, M: Model> {
    model: &'a M,
    problem: &'a Problem<M>,
    /// All that were called before the moment at which the part has no legal order.
    calls: &'a [Call<M::Op>],
    /// What each call produces, of those that produce anything.
    producers: Vec<(usize, Datum)>,
    /// Whether a product is the whole state after it.
    replaces: bool,
    partners: BTreeMap<usize, usize>,
    now: u32,
    deadline: Instant,
}

impl<M: Model> Part<'_, M> {
    /// Where a call of the part could have what it observed from outside, were it not for a replacement that is outside, too,
    /// the replacement joins the part.
    fn add_replacements(&self, kept: &mut BTreeSet<usize>) {
        let mut todo: Vec<usize> = kept.iter().copied().collect();
        while let Some(number) = todo.pop() {
            let observer = &self.calls[number];
            let Some(latest) = self.latest_replacement(observer).filter(|_| self.replaces) else { continue };
            let (op, replaced) =
                (&observer.op, |other: &Call<M::Op>| other.must && other.end < self.calls[latest].start);
            let outside = |other: usize| other != number && !kept.contains(&other) && replaced(&self.calls[other]);
            let could = |&(other, product): &(usize, Datum)| self.could_have_left(op, product) && outside(other);
            if self.producers.iter().any(could) && kept.insert(latest) {
                todo.push(latest);
            }
        }
    }

    /// The last call to be made that produced something and had returned when the observer was called.
    fn latest_replacement(&self, observer: &Call<M::Op>) -> Option<usize> {
        let returned = self.producers.iter().map(|(number, _)| *number).filter(|&number| {
            let Call { end, must, .. } = self.calls[number];
            must && end < observer.start
        });
        returned.max_by_key(|&number| self.calls[number].start)
    }

    /// Whether the operation may have seen what was left with this product.
    fn could_have_left(&self, op: &M::Op, product: Datum) -> bool {
        let excludes = |excluded: Datum| excluded != product;
        self.model.observes(op) == Some(product) || self.model.excludes(op).is_some_and(excludes)
    }

    /// What is left without a call that can be spared, if there is one.
    fn smaller(&self, kept: &BTreeSet<usize>) -> Option<BTreeSet<usize>> {
        let in_time = || Instant::now() <= self.deadline;
        let rests = kept.iter().take_while(|_| in_time()).map(|&gone| self.rest(kept, Some(gone)));
        let smaller = rests.into_iter().find(|rest| self.has_no_order(rest))?;
        Some(smaller.into_keys().collect())
    }

    /// What is left of these calls without the one that is gone.
    fn rest(&self, shown: &BTreeSet<usize>, gone: Option<usize>) -> BTreeMap<usize, Call<M::Op>> {
        let mut rest: BTreeMap<usize, Call<M::Op>> = shown
            .iter()
            .filter(|number| Some(**number) != gone)
            .map(|&number| (number, self.as_of_now(number)))
            .collect();
        rest.retain(|_, call| call.must || !self.model.is_pure(&call.op));
        loop {
            let loose = rest.iter().find(|(number, call)| self.is_loose(**number, call, shown, &rest));
            let Some(number) = loose.map(|(number, _)| *number) else { return rest };
            let weaker = if self.is_halved(number, &rest) { None } else { rest.get_mut(&number) };
            match weaker.and_then(|call| Some((self.model.weaken(&call.op)?, call))) {
                Some((weaker, call)) => call.op = weaker,
                None => drop(rest.remove(&number)),
            }
        }
    }

    /// What had not returned may never have happened.
    fn as_of_now(&self, number: usize) -> Call<M::Op> {
        let call = self.calls[number].clone();
        if call.must && call.end <= self.now { call } else { Call { must: false, end: NEVER, ..call } }
    }

    fn is_halved(&self, number: usize, rest: &BTreeMap<usize, Call<M::Op>>) -> bool {
        self.partners.get(&number).is_some_and(|other| !rest.contains_key(other))
    }

    /// Whether this call may not be legal without one that is not among the rest.
    fn is_loose(
        &self,
        number: usize,
        call: &Call<M::Op>,
        shown: &BTreeSet<usize>,
        rest: &BTreeMap<usize, Call<M::Op>>,
    ) -> bool {
        let Call { end, must, .. } = self.calls[number];
        let end = if must { end } else { NEVER };
        let outside = |other: usize| other != number && self.calls[other].start < end && !rest.contains_key(&other);
        // Of those that are shown also what was surely replaced is of consequence: that is what they show.
        let of_consequence = |other: usize| shown.contains(&other) || !self.was_replaced(other, call, rest);
        let needs = |&(other, product): &(usize, Datum)| {
            self.could_have_left(&call.op, product) && outside(other) && of_consequence(other)
        };
        self.is_halved(number, rest) || self.producers.iter().any(needs)
    }

    /// Whether one of the rest surely replaced what this call had produced, before the observer was called.
    fn was_replaced(&self, producer: usize, observer: &Call<M::Op>, rest: &BTreeMap<usize, Call<M::Op>>) -> bool {
        let Call { end, must, .. } = self.calls[producer];
        let replaced_it = |between: &Call<M::Op>| {
            let in_between = between.must && end < between.start && between.end < observer.start;
            in_between && self.model.produces(&between.op).is_some()
        };
        self.replaces && must && rest.values().any(replaced_it)
    }

    fn has_no_order(&self, part: &BTreeMap<usize, Call<M::Op>>) -> bool {
        has_no_order(self.model, &self.problem.init, part.values().cloned().collect(), self.deadline)
    }
}

fn producers<M: Model>(model: &M, calls: &[Call<M::Op>]) -> Vec<(usize, Datum)> {
    calls.iter().enumerate().filter_map(|(number, call)| Some((number, model.produces(&call.op)?))).collect()
}
