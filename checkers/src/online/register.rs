//! Registers whose every value is written once, watched.
//!
//! A value is *seen* once somebody returned who shows that it was written: its writer, who reads it or takes it away, or
//! who shows the same of a value that a compare-and-set made of it. Until then its write is *pending*: open, or of
//! unknown outcome. Seen values belong to [runs](super::zones). What is a violation, as in the decider of the whole
//! history:
//!
//! 1. a value is observed that nobody who was called in time wrote, or whose write failed;
//! 2. two compare-and-sets take the same value away, or some take theirs from each other in a ring;
//! 3. a value is observed by a call that was made after somebody returned who shows that it had been taken away;
//! 4. two runs clash.
//!
//! By 3, a run is in order inside: who takes a value is seen at some moment for the first time, and nothing that comes later
//! in the run has returned before. Each is looked for at each return, so that whatever the whole history shows is found
//! with its last event.
//!
//! # What is forgotten
//!
//! Runs as in [`Zones::forget`], and of a run the values that were taken away before every open call was made: to observe
//! them from now on is a violation by 3. A value that is not remembered cannot be observed: it was never written, or is
//! forgotten. A pending write of unknown outcome stays.
//!
//! If a forgotten value is written again nobody notices, and nothing goes wrong: by the argument for forgetting, which only
//! speaks of calls that had returned, whoever is called later cannot have it from the first write.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use serde_json::Value;
use std::sync::Arc;

use super::zones::{End, RunId, Zones};
use super::{Keys, Shown, Violation, Watcher, violation};
use crate::history::{Event, Operation, Outcome};
use crate::verdict::Witness;

/// Whether reads are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// They are part of the promise.
    Judged,
    /// A node may be behind.
    Ignored,
}

/// Registers by key.
pub(super) struct Registers {
    reads: Reads,
    keys: Keys<Register>,
}

impl Registers {
    pub(super) fn new(reads: Reads) -> Self {
        Registers { reads, keys: Keys::default() }
    }

    fn matters(&self, f: &str) -> bool {
        f != "read" || self.reads == Reads::Judged
    }
}

impl Watcher for Registers {
    fn called(&mut self, invoke: &Event, at: usize) {
        if self.matters(&invoke.f) {
            self.keys.called(invoke, |register| register.called(invoke, at));
        }
    }

    fn ended(&mut self, operation: &Operation<'_>) -> Option<Witness> {
        if !self.matters(operation.f()) {
            return None;
        }
        self.keys.ended(operation, |register| Ok(register.ended(operation)))
    }

    fn doubt(&self) -> Option<String> {
        self.keys.doubt.clone()
    }

    fn remembers(&self) -> usize {
        self.keys.watched().map(Register::remembers).sum()
    }
}

/// A value, small if it can be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Natural(u64),
    Text(Box<str>),
}

impl Name {
    fn of(value: &Value) -> Name {
        value.as_u64().map_or_else(|| Name::Text(value.to_string().into()), Name::Natural)
    }
}

/// A write that nobody shows to have happened.
struct Pending {
    /// What a compare-and-set found.
    old: Option<Name>,
    call: usize,
    invoke: Arc<Event>,
}

impl Pending {
    fn shown(&self) -> Shown {
        Shown { invoke: Arc::clone(&self.invoke), completion: None, call: self.call, ret: None }
    }
}

/// A value that was there.
struct Seen {
    run: RunId,
    /// None for what was there in the beginning.
    writer: Option<Shown>,
    taken: Option<Taken>,
}

/// That a value was taken away.
struct Taken {
    /// Position by which it was.
    by: usize,
    /// Who took it.
    taker: Shown,
    /// Whose return shows it.
    evidence: Shown,
}

/// One register.
struct Register {
    /// Positions of calls that have not returned.
    open: BTreeSet<usize>,
    pending: FxHashMap<Name, Pending>,
    seen: FxHashMap<Name, Seen>,
    runs: Zones,
    /// When to forget again.
    full: usize,
}

/// So little is not worth forgetting.
const LITTLE: usize = 16;

impl Default for Register {
    fn default() -> Self {
        let mut runs = Zones::default();
        let nothing = Seen { run: runs.begin(), writer: None, taken: None };
        let seen = FxHashMap::from_iter([(Name::of(&Value::Null), nothing)]);
        Register { open: BTreeSet::new(), pending: FxHashMap::default(), seen, runs, full: LITTLE }
    }
}

