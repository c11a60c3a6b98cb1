//! What is pending: each pending call has a slot, a small number that is given to another when it goes.

use super::super::budget::{Budget, Spent};
use super::bits::Bits;
use super::plan::{Plan, Role};
use super::states::States;

const NONE: u32 = u32::MAX;

pub(super) struct Window<'p, B> {
    plan: &'p Plan,
    words: usize,
    /// The next call to come, and the next to expire.
    coming: usize,
    expiring: usize,
    /// The call in each slot.
    calls: Vec<u32>,
    free: Vec<u32>,
    /// For each kind its first slot; for each slot the next of its kind. The one that ends first is the first.
    first: Vec<u32>,
    next: Vec<u32>,
    /// The kinds with pending calls.
    kinds: Vec<u32>,
    /// Pending calls that overwrite.
    overwriting: B,
    /// Pending calls that happened, change the state, and do not overwrite.
    hard: B,
    /// Pending calls that a use does not use up.
    uncounted: B,
    heed: Uncounted,
    /// For each state, the pending calls that change nothing there, and at which return that was found out.
    still: Vec<(u32, B)>,
    rank: u32,
}

/// What becomes of calls that are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uncounted {
    /// They are not counted.
    AsTold,
    /// They are counted all the same.
    Counted,
}

/// What came and went before a return.
pub(super) struct Change<B> {
    /// Calls that have to be put in order.
    pub(super) owed: B,
    /// Calls that can be used.
    pub(super) left: B,
    /// Calls that no longer matter.
    pub(super) gone: B,
}

impl<'p, B: Bits> Window<'p, B> {
    pub(super) fn new(plan: &'p Plan, heed: Uncounted, budget: &mut Budget<'_>) -> Result<Self, Spent> {
        budget.take(plan.width * 3 * size_of::<u32>())?;
        let words = plan.width.div_ceil(64);
        Ok(Window {
            plan,
            words,
            coming: 0,
            expiring: 0,
            calls: vec![NONE; plan.width],
            free: (0..plan.width as u32).rev().collect(),
            first: vec![NONE; plan.kinds.len()],
            next: vec![NONE; plan.width],
            kinds: Vec::new(),
            overwriting: B::none(words),
            hard: B::none(words),
            uncounted: B::none(words),
            heed,
            still: Vec::new(),
            rank: 0,
        })
    }

    pub(super) fn none(&self) -> B {
        B::none(self.words)
    }

    /// Lets calls come that were made before the return with this rank, and go that cannot matter then.
    pub(super) fn advance(&mut self, rank: usize) -> Change<B> {
        let plan = self.plan;
        let now = plan.calls[plan.returns[rank] as usize].end;
        let mut change = Change { owed: self.none(), left: self.none(), gone: self.none() };
        self.rank = rank as u32;
        // First they go, to make room; what ends before it is looked at never comes.
        while let Some(&call) = plan.expiring.get(self.expiring).filter(|&&call| plan.calls[call as usize].end < now) {
            self.expiring += 1;
            if (call as usize) < self.coming {
                let slot = self.slot(call);
                change.gone.insert(slot);
                self.leave(slot);
            }
        }
        while let Some(call) = plan.calls.get(self.coming).filter(|call| call.start < now) {
            let number = self.coming as u32;
            self.coming += 1;
            if call.role == Role::Ignored || call.end < now {
                continue;
            }
            let slot = self.enter(number);
            if call.role == Role::Must {
                change.owed.insert(slot);
            }
            if !plan.kinds[call.kind as usize].pure {
                change.left.insert(slot);
            }
        }
        change
    }

    fn enter(&mut self, call: u32) -> u32 {
        let slot = self.free.pop().expect("the width is the largest number of pending calls");
        let planned = self.plan.calls[call as usize];
        let kind = self.plan.kinds[planned.kind as usize];
        self.calls[slot as usize] = call;
        if kind.overwrites {
            self.overwriting.insert(slot);
        } else if planned.role == Role::Must && !kind.pure {
            self.hard.insert(slot);
        }
        if planned.role == Role::May && !kind.counted && self.heed == Uncounted::AsTold {
            self.uncounted.insert(slot);
        }
        let mut at = self.first[planned.kind as usize];
        if at == NONE {
            self.kinds.push(planned.kind);
        }
        let mut before = NONE;
        while at != NONE && self.plan.calls[self.calls[at as usize] as usize].end <= planned.end {
            (before, at) = (at, self.next[at as usize]);
        }
        self.next[slot as usize] = at;
        match before {
            NONE => self.first[planned.kind as usize] = slot,
            before => self.next[before as usize] = slot,
        }
        slot
    }

    /// Frees the slot of a call that is over.
    pub(super) fn leave(&mut self, slot: u32) {
        let kind = self.plan.kind(self.calls[slot as usize]);
        let after = self.next[slot as usize];
        let before = self.of_kind(kind).find(|&other| self.next[other as usize] == slot);
        match before {
            Some(before) => self.next[before as usize] = after,
            None => self.first[kind as usize] = after,
        }
        if self.first[kind as usize] == NONE {
            self.kinds.retain(|&other| other != kind);
        }
        self.overwriting.remove(slot);
        self.hard.remove(slot);
        self.uncounted.remove(slot);
        self.free.push(slot);
    }

    /// The slots of the pending calls of a kind, the first to end first.
    #[inline]
    pub(super) fn of_kind(&self, kind: u32) -> impl Iterator<Item = u32> {
        let mut at = self.first[kind as usize];
        std::iter::from_fn(move || {
            let slot = (at != NONE).then_some(at)?;
            at = self.next[slot as usize];
            Some(slot)
        })
    }

    /// The slot of a pending call.
    pub(super) fn slot(&self, call: u32) -> u32 {
        let mut of_kind = self.of_kind(self.plan.kind(call));
        of_kind.find(|&slot| self.calls[slot as usize] == call).expect("the call is pending")
    }

    pub(super) fn call(&self, slot: u32) -> u32 {
        self.calls[slot as usize]
    }

    /// The kinds of the pending calls.
    pub(super) fn kinds(&self) -> &[u32] {
        &self.kinds
    }

    pub(super) fn overwriting(&self) -> &B {
        &self.overwriting
    }

    pub(super) fn uncounted(&self) -> &B {
        &self.uncounted
    }

    pub(super) fn hard(&self) -> &B {
        &self.hard
    }

    /// The pending calls that are legal in this state and change nothing.
    #[inline]
    pub(super) fn still(&mut self, state: u32, states: &mut States<'_>, budget: &mut Budget<'_>) -> Result<&B, Spent> {
        let stamp = self.rank + 1;
        let at = state as usize;
        if at >= self.still.len() {
            let (more, one) = (states.count() - self.still.len(), self.none());
            budget.reserve(&mut self.still, more)?;
            budget.take(more * one.heap_bytes())?;
            self.still.resize(states.count(), (0, one));
        }
        if self.still[at].0 != stamp {
            let mut still = self.none();
            for &kind in &self.kinds {
                if states.stays(state, kind, budget)? {
                    self.of_kind(kind).for_each(|slot| still.insert(slot));
                }
            }
            budget.work(self.kinds.len())?;
            self.still[at] = (stamp, still);
        }
        Ok(&self.still[at].1)
    }

    /// The states have got other numbers.
    pub(super) fn forget_states(&mut self) {
        self.still.iter_mut().for_each(|(stamp, _)| *stamp = 0);
    }
}
