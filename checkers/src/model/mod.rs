//! Models: what one object does when its operations happen one after another, each at once.
//!
//! A model reads the clients' operations of one key, says how those are to be treated whose outcome nobody knows,
//! and steps from state to state. It says besides what an operation *produces* and *observes* (a value, a token):
//! from that come the reads-from edges of the [history graph](crate::graph), the moment after which a lost write no
//! longer matters, and which operations a witness must keep to prove anything.

mod datum;
mod fenced;
mod mutex;
mod register;

use std::fmt::Debug;
use std::hash::Hash;
use std::str::FromStr;

pub use datum::{Data, Datum};
pub use fenced::{FencedMutex, FencedOp, FencedState};
pub use mutex::{Mutex, MutexOp};
pub use register::{CasRegister, Register, RegisterOp};

use crate::history::{History, Operation};
use crate::linearizability::{self, Limits};
use crate::verdict::Verdict;

/// A sequential object.
pub trait Model: Sync {
    /// What the object remembers.
    type State: Clone + Eq + Hash + Debug + Send;
    /// One operation with its result, as far as it is known.
    type Op: Clone + Eq + Debug + Send + Sync;

    /// Its name on a command line.
    fn name(&self) -> &'static str;

    /// The state before the first operation.
    fn init(&self, data: &mut Data) -> Self::State;

    /// Turns what the history says into an operation of this model.
    ///
    /// # Errors
    /// What was expected instead; the caller adds which event it was.
    fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Meaning<Self::Op>, String>;

    /// The state after the operation, or nothing if the object cannot do that in this state.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// Whether the operation leaves every state as it was.
    fn is_pure(&self, op: &Self::Op) -> bool;

    /// What it brings into the world for others to observe.
    fn produces(&self, op: &Self::Op) -> Option<Datum>;

    /// What it can only have got from an operation that produced it, or from the beginning.
    fn observes(&self, op: &Self::Op) -> Option<Datum>;

    /// When an operation of unknown outcome stops mattering.
    fn expiry(&self) -> Expiry;

    /// Whether operations of one process come in pairs, of which a witness keeps both or none.
    fn paired(&self) -> bool {
        false
    }

    /// The state in words.
    fn show(&self, state: &Self::State, data: &Data) -> String;
}

/// How an operation enters the search for a legal order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning<Op> {
    /// It happened, between its call and its return.
    Must(Op),
    /// It may have happened at any time after its call, or never.
    May(Op),
    /// It did not happen, or whether it did cannot make a difference.
    Never,
}

/// See [`Model::expiry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// When the last operation that could observe its product has returned. Sound where what it produces replaces
    /// the state whole and it is legal to leave it out when nobody observes it.
    LastObserver,
    /// Never.
    Never,
}

/// The models of this crate, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    /// [`Register`].
    Register,
    /// [`CasRegister`].
    CasRegister,
    /// [`Mutex`].
    Mutex,
    /// [`FencedMutex`].
    FencedMutex,
}

impl Named {
    /// All of them.
    pub const ALL: [Named; 4] = [Named::Register, Named::CasRegister, Named::Mutex, Named::FencedMutex];

    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Named::Register => Register.name(),
            Named::CasRegister => CasRegister.name(),
            Named::Mutex => Mutex.name(),
            Named::FencedMutex => FencedMutex.name(),
        }
    }

    /// Whether the history is linearizable by this model.
    #[must_use]
    pub fn check(self, history: &History, limits: &Limits) -> Verdict {
        match self {
            Named::Register => linearizability::check(history, &Register, limits),
            Named::CasRegister => linearizability::check(history, &CasRegister, limits),
            Named::Mutex => linearizability::check(history, &Mutex, limits),
            Named::FencedMutex => linearizability::check(history, &FencedMutex, limits),
        }
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Named::ALL.into_iter().find(|model| model.name() == text).ok_or_else(|| {
            let names = Named::ALL.map(Named::name).join(", ");
            format!("there is no model `{text}`; there are: {names}")
        })
    }
}

fn unknown_f(f: &str, known: &str) -> String {
    format!("expected {known}, found `{f}`")
}
