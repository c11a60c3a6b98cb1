//! Sets whose elements come and go.
//!
//! What is done with one element neither changes nor shows anything of another, so each element is an object by itself,
//! and by the locality of linearizability (Herlihy and Wing, 1990, theorem 1) they are judged one by one. The legal
//! orders of all are put together by the moments at which their operations happen.
//!
//! - An element that was added at most once is judged in closed form ([`once`]).
//! - One that was added several times, all answers known, is followed in time ([`answered`]). (In linear time: Abdulla et
//!   al., "Efficient linearizability monitoring", 2025, arXiv 2509.17795.)
//! - For others there is the search, still element by element.
//!
//! It costs n log n, but for the search.

mod answered;
mod element;
mod minimal;
mod once;

use super::super::budget::{Allowance, Spent};
use super::super::problem::{Call, Problem};
use super::super::search::{Found, search};
use super::{Contradiction, Judged, Why};
use crate::model::{Access, Datum, Membership, Model};
use element::Element;
use minimal::minimal;

/// An operation on the element.
#[derive(Clone, Copy, Debug)]
struct Visit {
    call: usize,
    what: Membership,
    start: u32,
    end: u32,
    must: bool,
}

impl Visit {
    /// Just after it was called: the moment before event e is 2e, the one after it 2e + 1.
    fn begin(&self) -> u64 {
        2 * u64::from(self.start) + 1
    }

    /// Just before it returned, or never.
    fn finish(&self) -> u64 {
        if self.must { 2 * u64::from(self.end) } else { u64::MAX }
    }

    /// Whether it may have put the element in.
    fn puts(&self) -> bool {
        matches!(self.what, Membership::Added | Membership::Ensured)
    }

    /// Whether it may have taken the element out.
    fn takes(&self) -> bool {
        matches!(self.what, Membership::Removed | Membership::Dropped)
    }

    fn as_call(&self) -> Call<Membership> {
        let Visit { what, start, end, must, .. } = *self;
        Call { op: what, start, end, ret: end, who: 0, must }
    }
}

/// Calls in a legal order, each with when it happens.
type Placed = Vec<(u64, usize)>;

/// Why operations on one element have no order.
enum Refusal {
    /// Those that began before this position contradict each other, what had not returned by then aside.
    By(u32),
    /// The search was given up.
    GaveUp(Spent),
}

/// Judges the elements one by one.
pub(super) fn judge<M: Model>(model: &M, problem: &Problem<M>, allowance: &Allowance) -> Judged {
    match place(model, problem, allowance) {
        Ok(judged) => judged,
        Err(spent) => Judged::GaveUp(spent),
    }
}

fn place<M: Model>(model: &M, problem: &Problem<M>, allowance: &Allowance) -> Result<Judged, Spent> {
    let mut budget = allowance.share();
    let mut visits: Vec<(Datum, Visit)> = Vec::with_capacity(problem.calls.len());
    for (at, call) in problem.calls.iter().enumerate() {
        budget.work(1)?;
        let Some(Access::Element(element, what)) = model.container(&call.op) else { return Ok(Judged::NotOfThisKind) };
        visits.push((element, Visit { call: at, what, start: call.start, end: call.end, must: call.must }));
    }
    budget.look()?;
    visits.sort_unstable_by_key(|(element, visit)| (*element, visit.start));
    budget.look()?;
    let mut placed: Placed = Vec::with_capacity(visits.len());
    for element in visits.chunk_by(|one, other| one.0 == other.0) {
        budget.work(element.len())?;
        let visits: Vec<Visit> = element.iter().map(|(_, visit)| *visit).collect();
        match judge_element(&visits, allowance) {
            Ok(more) => placed.extend(more),
            Err(Refusal::By(now)) => {
                return Ok(Judged::Refuted(Contradiction(Why::Element(minimal(&visits, now, allowance)))));
            }
            Err(Refusal::GaveUp(spent)) => return Err(spent),
        }
    }
    budget.look()?;
    placed.sort_by_key(|&(moment, _)| moment);
    Ok(Judged::Order(placed.into_iter().map(|(_, call)| call).collect()))
}

fn judge_element(visits: &[Visit], allowance: &Allowance) -> Result<Placed, Refusal> {
    if visits.iter().filter(|visit| visit.puts()).count() <= 1 {
        return once::judge(visits).map_err(Refusal::By);
    }
    if visits.iter().all(|visit| visit.must && is_answered(visit.what)) {
        return answered::judge(visits).map_err(Refusal::By);
    }
    let calls: Vec<Call<Membership>> = visits.iter().map(Visit::as_call).collect();
    match search(&Element, &false, &calls, allowance) {
        Found::Order(order) => Ok(in_time(order.into_iter().map(|at| visits[at]))),
        Found::Stuck { blocker } => Err(Refusal::By(visits[blocker].end)),
        Found::GaveUp { spent, .. } => Err(Refusal::GaveUp(spent)),
    }
}

fn is_answered(what: Membership) -> bool {
    !matches!(what, Membership::Ensured | Membership::Dropped)
}

/// An order of operations, each as early as it can be.
fn in_time(order: impl Iterator<Item = Visit>) -> Placed {
    let mut now = 0;
    let early = order.map(|visit| {
        now = visit.begin().max(now);
        (now, visit.call)
    });
    early.collect()
}
