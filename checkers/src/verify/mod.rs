//! A second opinion on a judgement, by a separate and simple program.
//!
//! A *replay* knows an object as plainly as it can be written down: it works on the JSON of the history and shares no step
//! with the [models](crate::model), so that one mistake cannot fool both. A legal order is believed after it was
//! replayed; a witness after every order of its few operations was tried.

mod fenced;
mod mutex;
mod order;
mod register;
mod trial;
mod witness;

use crate::history::{Event, Operation, Outcome};

pub use order::verify_orders;
pub use trial::is_linearizable;
pub use witness::{spare_operation, verify_witness};

/// An object that does operations one after another, on the JSON of the history.
pub trait Replay {
    /// What it remembers.
    type Memory: Clone;

    /// What it remembers in the beginning.
    fn start(&self) -> Self::Memory;

    /// Which part an operation has in a legal order.
    fn part(&self, operation: &Operation<'_>) -> Part {
        match operation.outcome() {
            Outcome::Ok => Part::Must,
            Outcome::Info => Part::May,
            Outcome::Fail => Part::Never,
        }
    }

    /// Does an operation, which happened or is supposed to have happened. The answer is
    /// whether the object can do that now; if it cannot, the memory is of no more use.
    fn apply(&self, memory: &mut Self::Memory, operation: &Operation<'_>) -> bool;

    /// Whether an operation that is legal in some order may not be legal there any more once the other one is taken out.
    /// To say no too often makes a witness pass that proves less than it seems to.
    fn depends(&self, _operation: &Operation<'_>, _on: &Operation<'_>) -> bool {
        false
    }

    /// Whether the operation leaves the same behind whatever was there before, so that nothing after it depends on
    /// anything before it.
    fn overwrites(&self, _operation: &Operation<'_>) -> bool {
        false
    }

    /// Whether two operations of a process, one right after the other, are taken out together or not at all.
    fn are_a_pair(&self, _one: &Operation<'_>, _next: &Operation<'_>) -> bool {
        false
    }

    /// The call without what it depends on, if there is such a call: it leaves the same behind, and is legal anywhere.
    fn forget(&self, _operation: &Operation<'_>) -> Option<Event> {
        None
    }
}

/// Which part an operation has in a legal order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It happened, between its call and its return.
    Must,
    /// It may have happened at any time after its call.
    May,
    /// It did not happen, or says nothing.
    Never,
}

impl Part {
    /// When this operation returned, if it has to come before all that was called later.
    fn returned(self, operation: &Operation<'_>) -> Option<usize> {
        operation.ret.filter(|_| self == Part::Must)
    }
}