impl Register {
    /// A call was made.
    ///
    /// # Errors
    /// It is not for here: why.
    fn called(&mut self, invoke: &Event, at: usize) -> Result<(), String> {
        let event = || format!("event {}", invoke.index);
        let (old, new) = match (invoke.f.as_str(), invoke.value.as_array().map(Vec::as_slice)) {
            ("read", _) => (None, None),
            ("write", _) => (None, Some(Name::of(&invoke.value))),
            ("cas", Some([old, new])) => (Some(Name::of(old)), Some(Name::of(new))),
            ("cas", _) => {
                return Err(format!(
                    "{}: expected `[old, new]` as the value of a cas, found `{}`",
                    event(),
                    invoke.value
                ));
            }
            (f, _) => return Err(format!("{}: expected `read`, `write` or `cas`, found `{f}`", event())),
        };
        self.open.insert(at);
        let Some(new) = new else { return Ok(()) };
        if self.seen.contains_key(&new) || self.pending.contains_key(&new) || old.as_ref() == Some(&new) {
            return Err(format!("{}: {} is written a second time", event(), invoke.value));
        }
        self.pending.insert(new, Pending { old, call: at, invoke: Arc::new(invoke.clone()) });
        Ok(())
    }

    /// A call ended.
    ///
    /// # Errors
    /// The violation that this made.
    fn ended(&mut self, operation: &Operation<'_>) -> Result<(), Violation> {
        self.open.remove(&operation.call);
        let (value, is_read) = match (operation.f(), operation.completion) {
            ("read", Some(completion)) => (&completion.value, true),
            ("cas", _) => (&operation.invoke.value[1], false),
            _ => (&operation.invoke.value, false),
        };
        let name = Name::of(value);
        match operation.outcome() {
            Outcome::Ok => self.returned(operation, &name, is_read)?,
            Outcome::Fail if !is_read => self.failed(operation, &name)?,
            Outcome::Fail | Outcome::Info => {}
        }
        if self.seen.len() + self.runs.len() > self.full {
            self.forget(operation.ret.unwrap_or(operation.call));
        }
        Ok(())
    }

    fn failed(&mut self, operation: &Operation<'_>, name: &Name) -> Result<(), Violation> {
        if self.pending.remove(name).is_some() {
            return Ok(());
        }
        let Some(seen) = self.seen.get(name) else { return Ok(()) };
        let failed = Shown::of(operation);
        let evidence = self.runs.zone(seen.run).first.iter().chain(&self.runs.zone(seen.run).last);
        let evidence: Vec<Shown> = evidence.map(|end| end.shown.clone()).collect();
        let saw = evidence.first().map_or_else(String::new, Shown::words);
        let events = operation.events();
        violation(
            format!("{saw}, but the update that could have put it there had failed ({events})"),
            [failed].into_iter().chain(evidence),
        )
    }

    fn returned(&mut self, operation: &Operation<'_>, name: &Name, is_read: bool) -> Result<(), Violation> {
        let shown = Shown::of(operation);
        let ret = operation.ret.unwrap_or(operation.call);
        self.see(name, &shown, ret)?;
        let Some(seen) = self.seen.get_mut(name) else { return Ok(()) };
        if is_read {
            if let Some(Taken { taker, evidence, .. }) = seen.taken.as_ref().filter(|taken| taken.by < operation.call) {
                let reason = match taker.invoke.index == evidence.invoke.index {
                    true => format!("{}, although {} before that began", shown.words(), taker.words()),
                    false => format!(
                        "{}, although {}, and {} before that began, which shows it",
                        shown.words(),
                        taker.words(),
                        evidence.words()
                    ),
                };
                return violation(
                    reason,
                    [shown, taker.clone(), evidence.clone()].into_iter().chain(seen.writer.clone()),
                );
            }
        } else {
            seen.writer = Some(shown.clone());
        }
        let (run, made_by) = (seen.run, seen.writer.clone());
        let end = || End { shown, made_by };
        match self.runs.extend(run, operation.call, Some(ret), end) {
            Some(other) => self.clash(run, other),
            None => Ok(()),
        }
    }

