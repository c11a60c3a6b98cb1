//! Containers whose every value was put in once: judged without a search, in n log n.
//!
//! | object | decider | precondition |
//! |---|---|---|
//! | queue | [`queue`] | no value was put in twice |
//! | stack | [`stack`] | no value was put in twice |
//! | priority queue | [`priority_queue`] | no value was put in twice |
//! | set | [`set`] | none; it searches only among the operations on one element, and rarely |
//!
//! What was not acknowledged is treated in [`contents`]. If operations whose answer was lost may have taken values, the first
//! three decide what does not hang on that; [`lost`] guesses what they took, and if that leaves no legal order, the search
//! decides.

mod contents;
mod cover;
mod lost;
mod priority_queue;
mod queue;
mod reduce;
mod set;
mod shrink;
mod stack;
mod tree;
mod words;

use std::time::{Duration, Instant};

use super::budget::{Allowance, Budget, Spent};
use super::problem::Problem;
use crate::judgement::Decider;
use crate::model::{Family, Model};
use contents::{Contents, Part, Unclear};
use lost::Settling;

pub(super) use shrink::{expire, shrink};
pub(super) use words::explain;

/// What was found.
pub(super) enum Judged {
    /// A legal order of the calls, by their numbers.
    Order(Vec<usize>),
    /// There is none.
    Refuted(Contradiction),
    /// The search for one element was given up.
    GaveUp(Spent),
    /// This is not for here: a value was put in twice, or the object is no container.
    NotOfThisKind,
}

/// Calls that contradict each other.
pub(super) struct Contradiction(Why);

enum Why {
    /// What was taken was not there, or was taken twice.
    Value(Vec<usize>),
    /// On one element of a set.
    Element(Vec<usize>),
    /// These contents of a container have no legal order, and without any of them they would have one.
    Contents(Contents),
}

impl Contradiction {
    /// The calls, sorted by their start.
    pub(super) fn calls(&self) -> Vec<usize> {
        let mut calls = match &self.0 {
            Why::Value(calls) | Why::Element(calls) => calls.clone(),
            Why::Contents(contents) => {
                let values = contents.values.iter().flat_map(|value| [Some(value.put_by), value.taken_by]).flatten();
                values.chain(contents.voids.iter().map(|void| void.call)).collect()
            }
        };
        calls.sort_unstable();
        calls.dedup();
        calls
    }
}

/// Why no legal order was found.
enum Refused {
    /// These parts of the contents have none.
    Parts(Vec<Part>),
    Spent(Spent),
}

impl From<Spent> for Refused {
    fn from(spent: Spent) -> Self {
        Refused::Spent(spent)
    }
}

/// What finds a legal order of contents.
type Order = fn(&Contents, &mut Budget<'_>) -> Result<Vec<usize>, Refused>;

/// How long a contradiction may be made smaller, as long as the check has time.
const PATIENCE: Duration = Duration::from_secs(2);

/// Until when.
fn patience(allowance: &Allowance) -> Instant {
    allowance.with_grace().deadline().min(Instant::now() + PATIENCE)
}

/// Judges a problem, if it is of this kind.
pub(super) fn judge<M: Model>(model: &M, problem: &Problem<M>, allowance: &Allowance) -> (Decider, Judged) {
    let (decider, order): (Decider, Order) = match model.family() {
        Family::Queue => (Decider::Queue, queue::order),
        Family::Stack => (Decider::Stack, stack::order),
        Family::PriorityQueue => (Decider::PriorityQueue, priority_queue::order),
        Family::Set => return (Decider::Set, set::judge(model, problem, allowance)),
        _ => return (Decider::Search, Judged::NotOfThisKind),
    };
    let judged = match Contents::new(model, problem, &mut allowance.share()) {
        Ok(contents) => judge_contents(&contents, model.family(), order, allowance),
        Err(Unclear::Refuted(calls)) => Judged::Refuted(Contradiction(Why::Value(calls))),
        Err(Unclear::NotUnique) => Judged::NotOfThisKind,
        Err(Unclear::Spent(spent)) => Judged::GaveUp(spent),
    };
    (decider, judged)
}

fn judge_contents(contents: &Contents, family: Family, order: Order, allowance: &Allowance) -> Judged {
    let budget = &mut allowance.share();
    let parts = match order(contents, budget) {
        Ok(order) => return Judged::Order(order),
        Err(Refused::Parts(parts)) => parts,
        Err(Refused::Spent(spent)) => return Judged::GaveUp(spent),
    };
    let is_left = |part: &Part| matches!(part, Part::Value(value) if contents.values[*value].taken_by.is_none());
    if contents.lost.is_empty() || !parts.iter().any(is_left) {
        return refuted(contents, parts, order, allowance);
    }
    // What was left may have been taken by an operation whose answer was lost, so that nothing follows from it. The rest
    // may contradict itself without it.
    let mut rest = contents.clone();
    rest.values.retain(|value| value.taken_by.is_some());
    match order(&rest, budget) {
        Ok(_) => {}
        Err(Refused::Parts(parts)) => return refuted(&rest, parts, order, allowance),
        Err(Refused::Spent(spent)) => return Judged::GaveUp(spent),
    }
    match guess(family, contents, order, budget) {
        Ok(Some(order)) => Judged::Order(order),
        Ok(None) => Judged::NotOfThisKind,
        Err(spent) => Judged::GaveUp(spent),
    }
}

/// A legal order, if one can be guessed.
fn guess(
    family: Family,
    contents: &Contents,
    order: Order,
    budget: &mut Budget<'_>,
) -> Result<Option<Vec<usize>>, Spent> {
    let mut settling = Settling::new(family, contents);
    for _ in 0..GUESSES {
        let Some(settled) = settling.settle(budget)? else { return Ok(None) };
        match order(&settled, budget) {
            Ok(order) => return Ok(Some(order)),
            Err(Refused::Parts(parts)) if settling.learn(&settled, &parts) => {}
            Err(Refused::Parts(_)) => return Ok(None),
            Err(Refused::Spent(spent)) => return Err(spent),
        }
    }
    Ok(None)
}

/// So many guesses are made before the search is asked; each costs as much as a history in which nothing is lost.
const GUESSES: usize = 8;

fn refuted(contents: &Contents, parts: Vec<Part>, order: Order, allowance: &Allowance) -> Judged {
    let contradict = |parts: &[Part]| {
        let refused = order(&contents.part(parts), &mut allowance.with_grace().share());
        matches!(refused, Err(Refused::Parts(_)))
    };
    let parts = reduce::reduce(parts, patience(allowance), contradict);
    let mut contents = contents.part(&parts);
    contents.values.sort_by_key(|value| value.put.end);
    Judged::Refuted(Contradiction(Why::Contents(contents)))
}
