//! The history of a simulated run, in memory, and the run's clock.

use std::time::Duration;

use anyhow::Result;
use grudge_checkers::history::{Event, History};

use crate::runner::core::{Entry, Record};

/// Events are written at the time that was last set.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    now: Duration,
    history: History,
}

impl Ledger {
    /// It is that late in the run.
    pub(super) fn set(&mut self, now: Duration) {
        self.now = now;
    }

    /// The whole history.
    pub(super) fn into_history(self) -> History {
        self.history
    }
}

impl Record for Ledger {
    fn now(&self) -> Duration {
        self.now
    }

    fn append(&mut self, entry: Entry) -> Result<&Event> {
        let index = self.history.events.len();
        self.history.events.push(entry.at(index, self.now));
        Ok(&self.history.events[index])
    }
}
