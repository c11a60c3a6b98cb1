//! The states of a search as numbers, and the steps between them.
//!
//! A model's step may be slow and its states large; each state is kept once, and steps are remembered as long as
//! there are few. States that no configuration has are forgotten now and then.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::super::budget::{Budget, Spent};
use super::super::problem::Call;
use super::plan::Plan;
use crate::model::Model;

/// The states behind the numbers, whatever their type is.
pub(super) trait Known {
    /// What an operation of this kind does in this state.
    fn step(&mut self, state: u32, kind: u32, budget: &mut Budget<'_>) -> Result<Step, Spent>;

    /// The same if it does nothing new: the state after it gets no number.
    fn look(&self, state: u32, kind: u32) -> Look;

    /// How many there are.
    fn count(&self) -> usize;

    /// Keeps only these, which are sorted, under new numbers: their places among them.
    fn keep(&mut self, numbers: &[u32], budget: &mut Budget<'_>);
}

/// What an operation does in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Illegal,
    To(u32),
}

/// What can be told of a step without giving a number to where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Illegal,
    Stays,
    Elsewhere,
}

pub(super) struct Interned<'a, M: Model> {
    model: &'a M,
    calls: &'a [Call<M::Op>],
    /// For each kind, one of its calls.
    kinds: Vec<u32>,
    states: IndexSet<M::State, FxBuildHasher>,
    /// What the set was counted as.
    bytes: usize,
    /// Of all states, beside their own size.
    heap: usize,
}

/// What a state takes in the set: itself, its hash, its place in the table.
const BESIDE: usize = 32;

impl<'a, M: Model> Interned<'a, M> {
    /// The state in the beginning gets the number 0.
    pub(super) fn new(
        model: &'a M,
        calls: &'a [Call<M::Op>],
        init: &M::State,
        plan: &Plan,
        budget: &mut Budget<'_>,
    ) -> Result<Self, Spent> {
        let kinds = plan.kinds.iter().map(|kind| kind.call).collect();
        let mut new = Interned { model, calls, kinds, states: IndexSet::default(), bytes: 0, heap: 0 };
        new.number(init.clone(), budget)?;
        Ok(new)
    }

    fn number(&mut self, state: M::State, budget: &mut Budget<'_>) -> Result<u32, Spent> {
        if let Some(known) = self.states.get_index_of(&state) {
            return Ok(known as u32);
        }
        let heap = self.model.heap_bytes(&state);
        budget.take(heap)?;
        self.heap += heap;
        if self.states.len() == self.states.capacity() {
            let capacity = (2 * self.states.len()).max(8);
            let bytes = capacity * (size_of::<M::State>() + BESIDE);
            budget.take(bytes)?;
            self.states.reserve_exact(capacity - self.states.len());
            budget.give(self.bytes);
            self.bytes = bytes;
        }
        Ok(self.states.insert_full(state).0 as u32)
    }

    pub(super) fn into_states(self) -> IndexSet<M::State, FxBuildHasher> {
        self.states
    }

    fn op(&self, kind: u32) -> &'a M::Op {
        &self.calls[self.kinds[kind as usize] as usize].op
    }
}

impl<M: Model> Known for Interned<'_, M> {
    fn step(&mut self, state: u32, kind: u32, budget: &mut Budget<'_>) -> Result<Step, Spent> {
        match self.model.step(&self.states[state as usize], self.op(kind)) {
            Some(next) => Ok(Step::To(self.number(next, budget)?)),
            None => Ok(Step::Illegal),
        }
    }

    fn look(&self, state: u32, kind: u32) -> Look {
        let state = &self.states[state as usize];
        match self.model.step(state, self.op(kind)) {
            None => Look::Illegal,
            Some(next) if next == *state => Look::Stays,
            Some(_) => Look::Elsewhere,
        }
    }

    fn count(&self) -> usize {
        self.states.len()
    }

    fn keep(&mut self, numbers: &[u32], budget: &mut Budget<'_>) {
        let mut kept = numbers.iter().peekable();
        let mut at = 0;
        let (mut heap, model) = (0, self.model);
        self.states.retain(|state| {
            at += 1;
            let keep = kept.next_if(|&&number| number == at - 1).is_some();
            heap += if keep { model.heap_bytes(state) } else { 0 };
            keep
        });
        budget.give(self.heap - heap);
        self.heap = heap;
    }
}

/// Steps, remembered while there are few.
pub(super) struct States<'a> {
    known: &'a mut dyn Known,
    kinds: usize,
    /// A row for each state.
    steps: Vec<u32>,
}

const ILLEGAL: u32 = u32::MAX;
const UNKNOWN: u32 = u32::MAX - 1;
/// As many steps are remembered: four mebibytes.
const REMEMBERED: usize = 1 << 20;

impl<'a> States<'a> {
    pub(super) fn new(known: &'a mut dyn Known, plan: &Plan) -> Self {
        States { known, kinds: plan.kinds.len(), steps: Vec::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.known.count()
    }

    /// The state after an operation of this kind, if it is legal.
    #[inline]
    pub(super) fn step(&mut self, state: u32, kind: u32, budget: &mut Budget<'_>) -> Result<Option<u32>, Spent> {
        let place = self.place(state, kind, budget)?;
        match place.map(|at| self.steps[at]) {
            Some(ILLEGAL) => return Ok(None),
            Some(UNKNOWN) | None => {}
            Some(next) => return Ok(Some(next)),
        }
        let step = self.known.step(state, kind, budget)?;
        if let Some(at) = place {
            self.steps[at] = match step {
                Step::Illegal => ILLEGAL,
                Step::To(next) => next,
            };
        }
        Ok(match step {
            Step::Illegal => None,
            Step::To(next) => Some(next),
        })
    }

    /// Whether an operation of this kind is legal and changes nothing.
    #[inline]
    pub(super) fn stays(&mut self, state: u32, kind: u32, budget: &mut Budget<'_>) -> Result<bool, Spent> {
        let place = self.place(state, kind, budget)?;
        match place.map(|at| self.steps[at]) {
            Some(UNKNOWN) | None => {}
            Some(next) => return Ok(next == state),
        }
        let look = self.known.look(state, kind);
        if let (Some(at), Look::Illegal | Look::Stays) = (place, look) {
            self.steps[at] = if look == Look::Stays { state } else { ILLEGAL };
        }
        Ok(look == Look::Stays)
    }

    #[inline]
    fn place(&mut self, state: u32, kind: u32, budget: &mut Budget<'_>) -> Result<Option<usize>, Spent> {
        let row = state as usize * self.kinds;
        if row + self.kinds > self.steps.len() {
            if row + self.kinds > REMEMBERED {
                return Ok(None);
            }
            let more = row + self.kinds - self.steps.len();
            budget.reserve(&mut self.steps, more)?;
            self.steps.resize(row + self.kinds, UNKNOWN);
        }
        Ok(Some(row + kind as usize))
    }

    /// Forgets all states but these, which are sorted. Each gets its place among them as its new number.
    pub(super) fn keep(&mut self, numbers: &[u32], budget: &mut Budget<'_>) {
        self.known.keep(numbers, budget);
        self.steps.clear();
    }
}
