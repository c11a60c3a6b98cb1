//! Fenced locks, watched.
//!
//! In a legal order of a [fenced mutex](crate::model::FencedMutex) tokens grow, and the operations of one token are its
//! acquisition, its proofs, its release. So each operation has a *step*, its token and which of the three it is, and
//! there is a legal order if and only if
//!
//! 1. every token was acquired once, and released once at most;
//! 2. nothing was called after something of a higher step had returned.
//!
//! For 2 it is enough to remember, of what returned, what is higher than all that returned before it; and of that nothing
//! that returned before every open call was made, but the last. Tokens below the one of that last are forgotten:
//! whatever is called from now on with one of them is a violation by 2. A proof may return before its acquisition does;
//! then the acquisition is one of those that are open.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Keys, Shown, Violation, Watcher, violation};
use crate::history::{Event, Operation, Outcome};
use crate::verdict::Witness;

/// Fenced locks by key.
#[derive(Default)]
pub(super) struct Fences {
    keys: Keys<Fence>,
}

impl Watcher for Fences {
    fn called(&mut self, invoke: &Event, at: usize) {
        self.keys.called(invoke, |fence| fence.called(invoke, at));
    }

    fn ended(&mut self, operation: &Operation<'_>) -> Option<Witness> {
        self.keys.ended(operation, |fence| fence.ended(operation))
    }

    fn over(&mut self) -> Option<Witness> {
        self.keys.over(|fence| fence.never_acquired(None))
    }

    fn doubt(&self) -> Option<String> {
        self.keys.doubt.clone()
    }

    fn remembers(&self) -> usize {
        self.keys.watched().map(Fence::remembers).sum()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Acquire,
    Prove,
    Release,
}

impl Part {
    fn of(f: &str) -> Option<Part> {
        match f {
            "acquire" => Some(Part::Acquire),
            "prove" => Some(Part::Prove),
            "release" => Some(Part::Release),
            _ => None,
        }
    }
}

type Step = (i64, Part);

/// What is known of a token.
#[derive(Default)]
struct Tenure {
    acquired: Option<Shown>,
    released: Option<Shown>,
    /// The first that returned before its acquisition did.
    early: Option<Shown>,
}

/// One lock.
#[derive(Default)]
struct Fence {
    /// Positions of calls that have not returned.
    open: BTreeSet<usize>,
    /// The acquisitions among them.
    acquiring: BTreeSet<usize>,
    tenures: BTreeMap<i64, Tenure>,
    /// Tokens whose acquisition has not returned.
    early: BTreeSet<i64>,
    /// What returned, if it is higher than all that returned before: by the position of its return.
    highest: VecDeque<(usize, Step, Shown)>,
}

impl Fence {
    fn called(&mut self, invoke: &Event, at: usize) -> Result<(), String> {
        let Some(part) = Part::of(&invoke.f) else {
            return Err(format!(
                "event {}: expected `acquire`, `prove` or `release`, found `{}`",
                invoke.index, invoke.f
            ));
        };
        self.open.insert(at);
        if part == Part::Acquire {
            self.acquiring.insert(at);
        }
        Ok(())
    }

    fn ended(&mut self, operation: &Operation<'_>) -> Result<Result<(), Violation>, String> {
        self.open.remove(&operation.call);
        self.acquiring.remove(&operation.call);
        if let (Outcome::Ok, Some(completion), Some(part)) =
            (operation.outcome(), operation.completion, Part::of(operation.f()))
        {
            let value = if completion.value.is_null() { &operation.invoke.value } else { &completion.value };
            let Some(token) = value.as_i64() else {
                return Err(format!("{}: expected an integer, the fencing token, found `{value}`", operation.events()));
            };
            if let Err(violation) = self.returned(operation, (token, part)) {
                return Ok(Err(violation));
            }
        }
        let ended = self.never_acquired(self.acquiring.first().copied());
        self.forget(operation.ret.unwrap_or(operation.call));
        Ok(ended)
    }

    fn returned(&mut self, operation: &Operation<'_>, step: Step) -> Result<(), Violation> {
        let shown = Shown::of(operation);
        let before = self.highest.partition_point(|(ret, ..)| *ret < operation.call);
        let higher = before.checked_sub(1).map(|at| &self.highest[at]).filter(|(_, higher, _)| *higher > step);
        if let Some((.., higher)) = higher {
            let reason = format!("{}, although {} before that began", shown.words(), higher.words());
            return violation(reason, [shown, higher.clone()]);
        }
        self.note(step, &shown)?;
        let ret = operation.ret.unwrap_or(operation.call);
        if self.highest.back().is_none_or(|(_, highest, _)| *highest < step) {
            self.highest.push_back((ret, step, shown));
        }
        Ok(())
    }

    /// Each token is acquired once, and released once at most.
    fn note(&mut self, (token, part): Step, shown: &Shown) -> Result<(), Violation> {
        let tenure = self.tenures.entry(token).or_default();
        let same = match part {
            Part::Acquire => tenure.acquired.replace(shown.clone()),
            Part::Release => tenure.released.replace(shown.clone()),
            Part::Prove => None,
        };
        if let Some(same) = same {
            let what = if part == Part::Acquire { "no token is given twice" } else { "no token is released twice" };
            let reason = format!("{what}: {}, and {}", same.words(), shown.words());
            return violation(reason, [same, shown.clone()]);
        }
        if tenure.acquired.is_some() {
            self.early.remove(&token);
        } else {
            tenure.early.get_or_insert_with(|| shown.clone());
            self.early.insert(token);
        }
        Ok(())
    }

    /// Whether nobody can have acquired a token any more that was used, if this is the first acquisition that is open.
    fn never_acquired(&self, first: Option<usize>) -> Result<(), Violation> {
        let used = self.early.iter().filter_map(|token| self.tenures[token].early.as_ref());
        let orphan = used.into_iter().find(|used| first.is_none_or(|first| Some(first) > used.ret));
        match orphan {
            None => Ok(()),
            Some(orphan) => {
                let reason = format!("{}, but nobody who called in time acquired that token", orphan.words());
                violation(reason, [orphan.clone()])
            }
        }
    }

    fn forget(&mut self, now: usize) {
        let open = self.open.first().copied().unwrap_or(now + 1);
        while self.highest.get(1).is_some_and(|(ret, ..)| *ret < open) {
            self.highest.pop_front();
        }
        if let Some((_, (token, _), _)) = self.highest.front().filter(|(ret, ..)| *ret < open) {
            // Whether somebody acquires what was used early is not yet told.
            let is_over = |(other, tenure): (&i64, &Tenure)| other < token && tenure.acquired.is_some();
            while self.tenures.first_key_value().is_some_and(is_over) {
                self.tenures.pop_first();
            }
        }
    }

    fn remembers(&self) -> usize {
        self.open.len() + self.tenures.len() + self.highest.len()
    }
}
