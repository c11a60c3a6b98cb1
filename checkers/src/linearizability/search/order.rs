//! From the uses that lead to the end, the order itself.
//!
//! The search says which kinds were used when. Here the same way is gone once more with the calls in hand. Two
//! matchings of uses with calls come out of it: one covers all uses (it took what was left and ended first), the other
//! all calls that were owed until a use discharged them. Together they form paths and rings in which the two
//! alternate, and of each the one is taken that leaves out nothing that is needed. Calls that nobody saw are put
//! where that was noticed.

use super::super::budget::{Allowance, Budget, Spent};
use super::super::problem::Call;
use super::bits::Bits;
use super::frontier::Configuration;
use super::path::{BEGINNING, Use};
use super::plan::Plan;
use super::states::{Interned, States};
use super::used;
use super::window::{Uncounted, Window};
use crate::model::Model;

const NONE: u32 = u32::MAX;

/// An order, as far as it goes.
#[derive(Debug, Default)]
pub(super) struct Rebuilt {
    pub(super) order: Vec<usize>,
    /// The kinds of calls that were used when none was left. The order ends before.
    pub(super) overused: Vec<u32>,
    /// Why the order ends before the uses do, if it does.
    pub(super) cut_short: Option<Spent>,
}

/// The calls in the order that these uses make of them, up to the return with this rank.
pub(super) fn rebuild<M: Model, B: Bits>(
    model: &M,
    init: &M::State,
    calls: &[Call<M::Op>],
    plan: &Plan,
    (uses, ranks): (&[Use], usize),
    allowance: &Allowance,
) -> Rebuilt {
    let budget = &mut allowance.share();
    let rebuilt = Interned::new(model, calls, init, plan, budget).and_then(|mut known| {
        let none = B::none(plan.width.div_ceil(64));
        let mut walk = Walk {
            plan,
            window: Window::<B>::new(plan, Uncounted::Counted, budget)?,
            states: States::new(&mut known, plan),
            now: Configuration { owed: none.clone(), left: none, state: 0, cost: 0, path: BEGINNING },
            clock: 0,
            matched: Vec::with_capacity(uses.len()),
            unseen: Vec::new(),
            overused: Vec::new(),
        };
        let cut_short = walk.along(uses, ranks, budget).err();
        let overused = std::mem::take(&mut walk.overused);
        Ok(Rebuilt { order: walk.order(), overused, cut_short })
    });
    rebuilt.unwrap_or_else(|spent| Rebuilt { cut_short: Some(spent), ..Rebuilt::default() })
}

/// A use, the call that it took of those left, and the call that was owed and no longer is, if any.
#[derive(Clone, Copy, Debug)]
struct Matched {
    at: u32,
    left: u32,
    owed: u32,
}

struct Walk<'a, B> {
    plan: &'a Plan,
    window: Window<'a, B>,
    states: States<'a>,
    now: Configuration<B>,
    clock: u32,
    matched: Vec<Matched>,
    /// When calls that were owed could be put in order unseen.
    unseen: Vec<(u32, u32)>,
    overused: Vec<u32>,
}

impl<B: Bits> Walk<'_, B> {
    fn along(&mut self, uses: &[Use], ranks: usize, budget: &mut Budget<'_>) -> Result<(), Spent> {
        let mut uses = uses.iter().peekable();
        for rank in 0..ranks {
            budget.work(1)?;
            let change = self.window.advance(rank);
            self.now.owed.subtract(&change.gone);
            self.now.left.subtract(&change.gone);
            self.now.owed.add(&change.owed);
            self.now.left.add(&change.left);
            self.settle(budget)?;
            while let Some(one) = uses.next_if(|one| one.rank as usize == rank) {
                self.apply(one.kind, budget)?;
            }
            let slot = self.window.slot(self.plan.returns[rank]);
            self.now.owed.remove(slot);
            self.now.left.remove(slot);
            self.window.leave(slot);
            self.forget_states(budget);
        }
        Ok(())
    }

    /// Puts what is legal here and changes nothing in order.
    fn settle(&mut self, budget: &mut Budget<'_>) -> Result<(), Spent> {
        let mut still = self.window.still(self.now.state, &mut self.states, budget)?.clone();
        still.keep(&self.now.owed);
        self.put_unseen(&still);
        Ok(())
    }

    fn put_unseen(&mut self, slots: &B) {
        self.clock += 1;
        let (clock, window) = (self.clock, &self.window);
        if self.overused.is_empty() {
            self.unseen.extend(slots.members().map(|slot| (clock, window.call(slot))));
        }
        self.now.owed.subtract(slots);
    }

    fn apply(&mut self, kind: u32, budget: &mut Budget<'_>) -> Result<(), Spent> {
        let first = |of: &B| self.window.of_kind(kind).find(|&slot| of.has(slot)).map(|slot| self.window.call(slot));
        let (left, owed) = (first(&self.now.left), first(&self.now.owed));
        let to = self.states.step(self.now.state, kind, budget)?;
        let to = to.expect("the search has gone this way");
        let Some(left) = left else {
            self.overused.push(kind);
            self.now.state = to;
            return Ok(());
        };
        if self.plan.kinds[kind as usize].overwrites {
            let mut unseen = self.window.overwriting().clone();
            unseen.keep(&self.now.owed);
            if let Some(slot) = self.window.of_kind(kind).find(|&slot| unseen.has(slot)) {
                unseen.remove(slot);
            }
            self.put_unseen(&unseen);
        }
        self.clock += 1;
        if self.overused.is_empty() {
            self.matched.push(Matched { at: self.clock, left, owed: owed.unwrap_or(NONE) });
        }
        self.now = used(&self.window, self.plan, &self.now, kind, to);
        self.settle(budget)
    }

    fn forget_states(&mut self, budget: &mut Budget<'_>) {
        const MANY: usize = 256;
        if self.states.count() > MANY {
            self.states.keep(&[self.now.state], budget);
            self.window.forget_states();
            self.now.state = 0;
        }
    }

    /// Which call each use gets, and with that the order.
    fn order(mut self) -> Vec<usize> {
        let count = self.plan.calls.len();
        let (mut by_left, mut by_owed) = (vec![NONE; count], vec![NONE; count]);
        for (number, one) in self.matched.iter().enumerate() {
            by_left[one.left as usize] = number as u32;
            if one.owed != NONE {
                by_owed[one.owed as usize] = number as u32;
            }
        }
        // A call that had to be used and was not taken begins a path: there each use gets the call that was owed.
        let mut chosen: Vec<u32> = self.matched.iter().map(|one| one.left).collect();
        for call in 0..count {
            if by_left[call] != NONE {
                continue;
            }
            let mut number = by_owed[call];
            while number != NONE {
                let Matched { left, owed, .. } = self.matched[number as usize];
                chosen[number as usize] = owed;
                number = by_owed[left as usize];
            }
        }
        let mut is_used = vec![false; count];
        chosen.iter().for_each(|&call| is_used[call as usize] = true);
        let mut order = std::mem::take(&mut self.unseen);
        order.retain(|&(_, call)| !is_used[call as usize]);
        order.extend(self.matched.iter().zip(chosen).map(|(one, call)| (one.at, call)));
        order.sort_unstable();
        order.into_iter().map(|(_, call)| call as usize).collect()
    }
}
