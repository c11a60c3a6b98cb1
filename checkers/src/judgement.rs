//! What a check came to: the verdict, and what stands behind it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::history::{Event, ReadError, Tape};
use crate::verdict::{Verdict, Witness};

/// A verdict with what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// What decided, and how many objects (keys) it decided each.
    pub deciders: BTreeMap<Decider, usize>,
    /// How many client operations were judged.
    pub operations: usize,
    /// For each object that has one, a legal order: what makes it valid.
    pub orders: Vec<Linearization>,
    /// If the verdict is unknown because a search was given up: as far as it came with the first object that it gave up.
    pub prefix: Option<Linearization>,
    /// What else was found: the rungs of a ladder, anomalies by name, counts. One line each.
    pub notes: Vec<String>,
}

impl Judgement {
    /// A verdict by itself.
    #[must_use]
    pub fn bare(verdict: Verdict, operations: usize) -> Judgement {
        let (deciders, orders, notes) = (BTreeMap::new(), Vec::new(), Vec::new());
        Judgement { verdict, deciders, operations, orders, prefix: None, notes }
    }

    /// The same of a history that could perhaps not be read to its end: all before the damage was judged, and what is valid
    /// so far is then `unknown`.
    pub(crate) fn damaged(mut self, played: Result<(), ReadError>) -> Judgement {
        if let Err(damage) = played {
            let reason = format!("the history is damaged ({damage}); only what comes before was judged");
            self.verdict = self.verdict.worst(Verdict::Unknown { reason });
        }
        self
    }
}

/// A legal order of one key's operations: the proof that they are linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linearization {
    /// The key, if the operations have one.
    pub key: Option<String>,
    /// The positions of the operations' calls among the history's events. Operations that did not happen, or of which it
    /// makes no difference, are left out.
    pub order: Vec<usize>,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decider {
    /// The search for a legal order.
    Search,
    /// The zones of a register whose every value was written once.
    UniqueValues,
    /// Cycles in the dependencies of transactions.
    Dependencies,
    /// The order of the versions that the system gave, of a register.
    Versions,
    /// The order of a queue whose every value was enqueued once.
    Queue,
    /// The nesting of a stack whose every value was pushed once.
    Stack,
    /// The smallest first, in a priority queue whose every value was inserted once.
    PriorityQueue,
    /// The elements of a set, one by one.
    Set,
}

impl Decider {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Decider::Search => "search",
            Decider::UniqueValues => "unique values",
            Decider::Dependencies => "dependencies",
            Decider::Versions => "versions",
            Decider::Queue => "queue of unique values",
            Decider::Stack => "stack of unique values",
            Decider::PriorityQueue => "priority queue of unique values",
            Decider::Set => "set, element by element",
        }
    }
}

impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A check in progress: it is fed a history event by event and keeps of it what it needs.
pub trait Checking: Send {
    /// Takes the next event. A check that watches a system while it runs answers with the contradiction, if this event
    /// made one that nothing to come can mend; others answer at the end.
    fn push(&mut self, event: &Event) -> Option<Witness>;

    /// The judgement of all that was pushed. The tape gives the same events again, those that a witness shows.
    fn finish(self: Box<Self>, tape: &dyn Tape) -> Judgement;
}
