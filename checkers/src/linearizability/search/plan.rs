//! The calls as the search sees them: numbers, and when they come and go.

use rustc_hash::FxHashMap;

use super::super::budget::{Budget, Spent};
use super::super::problem::Call;
use crate::model::Model;

/// A call. Its operation is one of a few kinds: equal operations are of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: u32,
    pub(super) role: Role,
}

/// What a call asks of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// To be in it.
    Must,
    /// It may be in it.
    May,
    /// Nothing: it may have happened, and would have changed nothing.
    Ignored,
}

/// What is known of the operations of a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Leaves every state as it was.
    pub(super) pure: bool,
    /// Legal everywhere, and forgets the state.
    pub(super) overwrites: bool,
    /// Each use of a call that may have happened uses it up.
    pub(super) counted: bool,
    /// One of its calls.
    pub(super) call: u32,
}

pub(super) struct Plan {
    /// By their start.
    pub(super) calls: Vec<Planned>,
    pub(super) kinds: Vec<Kind>,
    /// The calls that happened, by their return.
    pub(super) returns: Vec<u32>,
    /// The calls that may have happened, by the moment after which they no longer matter.
    pub(super) expiring: Vec<u32>,
    /// How many calls are pending at once, at most.
    pub(super) width: usize,
}

impl Plan {
    pub(super) fn new<M: Model>(model: &M, calls: &[Call<M::Op>], budget: &mut Budget<'_>) -> Result<Plan, Spent> {
        budget.take(calls.len() * (size_of::<Planned>() + 2 * size_of::<u32>()))?;
        let mut numbers: FxHashMap<&M::Op, u32> = FxHashMap::default();
        let mut kinds: Vec<Kind> = Vec::new();
        let mut planned = Vec::with_capacity(calls.len());
        for (at, call) in calls.iter().enumerate() {
            budget.work(1)?;
            let kind = *numbers.entry(&call.op).or_insert_with(|| {
                let (pure, overwrites) = (model.is_pure(&call.op), model.overwrites(&call.op));
                // What replaces a value leads to few states however often it is used. Others are better counted.
                let replaces = model.produces(&call.op).is_some() && model.observes(&call.op).is_some();
                let counted = !overwrites && !replaces;
                kinds.push(Kind { pure, overwrites, counted, call: at as u32 });
                kinds.len() as u32 - 1
            });
            let role = match (call.must, kinds[kind as usize].pure) {
                (true, _) => Role::Must,
                (false, false) => Role::May,
                (false, true) => Role::Ignored,
            };
            planned.push(Planned { start: call.start, end: call.end, kind, role });
        }
        // Kept until the search ends, with what the window keeps for each kind.
        budget.take(kinds.len() * (size_of::<Kind>() + 8))?;
        let by_end = |role: Role| {
            let mut some: Vec<u32> =
                (0..planned.len() as u32).filter(|&call| planned[call as usize].role == role).collect();
            some.sort_unstable_by_key(|&call| planned[call as usize].end);
            some
        };
        let (returns, expiring) = (by_end(Role::Must), by_end(Role::May));
        budget.look()?;
        let mut plan = Plan { calls: planned, kinds, returns, expiring, width: 0 };
        plan.width = plan.widest(budget)?;
        Ok(plan)
    }

    /// How many calls are pending at once, at most: of those that come before a return, and have not gone before it.
    fn widest(&self, budget: &mut Budget<'_>) -> Result<usize, Spent> {
        let (mut pending, mut widest) = (0, 0);
        let mut coming = self.calls.iter().filter(|call| call.role != Role::Ignored).peekable();
        let mut expiring = self.expiring.iter().map(|&call| &self.calls[call as usize]).peekable();
        for &blocker in &self.returns {
            budget.work(1)?;
            let now = self.calls[blocker as usize].end;
            while coming.next_if(|call| call.start < now).is_some() {
                pending += 1;
            }
            widest = widest.max(pending);
            pending -= 1;
            while expiring.next_if(|call| call.end < now).is_some() {
                pending -= 1;
            }
        }
        Ok(widest)
    }

    /// From now on calls of these kinds are counted.
    pub(super) fn count(&mut self, kinds: &[u32]) {
        kinds.iter().for_each(|&kind| self.kinds[kind as usize].counted = true);
    }

    pub(super) fn kind(&self, call: u32) -> u32 {
        self.calls[call as usize].kind
    }
}
