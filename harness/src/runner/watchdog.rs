//! The watchdog: sees each event as it is written, and catches what breaks a promise beyond repair.

use std::time::Duration;

use grudge_checkers::history::Event;
use grudge_workloads::workload::Watched;

/// What cuts a run short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caught {
    /// Which promise is broken.
    pub(crate) checker: String,
    /// Why, in words.
    pub(crate) reason: String,
    /// The event that broke it.
    pub(crate) index: u64,
    /// When it was written.
    pub(crate) time: Duration,
}

/// See the module's text. One with nothing to watch never catches anything.
#[derive(Default)]
pub(crate) struct Watchdog {
    watched: Vec<Watched>,
    caught: Option<Caught>,
}

impl Watchdog {
    pub(crate) fn new(watched: Vec<Watched>) -> Watchdog {
        Watchdog { watched, caught: None }
    }

    /// Sees the next event.
    pub(crate) fn see(&mut self, event: &Event) {
        for Watched { checker, check } in &mut self.watched {
            if let Some(witness) = check.push(event) {
                self.caught.get_or_insert_with(|| Caught {
                    checker: checker.clone(),
                    reason: witness.key.map_or_else(String::new, |key| format!("of key `{key}`, ")) + &witness.reason,
                    index: event.index,
                    time: Duration::from_nanos(event.time),
                });
            }
        }
    }

    /// What was caught first.
    pub(crate) fn caught(&self) -> Option<&Caught> {
        self.caught.as_ref()
    }
}
