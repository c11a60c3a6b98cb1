//! The journal: the one writer of a run's history. It owns the file, the index and the clock.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use grudge_checkers::history::csv::Writer;
use grudge_checkers::history::{Event, History, Kind, Process};
use tokio::sync::watch;
use tokio::time::Instant;

use super::core::{Entry, Record};
use crate::store;

/// The history as it grows, on disk and in memory.
pub(crate) struct Journal {
    writer: Writer<Box<dyn Write + Send>>,
    history: History,
    start: Instant,
    place: String,
    acknowledged: watch::Sender<u64>,
}

impl Journal {
    /// A journal that writes a new file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn create(path: &Path) -> Result<Journal> {
        let place = path.display().to_string();
        let file = File::create(path).with_context(|| advice(&place))?;
        Journal::new(Box::new(file), place)
    }

    /// A journal that writes anywhere; `place` is how errors call it.
    ///
    /// # Errors
    /// The header cannot be written.
    pub(crate) fn new(sink: Box<dyn Write + Send>, place: String) -> Result<Journal> {
        let writer = Writer::new(sink).with_context(|| advice(&place))?;
        let acknowledged = watch::Sender::new(0);
        Ok(Journal { writer, history: History::default(), start: Instant::now(), place, acknowledged })
    }

    /// How many operations have succeeded for a client.
    pub(crate) fn acknowledged(&self) -> watch::Receiver<u64> {
        self.acknowledged.subscribe()
    }

    /// The moment that stands at this time of the run.
    pub(crate) fn moment(&self, time: Duration) -> Instant {
        self.start + time
    }

    /// The whole history.
    pub(crate) fn into_history(self) -> History {
        self.history
    }
}

impl Record for Journal {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// From then on the event is safe from a crash of the harness.
    fn append(&mut self, entry: Entry) -> Result<&Event> {
        let event = entry.at(self.history.events.len(), self.now());
        self.writer.append(&event).with_context(|| advice(&self.place))?;
        if event.kind == Kind::Ok && event.process != Process::Nemesis {
            self.acknowledged.send_modify(|count| *count += 1);
        }
        self.history.events.push(event);
        Ok(self.history.events.last().expect("an event was just pushed"))
    }
}

fn advice(place: &str) -> String {
    format!("cannot write the history {place}: {}", store::ADVICE)
}
