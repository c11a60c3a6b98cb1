//! What a run has to say: on the terminal, as JSON, as one HTML file, as JUnit. One exporter a file, all of them
//! from the same [`Results`].

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use grudge_checkers::history::History;
use grudge_checkers::verdict::Verdict;
use grudge_workloads::workload::Judgement;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::spec::Spec;
use crate::store::{self, RunFolder};

mod html;
mod junit;
mod plot;
pub mod summary;
pub mod terminal;

pub use summary::{FaultSpan, Latency, Operations};

/// The outcome of one run, as `results.json` holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The test's name.
    pub test: String,
    /// The worst of all judgements.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Each promise, and whether it was kept.
    pub judgements: Vec<Judged>,
    /// Operations by name.
    pub operations: BTreeMap<String, Operations>,
    /// Faults in their order.
    pub faults: Vec<FaultSpan>,
    /// When the run began.
    pub started: Timestamp,
    /// How long it lasted, in seconds, from the first operation to the last.
    pub seconds: f64,
    /// What was run, with everything resolved.
    pub spec: Spec,
}

/// One promise and whether it was kept: a [`Judgement`] that can be stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The checker's name.
    pub checker: String,
    /// What it says.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// A finding does not count into the run's verdict.
    pub finding: bool,
}

impl From<Judgement> for Judged {
    fn from(judgement: Judgement) -> Judged {
        Judged { checker: judgement.checker, verdict: judgement.verdict, finding: judgement.finding }
    }
}

impl Results {
    /// Draws the line under a run.
    ///
    /// # Errors
    /// The history's calls do not pair, which the runner's always do.
    pub fn new(spec: Spec, started: Timestamp, history: &History, judgements: Vec<Judgement>) -> Result<Results> {
        let judgements: Vec<Judged> = judgements.into_iter().map(Judged::from).collect();
        Ok(Results {
            test: spec.name(),
            verdict: overall(&judgements),
            operations: summary::operations(&history.operations()?),
            faults: summary::faults(history),
            judgements,
            started,
            seconds: history.events.last().map_or(0.0, |event| event.time as f64 / 1e9),
            spec,
        })
    }

    /// Reads the outcome of an earlier run.
    ///
    /// # Errors
    /// The run has none (it was cut short), or the file is damaged.
    pub fn read(folder: &RunFolder) -> Result<Results> {
        let path = folder.results();
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read {}: the run was cut short; `grudge check` still judges its history.csv",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Writes `results.json`, `report.html` and `junit.xml` into the run's folder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &RunFolder, history: &History) -> Result<()> {
        store::write(&folder.results(), self.to_json()?.as_bytes())?;
        store::write(&folder.html(), html::page(self, history)?.as_bytes())?;
        store::write(&folder.junit(), junit::render(self)?.as_bytes())
    }

    /// The outcome for programs.
    ///
    /// # Errors
    /// None that a run can cause.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self).context("results cannot be expressed as JSON")? + "\n")
    }
}

/// The worst of what counts.
#[must_use]
pub fn overall(judgements: &[Judged]) -> Verdict {
    judgements
        .iter()
        .filter(|judged| !judged.finding)
        .fold(Verdict::Valid, |worst, judged| worst.worst(judged.verdict.clone()))
}