    /// Somebody returned who shows that this value was there.
    fn see(&mut self, name: &Name, evidence: &Shown, ret: usize) -> Result<(), Violation> {
        let mut writes: Vec<(Name, Pending)> = Vec::new();
        let mut next = Some(name.clone());
        while let Some(value) = next.take().filter(|value| !self.seen.contains_key(value)) {
            let Some(pending) = self.pending.remove(&value) else {
                return self.nowhere(&value, &writes, evidence);
            };
            next.clone_from(&pending.old);
            writes.push((value, pending));
        }
        while let Some((value, pending)) = writes.pop() {
            let writer = pending.shown();
            let end = |shown: &Shown| End { shown: shown.clone(), made_by: Some(writer.clone()) };
            let run = match pending.old.as_ref().and_then(|old| self.seen.get_mut(old)) {
                None => self.runs.add(pending.call, ret, end(evidence), end(&writer)),
                Some(old) => {
                    if let Some(Taken { taker, evidence: earlier, .. }) = &old.taken {
                        let reason = format!(
                            "{} and {} found the same value, and both took it away",
                            taker.words(),
                            writer.words()
                        );
                        let shown = [taker.clone(), earlier.clone(), writer.clone(), evidence.clone()];
                        return violation(reason, shown.into_iter().chain(old.writer.clone()));
                    }
                    old.taken = Some(Taken { by: ret, taker: writer.clone(), evidence: evidence.clone() });
                    let run = old.run;
                    if let Some(other) = self.runs.extend(run, pending.call, Some(ret), || end(&writer)) {
                        return self.clash(run, other);
                    }
                    run
                }
            };
            self.seen.insert(value, Seen { run, writer: Some(writer), taken: None });
            if let Some(other) = self.runs.clash(run) {
                return self.clash(run, other);
            }
        }
        Ok(())
    }

    fn nowhere(&self, value: &Name, writes: &[(Name, Pending)], evidence: &Shown) -> Result<(), Violation> {
        let text = match value {
            Name::Natural(number) => number.to_string(),
            Name::Text(text) => text.to_string(),
        };
        let takers: Vec<Shown> = writes.iter().map(|(_, pending)| pending.shown()).collect();
        let ring = writes.iter().any(|(made, _)| made == value);
        let reason = match (takers.last(), ring) {
            (_, true) => {
                let told: Vec<String> = takers.iter().map(Shown::words).collect();
                format!("each of these found what another left, so none can have been the first: {}", told.join("; "))
            }
            (Some(taker), false) => format!(
                "{}, and {} shows that it happened, but {text} was not there: it was never written, or surely replaced before",
                taker.words(),
                evidence.words()
            ),
            (None, false) => format!(
                "{}, but {text} was not there: it was never written, or surely replaced before that began",
                evidence.words()
            ),
        };
        violation(reason, takers.into_iter().chain([evidence.clone()]))
    }

    fn clash(&self, one: RunId, other: RunId) -> Result<(), Violation> {
        let (one, other) = (self.runs.zone(one), self.runs.zone(other));
        let ends = [&one.first, &one.last, &other.first, &other.last].into_iter().flatten();
        let shown = ends.flat_map(|end| [Some(end.shown.clone()), end.made_by.clone()]).flatten();
        let before = |first: &Option<End>, last: &Option<End>| match (first, last) {
            (Some(first), Some(last)) => Some(format!("{} before {} began", first.shown.words(), last.shown.words())),
            _ => None,
        };
        let why: Vec<String> =
            [before(&one.first, &other.last), before(&other.first, &one.last)].into_iter().flatten().collect();
        violation(format!("no order fits: {}", why.join("; ")), shown)
    }

    fn forget(&mut self, now: usize) {
        let open = self.open.first().copied().unwrap_or(now + 1);
        self.runs.forget(open);
        let runs = &self.runs;
        self.seen.retain(|_, seen| {
            let taken = seen.taken.as_ref().is_some_and(|taken| taken.by < open);
            !taken && runs.is_remembered(seen.run)
        });
        self.full = 2 * (self.seen.len() + self.runs.len()) + LITTLE;
    }

    fn remembers(&self) -> usize {
        self.open.len() + self.pending.len() + self.seen.len() + self.runs.len()
    }
}
