//! The checkers of this crate, by name.

use std::str::FromStr;

use crate::history::History;
use crate::linearizability::Limits;
use crate::model::Named;
use crate::set::LocalReads;
use crate::verdict::Verdict;
use crate::{lease, pairs, session, set};

/// What a history can be judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checker {
    /// Whether it is linearizable by a model.
    Linearizable(Named),
    /// Whether a set that only grows lost anything: [`set`].
    Set,
    /// Whether leases live their time: [`lease`].
    Lease,
    /// Whether each session sees the world go forward: [`session`].
    Session,
    /// Whether transactions of two are seen whole: [`pairs`].
    Pairs,
}

impl Checker {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Checker> {
        let others = [Checker::Set, Checker::Lease, Checker::Session, Checker::Pairs];
        Named::ALL.into_iter().map(Checker::Linearizable).chain(others)
    }

    /// Its name on a command line; for linearizability, that of the model.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Checker::Linearizable(model) => model.name(),
            Checker::Set => "set",
            Checker::Lease => "lease",
            Checker::Session => "session",
            Checker::Pairs => "pairs",
        }
    }

    /// What it asks, as reports call it.
    #[must_use]
    pub fn title(self) -> String {
        match self {
            Checker::Linearizable(model) => format!("linearizable {}", model.name()),
            Checker::Set => "set-full".to_owned(),
            Checker::Lease => "lease".to_owned(),
            Checker::Session => "session guarantees".to_owned(),
            Checker::Pairs => "read-atomic pairs".to_owned(),
        }
    }

    /// What it says of a history. The limits are those of a search; only linearizability needs one.
    #[must_use]
    pub fn check(self, history: &History, limits: &Limits) -> Verdict {
        match self {
            Checker::Linearizable(model) => model.check(history, limits),
            Checker::Set => set::check(history, LocalReads::MayBeStale),
            Checker::Lease => lease::check(history),
            Checker::Session => session::check(history),
            Checker::Pairs => pairs::check(history),
        }
    }
}

impl FromStr for Checker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Checker::all().find(|checker| checker.name() == text).ok_or_else(|| {
            let names = Checker::all().map(Checker::name).collect::<Vec<_>>().join(", ");
            format!("there is no checker `{text}`; there are: {names}")
        })
    }
}
