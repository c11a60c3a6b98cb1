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

use crate::history::{Operation, Outcome};

pub use order::verify_orders;
pub use trial::{has_legal_order, is_linearizable};

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
