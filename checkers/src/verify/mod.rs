//! A second opinion on a judgement, by a separate and simple program.
//!
//! ```
//! use grudge_checkers::checker::Checker;
//! use grudge_checkers::history::csv;
//! use grudge_checkers::model::Parameters;
//! use grudge_checkers::verify::Proof;
//!
//! let rows = "process,type,f,value\n0,invoke,write,1\n1,invoke,read,\n0,ok,write,1\n1,ok,read,1\n";
//! let (history, _) = csv::read(rows.as_bytes());
//! let checker: Checker = "register".parse().unwrap();
//! let mut judgement = checker.judge(&history, &Default::default());
//! assert_eq!(checker.verify(&Parameters::default(), &history, &judgement), Ok(Proof::Orders { operations: 2 }));
//! judgement.orders[0].order.reverse();
//! assert!(checker.verify(&Parameters::default(), &history, &judgement).is_err());
//! ```
//!
//! A *replay* knows an object as plainly as it can be written down: it works on the JSON of the history and shares no step
//! with the [models](crate::model), so that one mistake cannot fool both. A legal order is believed after it was
//! replayed; a witness after every order of its few operations was tried.

mod containers;
mod fenced;
mod kv;
mod lock;
mod mutex;
mod order;
mod register;
mod trial;
mod witness;

use crate::history::{Event, History, Operation, Outcome, Tape};
use crate::judgement::Judgement;
use crate::verdict::Verdict;

pub use order::verify_orders;
pub use trial::is_linearizable;
pub use witness::{spare_operation, verify_witness};

/// What a judgement was found to rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Legal orders, which were replayed.
    Orders {
        /// How many operations are in order.
        operations: usize,
    },
    /// A contradiction, of which every order was tried.
    Contradiction {
        /// How many events the witness shows.
        events: usize,
    },
    /// It offers no proof that could be tried: it is unknown, or what decided hands out no orders.
    Nothing,
}

/// How many steps the trial of a witness may take.
const STEPS: u64 = 20_000_000;

/// Verifies a judgement of the history by the object that was judged. In n log n, with the history in memory.
///
/// # Errors
/// What is wrong with the proof, in words.
pub fn verify<R: Replay>(object: &R, tape: &dyn Tape, judgement: &Judgement) -> Result<Proof, String> {
    let operations = judgement.orders.iter().map(|order| order.order.len()).sum();
    match &judgement.verdict {
        Verdict::Valid if operations > 0 => {
            verify_orders(object, &recorded(tape), &judgement.orders)?;
            Ok(Proof::Orders { operations })
        }
        Verdict::Invalid { witness } => {
            verify_witness(object, &recorded(tape), witness, STEPS)?;
            Ok(Proof::Contradiction { events: witness.events.len() })
        }
        Verdict::Valid | Verdict::Unknown { .. } => Ok(Proof::Nothing),
    }
}

/// The history, without what no replay asks for. Of a damaged one all before the damage, as it was judged.
fn recorded(tape: &dyn Tape) -> History {
    let mut history = History::default();
    let mut record = |event: &Event| {
        let Event { index, time, process, kind, version, .. } = *event;
        let (f, key, value) = (event.f.clone(), event.key.clone(), event.value.clone());
        let (node, error, extra) = (None, None, Vec::new());
        history.events.push(Event { index, time, process, kind, f, key, value, node, error, version, extra });
    };
    drop(tape.play(&mut record));
    history
}

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

    /// Whether the operation is taken out as soon as the other one is, which may have begun later: without that, it could be in
    /// the way of others.
    fn goes_with(&self, _operation: &Operation<'_>, _other: &Operation<'_>) -> bool {
        false
    }

    /// Whether all that became of what the operation left behind is known from these, all operations of its key: then it
    /// goes with none of unknown outcome.
    fn is_settled(&self, _operation: &Operation<'_>, _all: &mut dyn Iterator<Item = &Operation<'_>>) -> bool {
        false
    }

    /// Whether the operation leaves the same behind whatever was there before, so that nothing after it depends on
    /// anything before it.
    fn overwrites(&self, _operation: &Operation<'_>) -> bool {
        false
    }

    /// Whether two operations of a process, with only whole pairs between them, are taken out together or not at all.
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
