//! The schedule: what the nemesis did and when. A seed fixes what is drawn; this file fixes what happened.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::fault::Fault;
use crate::store;

/// One fault in the schedule. Times are seconds of the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Entry {
    /// When it was decided.
    pub(crate) start: f64,
    /// When it was taken away again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop: Option<f64>,
    /// Why it was not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// What was drawn: `partition = "leader"`.
    pub(crate) drawn: Fault,
    /// What that meant: the same fault with its nodes named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<Fault>,
}

/// The schedule of a run, written anew after each change so that a crash loses nothing.
pub(crate) struct Schedule {
    path: Option<PathBuf>,
    file: File,
}

#[derive(Serialize)]
struct File {
    fault: Vec<Entry>,
}

impl Schedule {
    /// An empty schedule that is kept in this file, or in memory only.
    pub(crate) fn new(path: Option<PathBuf>) -> Schedule {
        Schedule { path, file: File { fault: Vec::new() } }
    }

    /// A fault was decided; answers its place.
    pub(crate) fn decided(&mut self, time: Duration, drawn: &Fault) -> usize {
        self.file.fault.push(Entry { start: seconds(time), stop: None, error: None, drawn: drawn.clone(), done: None });
        self.file.fault.len() - 1
    }

    /// The fault at that place came into force.
    pub(crate) fn in_force(&mut self, place: usize, done: &Fault) -> Result<()> {
        self.file.fault[place].done = Some(done.clone());
        self.save()
    }

    /// The fault at that place did not.
    pub(crate) fn refused(&mut self, place: usize, error: &str) -> Result<()> {
        self.file.fault[place].error = Some(error.to_owned());
        self.save()
    }

    /// The fault at that place was taken away.
    pub(crate) fn stopped(&mut self, place: usize, time: Duration) -> Result<()> {
        self.file.fault[place].stop = Some(seconds(time));
        self.save()
    }

    /// Writes the file, also an empty one.
    pub(crate) fn save(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let text = toml::to_string_pretty(&self.file).context("a schedule cannot be expressed as TOML")?;
        store::write(path, text.as_bytes())
    }
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}
