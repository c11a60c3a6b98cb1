//! Sessions, watched: as [`session`](crate::session) judges them. A session ends when an outcome is unknown to it.

use rustc_hash::FxHashMap;

use super::{Shown, Watcher};
use crate::history::{Event, Operation, Outcome, Process};
use crate::session::{Session, Step};
use crate::verdict::Witness;

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions {
    sessions: FxHashMap<Process, Session<Option<Box<str>>, Shown>>,
    /// Whether anything had a version.
    witnessed: bool,
}

impl Watcher for Sessions {
    fn called(&mut self, _: &Event, _: usize) {}

    fn ended(&mut self, operation: &Operation<'_>) -> Option<Witness> {
        match operation.outcome() {
            Outcome::Ok => {}
            Outcome::Fail => return None,
            Outcome::Info => {
                self.sessions.remove(&operation.process());
                return None;
            }
        }
        let step = Step::of(operation)?;
        self.witnessed |= step.has_version();
        let session = self.sessions.entry(operation.process()).or_default();
        let broken = session.take(operation.key().map(Box::from), step, Shown::of(operation))?;
        Some(broken.witness(Shown::operation))
    }

    fn doubt(&self) -> Option<String> {
        (!self.witnessed).then(|| crate::session::NO_VERSIONS.to_owned())
    }

    fn remembers(&self) -> usize {
        self.sessions.values().map(Session::remembers).sum()
    }
}
