//! What a hunt has to say: `hunt.json`, and what an earlier one had found that this one has not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use grudge_nodes::bugs::Bug;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::real::Real;
use super::recipe::Recipe;
use super::round::{Find, Round};
use crate::spec::kebab;
use crate::store;

/// The folder of a store in which hunts are kept, one folder each.
const FOLDER: &str = "hunt";
/// The report's file in its folder.
const FILE: &str = "hunt.json";

/// The report of a hunt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// When it began.
    pub started: Timestamp,
    /// From which all seeds were drawn.
    pub seed: u64,
    /// How long a round could take, in seconds.
    pub budget: f64,
    /// One a bug.
    pub bugs: Vec<Row>,
    /// The same with no bug on.
    pub control: Control,
}

/// A bug, hunted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// The bug.
    pub bug: Bug,
    /// In how many rounds it was found.
    pub found: usize,
    /// What the clients did.
    pub workload: String,
    /// What the nemesis drew from.
    pub menu: String,
    /// The faults that it took the first time, in words.
    pub faults: Vec<String>,
    /// Which judgements were invalid, in any round.
    pub checkers: BTreeSet<String>,
    /// The median of the rounds' runs; none if half of them found nothing.
    pub runs: Option<u64>,
    /// The median of the rounds' seconds; none if half of them found nothing.
    pub seconds: Option<f64>,
    /// Each round.
    pub rounds: Vec<Round>,
    /// On real processes, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real: Option<Real>,
}

/// The recipes with no bug on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Control {
    /// How many runs were wanted.
    pub wanted: u64,
    /// How many there were.
    pub runs: u64,
    /// How many of them were neither valid nor invalid.
    pub unknown: u64,
    /// The invalid ones, at most one a recipe.
    pub invalid: Vec<False>,
    /// How long that took, in seconds.
    pub seconds: f64,
}

/// A complaint about correct replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct False {
    /// The bug whose recipe it was.
    pub recipe: Bug,
    /// What was wrong.
    pub find: Find,
}

impl Row {
    /// The row of a bug, from its rounds.
    #[must_use]
    pub fn new(bug: Bug, recipe: &Recipe, rounds: Vec<Round>, faults: Vec<String>) -> Row {
        let finds = || rounds.iter().filter_map(|round| round.found.as_ref());
        // A round that found nothing took longer than all that did.
        let mut runs: Vec<u64> =
            rounds.iter().map(|round| round.found.as_ref().map_or(u64::MAX, |_| round.runs)).collect();
        let seconds = |round: &Round| round.found.as_ref().map_or(f64::INFINITY, |_| round.seconds);
        let mut seconds: Vec<f64> = rounds.iter().map(seconds).collect();
        runs.sort_unstable();
        seconds.sort_unstable_by(f64::total_cmp);
        let middle = rounds.len() / 2;
        Row {
            bug,
            found: finds().count(),
            workload: recipe.sim.workload.clone(),
            menu: recipe.sim.faults(),
            faults,
            checkers: finds().flat_map(|find| find.checkers.iter().cloned()).collect(),
            runs: runs.get(middle).copied().filter(|runs| *runs < u64::MAX),
            seconds: seconds.get(middle).copied().filter(|seconds| seconds.is_finite()),
            rounds,
            real: None,
        }
    }
}

impl Report {
    /// Keeps the report in a folder of its own. Answers where.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, store: &Path) -> Result<PathBuf> {
        let folder = store::fresh(&store.join(FOLDER), self.started)?;
        store::write(&folder.join(FILE), self.to_json()?.as_bytes())?;
        Ok(folder)
    }

    /// The report for programs.
    ///
    /// # Errors
    /// None that a hunt can cause.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self).context("a report cannot be expressed as JSON")? + "\n")
    }

    /// The report in that file.
    ///
    /// # Errors
    /// It cannot be read or is not the report of a hunt.
    pub fn read(file: &Path) -> Result<Report> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not the report of a hunt", file.display()))
    }

    /// The bugs that were hunted now and not found, but are among those.
    #[must_use]
    pub fn lost(&self, known: &BTreeSet<String>) -> Vec<Bug> {
        let lost = self.bugs.iter().filter(|row| row.found == 0 && known.contains(&kebab(&row.bug)));
        lost.map(|row| row.bug).collect()
    }

    /// The bugs that it found, by name.
    #[must_use]
    pub fn found(&self) -> BTreeSet<String> {
        self.bugs.iter().filter(|row| row.found > 0).map(|row| kebab(&row.bug)).collect()
    }
}

/// The bugs that any hunt of this store has found.
///
/// # Errors
/// A report cannot be read.
pub fn known(store: &Path) -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    let Ok(folders) = std::fs::read_dir(store.join(FOLDER)) else { return Ok(known) };
    for folder in folders {
        let file = folder.context("the store cannot be listed")?.path().join(FILE);
        if file.is_file() {
            known.extend(Report::read(&file)?.found());
        }
    }
    Ok(known)
}
