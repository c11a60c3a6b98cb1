//! What a suite has to say. One exporter a file, all of them from the same [`Report`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::outcome::{Expect, Outcome, Standing};
use super::shard::Shard;
use super::{LeftOut, Suite, Test, junit, markdown};
use crate::exit::Exit;
use crate::store;

/// The report of a suite, as `suite.json` holds it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The suite's name.
    pub suite: String,
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// From which the seeds were drawn that the file does not say.
    pub seed: u64,
    /// Which share of it this is, if it is not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// One a test.
    pub tests: Vec<Row>,
    /// What the file excludes.
    pub left_out: Vec<LeftOut>,
}

/// One test and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// Its name, which is also that of the folder of its run.
    pub name: String,
    /// The system.
    pub system: String,
    /// The workload.
    pub workload: String,
    /// The seed.
    pub seed: u64,
    /// What was to come of it.
    pub expect: Expect,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took, in seconds; absent if it was not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The command that runs it again.
    pub again: String,
}

impl Row {
    /// The row of a test.
    #[must_use]
    pub fn new(test: &Test, outcome: Outcome, took: Option<Duration>) -> Row {
        Row {
            name: test.name.clone(),
            system: test.spec.system.name().to_owned(),
            workload: test.spec.workload.clone(),
            seed: test.spec.seed,
            expect: test.expect,
            outcome,
            seconds: took.map(|took| took.as_secs_f64()),
            again: test.again.clone(),
        }
    }

    /// How what came of it compares with what was to come.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing::of(&self.outcome, self.expect)
    }

    /// What came of it, with a word about what should have.
    #[must_use]
    pub fn verdict(&self) -> String {
        let name = self.outcome.name();
        match (self.expect, self.standing()) {
            (Expect::Invalid, Standing::Good) => format!("{name}, as it should"),
            (Expect::Invalid, Standing::Wrong) => format!("{name}, but should be invalid"),
            _ => name.to_owned(),
        }
    }

    /// The same with the reason, if there is one to be told.
    #[must_use]
    pub fn told(&self) -> String {
        match self.outcome.reason() {
            "" => self.verdict(),
            reason => format!("{}: {reason}", self.verdict()),
        }
    }
}

impl Report {
    /// Draws the line under a suite, of which these tests were run.
    #[must_use]
    pub fn new(suite: &Suite, shard: Option<Shard>, started: Timestamp, took: Duration, tests: Vec<Row>) -> Report {
        Report {
            suite: suite.name.clone(),
            started,
            seconds: took.as_secs_f64(),
            seed: suite.seed,
            shard,
            tests,
            left_out: suite.left_out.clone(),
        }
    }

    /// How the suite ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Standing::exit(&self.tests.iter().map(Row::standing).collect::<Vec<_>>())
    }

    /// What that means, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let count = |standing| self.tests.iter().filter(|row| row.standing() == standing).count();
        let counts = [
            (Standing::Good, "as it should be"),
            (Standing::Wrong, "wrong"),
            (Standing::Broken, "broken by the harness itself"),
            (Standing::Inconclusive, "inconclusive"),
            (Standing::Skipped, "skipped"),
        ];
        let told = counts.into_iter().map(|(standing, words)| (count(standing), words));
        let told: Vec<String> = told.filter(|(count, _)| *count > 0).map(|(n, words)| format!("{n} {words}")).collect();
        let tests = self.tests.len();
        let told = if told.is_empty() { "nothing to do".to_owned() } else { told.join(", ") };
        format!("{tests} test{}: {told}", if tests == 1 { "" } else { "s" })
    }

    /// Its name with its share.
    #[must_use]
    pub fn title(&self) -> String {
        match self.shard {
            None => self.suite.clone(),
            Some(shard) => format!("{} {shard}", self.suite),
        }
    }

    /// The report for programs.
    ///
    /// # Errors
    /// None that a suite can cause.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self).context("a report cannot be expressed as JSON")? + "\n")
    }

    /// Writes `suite.json`, `suite.md` and `junit.xml` into the suite's folder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        store::write(&folder.join("suite.json"), self.to_json()?.as_bytes())?;
        store::write(&folder.join("suite.md"), markdown::page(self).as_bytes())?;
        store::write(&folder.join("junit.xml"), junit::render(self)?.as_bytes())
    }
}

/// Makes the folder of a suite's report and of its tests' runs.
///
/// # Errors
/// It cannot be made.
pub fn folder(store: &Path, suite: &str, started: Timestamp) -> Result<PathBuf> {
    store::fresh(&store.join(format!("suite-{suite}")), started)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A report with one row of each kind.
    pub(in crate::suite) fn example() -> Report {
        let row = |name: &str, expect, outcome, seconds| Row {
            name: name.to_owned(),
            system: "zab".to_owned(),
            workload: "lock".to_owned(),
            seed: 7,
            expect,
            outcome,
            seconds,
            again: format!("grudge test zab --workload lock --seed {}", name.len()),
        };
        let because = |reason: &str| reason.to_owned();
        let witness = "linearizable mutex: process 3 acquired at n1 | (events 315 and 318)\n  although <it> is held";
        Report {
            suite: "nightly".to_owned(),
            started: Timestamp::UNIX_EPOCH,
            seconds: 754.2,
            seed: 99,
            shard: "2/8".parse().ok(),
            tests: vec![
                row("zab-lock-7", Expect::Valid, Outcome::Valid, Some(81.4)),
                row("bug-7", Expect::Invalid, Outcome::Invalid { reason: because("set: lost") }, Some(12.0)),
                row("etcd-lock-7", Expect::Valid, Outcome::Invalid { reason: because(witness) }, Some(80.0)),
                row("missed-7", Expect::Invalid, Outcome::Valid, Some(33.3)),
                row("doubt-7", Expect::Valid, Outcome::Unknown { reason: because("faults: no receipt") }, Some(9.9)),
                row("broken-7", Expect::Valid, Outcome::Broken { reason: because("the disk is full") }, Some(0.4)),
                row("absent-7", Expect::Valid, Outcome::Skipped { reason: because("needs etcd: install it") }, None),
                row("late-7", Expect::Valid, Outcome::NotRun { reason: because("no time") }, None),
            ],
            left_out: vec![LeftOut { what: "etcd × session × usual".to_owned(), because: because("has none") }],
        }
    }

    #[test]
    fn a_report_counts_and_ends_with_the_worst() {
        let report = example();
        let counts = "8 tests: 2 as it should be, 2 wrong, 1 broken by the harness itself, 2 inconclusive, 1 skipped";
        assert_eq!(report.sentence(), counts);
        assert_eq!(report.exit(), Exit::Invalid);
        let json: serde_json::Value = serde_json::from_str(&report.to_json().expect("JSON")).expect("JSON");
        assert_eq!(json["tests"][2]["outcome"], "invalid");
        assert_eq!(json["shard"], "2/8");
    }
}
