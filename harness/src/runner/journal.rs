//! The journal: the one writer of a run's history. It owns the file, the index and the clock.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use grudge_checkers::history::csv::Writer;
use grudge_checkers::history::{Event, History, Kind, Process};
use serde_json::Value;
use tokio::time::Instant;

use crate::store;

/// An event without its place in the history: what, but not when.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) process: Process,
    pub(crate) kind: Kind,
    pub(crate) f: String,
    pub(crate) key: Option<String>,
    pub(crate) value: Value,
    pub(crate) node: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) version: Option<i64>,
}

/// The history as it grows, on disk and in memory.
pub(crate) struct Journal {
    writer: Writer<Box<dyn Write + Send>>,
    history: History,
    start: Instant,
    place: String,
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
        Ok(Journal { writer, history: History::default(), start: Instant::now(), place })
    }

    /// Time since the start of the run.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The moment that stands at this time of the run.
    pub(crate) fn moment(&self, time: Duration) -> Instant {
        self.start + time
    }

    /// Appends an event, now. From then on it is safe from a crash of the harness.
    ///
    /// # Errors
    /// The history cannot be written, which is a failure of the harness.
    pub(crate) fn append(&mut self, entry: Entry) -> Result<&Event> {
        let event = Event {
            index: self.history.events.len() as u64,
            time: u64::try_from(self.now().as_nanos()).expect("a run is shorter than 584 years"),
            process: entry.process,
            kind: entry.kind,
            f: entry.f,
            key: entry.key,
            value: entry.value,
            node: entry.node,
            error: entry.error,
            version: entry.version,
            extra: Vec::new(),
        };
        self.writer.append(&event).with_context(|| advice(&self.place))?;
        self.history.events.push(event);
        Ok(self.history.events.last().expect("an event was just pushed"))
    }

    /// The whole history.
    pub(crate) fn into_history(self) -> History {
        self.history
    }
}

fn advice(place: &str) -> String {
    format!("cannot write the history {place}: {}", store::ADVICE)
}
