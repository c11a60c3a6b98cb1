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
    let mut sessions: BTreeMap<Process, Session<'_>> = BTreeMap::new();
    let mut witnesses = 0;
    for operation in operations.iter().filter(|operation| operation.outcome() == Outcome::Ok) {
        let session = sessions.entry(operation.process()).or_default();
        let Some(seen) = Seen::of(operation) else {
            if !matches!(operation.f(), "read" | "write") {
                session.moved = Some(*operation);
            }
            continue;
        };
        witnesses += usize::from(seen.version > NOTHING);
        if let Some(broken) = session.judge(&seen) {
            return Verdict::Invalid { witness: broken.witness(&seen, session.moved) };
        }
        session.note(seen);
    }
    if witnesses == 0 {
        let reason = "no operation that succeeded has a version, so nobody knows which state it saw".to_owned();
        return Verdict::Unknown { reason };
    }
    Verdict::Valid
}

/// Before every version.
const NOTHING: i64 = i64::MIN;

/// A read or a write, and its version.
#[derive(Clone, Copy)]
struct Seen<'h> {
    operation: Operation<'h>,
    version: i64,
}

impl<'h> Seen<'h> {
    fn of(operation: &Operation<'h>) -> Option<Self> {
        let completion = operation.completion?;
        let version = match (operation.f(), completion.version) {
            ("read" | "write", Some(version)) => version,
            ("read", None) if completion.value == Value::Null => NOTHING,
            _ => return None,
        };
        Some(Seen { operation: *operation, version })
    }

    fn is_write(&self) -> bool {
        self.operation.f() == "write"
    }
}

/// What a session has seen.
#[derive(Default)]
struct Session<'h> {
    /// Of each key the newest.
    newest: FxHashMap<Option<&'h str>, Seen<'h>>,
    /// Of all keys the newest.
    top: Option<Seen<'h>>,
    /// How it last came to another server.
    moved: Option<Operation<'h>>,
}

/// A guarantee, and what was seen before.
struct Broken<'h> {
    guarantee: &'static str,
    before: Seen<'h>,
}

impl<'h> Session<'h> {
    fn judge(&self, seen: &Seen<'h>) -> Option<Broken<'h>> {
        let before = if seen.is_write() {
            self.top.filter(|before| seen.version <= before.version)?
        } else {
            *self.newest.get(&seen.operation.key()).filter(|before| seen.version < before.version)?
        };
        let guarantee = match (before.is_write(), seen.is_write()) {
            (false, false) => "monotonic reads",
            (true, false) => "read your writes",
            (true, true) => "monotonic writes",
            (false, true) => "writes follow reads",
        };
        Some(Broken { guarantee, before })
    }

    fn note(&mut self, seen: Seen<'h>) {
        let newest = self.newest.entry(seen.operation.key()).or_insert(seen);
        if newest.version < seen.version {
            *newest = seen;
        }
        if self.top.is_none_or(|top| top.version < seen.version) {
            self.top = Some(seen);
        }
    }
}

impl Broken<'_> {
    fn witness(&self, seen: &Seen<'_>, moved: Option<Operation<'_>>) -> Witness {
        let Broken { guarantee, before } = self;
        let moved = moved.filter(|moved| moved.call > before.operation.call);
        let mut reason =
            format!("{guarantee}: process {} {}, and then {}", seen.operation.process(), before.words(), seen.words());
        if let Some(moved) = moved {
            let to = moved.completion.map_or(&Value::Null, |completion| &completion.value);
            reason.push_str(&format!("; between the two it did `{}` ({}): {to}", moved.f(), moved.events()));
        }
        let operations = [Some(before.operation), moved, Some(seen.operation)];
        let events = operations.into_iter().flatten();
        let events = events.flat_map(|operation| [Some(operation.invoke), operation.completion]).flatten();
        Witness {
            key: seen.operation.key().filter(|_| !seen.is_write()).map(str::to_owned),
            reason,
            events: events.cloned().collect(),
        }
    }
}

impl Seen<'_> {
    fn words(&self) -> String {
        let value = self.operation.completion.map_or(&Value::Null, |completion| &completion.value);
        let did = if self.is_write() { "wrote" } else { "read" };
        let events = self.operation.events();
        if self.version == NOTHING {
            return format!("{did} nothing ({events})");
        }
        format!("{did} {value} of version {:#x} ({events})", self.version)
    }
}
