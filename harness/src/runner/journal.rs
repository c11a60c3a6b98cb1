//! The journal: the one writer of a run's history. It owns the file, the index and the clock.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use grudge_checkers::history::csv::{self, Writer};
use grudge_checkers::history::{Event, History, Kind, Process};
use tokio::sync::watch;
use tokio::time::Instant;

use super::core::{Entry, Record};
use crate::store;

/// The history as it grows on the disk. Of what was written only the last event is kept.
pub(crate) struct Journal {
    writer: Writer<File>,
    last: Event,
    written: usize,
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
        let writer = Writer::new(file).with_context(|| advice(&place))?;
        let acknowledged = watch::Sender::new(0);
        Ok(Journal { writer, last: Event::empty(), written: 0, start: Instant::now(), place, acknowledged })
    }

    /// How many operations have succeeded for a client.
    pub(crate) fn acknowledged(&self) -> watch::Receiver<u64> {
        self.acknowledged.subscribe()
    }

    /// The moment that stands at this time of the run.
    pub(crate) fn moment(&self, time: Duration) -> Instant {
        self.start + time
    }

    /// Hands what was appended to the operating system. From then on it is safe from a crash of the harness.
    ///
    /// # Errors
    /// The history cannot be written, which is a failure of the harness.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.writer.flush().with_context(|| advice(&self.place))
    }
}

impl Record for Journal {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn append(&mut self, entry: Entry) -> Result<&Event> {
        self.last = entry.at(self.written, self.now());
        self.writer.append(&self.last).with_context(|| advice(&self.place))?;
        self.written += 1;
        if self.last.kind == Kind::Ok && self.last.process != Process::Nemesis {
            self.acknowledged.send_modify(|count| *count += 1);
        }
        Ok(&self.last)
    }
}

/// Reads what a journal has written.
///
/// # Errors
/// The file is not what was written.
pub(super) fn read(path: &Path) -> Result<History> {
    let place = path.display();
    let file = File::open(path).with_context(|| format!("cannot read the history {place} again"))?;
    match csv::read(file) {
        (history, None) => Ok(history),
        (_, Some(damage)) => Err(anyhow!("the history {place} is not what was written: {damage}")),
    }
}

fn advice(place: &str) -> String {
    format!("cannot write the history {place}: {}", store::ADVICE)
}
