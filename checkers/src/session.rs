//! Session guarantees, by version (Terry et al., "Session guarantees for weakly consistent replicated data", 1994).
//!
//! | `f` | `value` | `version` when `ok` |
//! |---|---|---|
//! | `read` | what was read | that of the write which put it there; none if nothing was there |
//! | `write` | what is written | its own |
//!
//! A process is a session: it sees one state of the world, which may be old, and may move from server to server.
//! Versions are given by the system and grow along one order of all writes: a zxid, a revision.
//!
//! - *Monotonic reads*: it reads no version of a key older than one that it has read.
//! - *Read your writes*: it reads no version of a key older than what it has written there.
//! - *Monotonic writes*: its writes get growing versions.
//! - *Writes follow reads*: a write gets a version above all that it has read.
//!
//! Operations by other names (a client that goes to another server) are no part of the promise; the last one before a
//! violation is shown with it. A successful operation without a version is not judged, unless a read found nothing.
//! It costs n log n.

use std::collections::BTreeMap;
use std::hash::Hash;

use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::history::{History, Operation, Outcome, Process};
use crate::verdict::{Verdict, Witness};

/// Whether each session saw the world go forward only.
///
/// A history that cannot be read, or without versions, is `unknown`.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let operations = match history.operations() {
        Ok(operations) => operations,
        Err(error) => return Verdict::Unknown { reason: error.to_string() },
    };
    let mut sessions: BTreeMap<Process, Session<Option<&str>, Operation<'_>>> = BTreeMap::new();
    let mut witnessed = false;
    for operation in operations.iter().filter(|operation| operation.outcome() == Outcome::Ok) {
        let Some(step) = Step::of(operation) else { continue };
        witnessed |= step.has_version();
        let session = sessions.entry(operation.process()).or_default();
        if let Some(broken) = session.take(operation.key(), step, *operation) {
            return Verdict::Invalid { witness: broken.witness(|operation| *operation) };
        }
    }
    if !witnessed {
        return Verdict::Unknown { reason: NO_VERSIONS.to_owned() };
    }
    Verdict::Valid
}

/// Why nothing can be said.
pub(crate) const NO_VERSIONS: &str = "no operation that succeeded has a version, so nobody knows which state it saw";

/// Before every version.
const NOTHING: i64 = i64::MIN;

/// What a session did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It read this version.
    Read(i64),
    /// It wrote this version.
    Write(i64),
    /// Something else; it may have gone to another server.
    Other,
}

impl Step {
    /// None if an operation that succeeded is not judged.
    pub(crate) fn of(operation: &Operation<'_>) -> Option<Step> {
        let completion = operation.completion?;
        match (operation.f(), completion.version) {
            ("read", Some(version)) => Some(Step::Read(version)),
            ("write", Some(version)) => Some(Step::Write(version)),
            ("read", None) if completion.value == Value::Null => Some(Step::Read(NOTHING)),
            ("read" | "write", None) => None,
            _ => Some(Step::Other),
        }
    }

    pub(crate) fn has_version(self) -> bool {
        matches!(self, Step::Read(version) | Step::Write(version) if version > NOTHING)
    }
}

/// What was read or written, by an operation that is remembered as `O`.
#[derive(Clone)]
struct Seen<O> {
    operation: O,
    version: i64,
    is_write: bool,
}

/// What a session has seen, of keys that are remembered as `K`.
pub(crate) struct Session<K, O> {
    /// Of each key the newest.
    newest: FxHashMap<K, Seen<O>>,
    /// Of all keys the newest.
    top: Option<Seen<O>>,
    /// How it last came to another server.
    moved: Option<O>,
}

impl<K, O> Default for Session<K, O> {
    fn default() -> Self {
        Session { newest: FxHashMap::default(), top: None, moved: None }
    }
}

/// A guarantee, what was seen before, and what was seen after it.
pub(crate) struct Broken<O> {
    guarantee: &'static str,
    before: Seen<O>,
    moved: Option<O>,
    seen: Seen<O>,
}

impl<K: Eq + Hash, O: Clone> Session<K, O> {
    /// Takes what a session did next, on that key, and answers with what that broke.
    pub(crate) fn take(&mut self, key: K, step: Step, operation: O) -> Option<Broken<O>> {
        let (version, is_write) = match step {
            Step::Read(version) => (version, false),
            Step::Write(version) => (version, true),
            Step::Other => {
                self.moved = Some(operation);
                return None;
            }
        };
        let seen = Seen { operation, version, is_write };
        let before = match is_write {
            true => self.top.as_ref().filter(|before| version <= before.version),
            false => self.newest.get(&key).filter(|before| version < before.version),
        };
        if let Some(before) = before {
            let guarantee = match (before.is_write, is_write) {
                (false, false) => "monotonic reads",
                (true, false) => "read your writes",
                (true, true) => "monotonic writes",
                (false, true) => "writes follow reads",
            };
            return Some(Broken { guarantee, before: before.clone(), moved: self.moved.clone(), seen });
        }
        if self.top.as_ref().is_none_or(|top| top.version < version) {
            self.top = Some(seen.clone());
        }
        let newest = self.newest.entry(key).or_insert_with(|| seen.clone());
        if newest.version < version {
            *newest = seen;
        }
        None
    }

    /// How much it remembers.
    pub(crate) fn remembers(&self) -> usize {
        self.newest.len() + usize::from(self.moved.is_some())
    }
}

impl<O> Broken<O> {
    /// The operations that show it.
    pub(crate) fn witness<'o>(&'o self, operation: impl Fn(&'o O) -> Operation<'o>) -> Witness {
        let Broken { guarantee, before, moved, seen } = self;
        let (first, then) = (operation(&before.operation), operation(&seen.operation));
        let moved = moved.as_ref().map(operation).filter(|moved| moved.call > first.call);
        let (earlier, later) = (before.words(&first), seen.words(&then));
        let mut reason = format!("{guarantee}: process {} {earlier}, and then {later}", then.process());
        if let Some(moved) = moved {
            let to = moved.completion.map_or(&Value::Null, |completion| &completion.value);
            reason.push_str(&format!("; between the two it did `{}` ({}): {to}", moved.f(), moved.events()));
        }
        let operations = [Some(first), moved, Some(then)];
        let events = operations.into_iter().flatten();
        let events = events.flat_map(|operation| [Some(operation.invoke), operation.completion]).flatten();
        Witness {
            key: then.key().filter(|_| !seen.is_write).map(str::to_owned),
            reason,
            events: events.cloned().collect(),
        }
    }
}

impl<O> Seen<O> {
    fn words(&self, operation: &Operation<'_>) -> String {
        let value = operation.completion.map_or(&Value::Null, |completion| &completion.value);
        let did = if self.is_write { "wrote" } else { "read" };
        let events = operation.events();
        if self.version == NOTHING {
            return format!("{did} nothing ({events})");
        }
        format!("{did} {value} of version {:#x} ({events})", self.version)
    }
}
