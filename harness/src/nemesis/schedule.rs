//! The schedule: what the nemesis did and when. A seed fixes what is drawn; this file fixes what happened.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::fmt::serde::unsigned_duration::friendly::compact;
use serde::{Deserialize, Serialize};

use super::{Step, Trigger};
use crate::fault::Fault;
use crate::store;

/// The schedule of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Its faults, in the order in which they were decided.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Entry>,
}

/// One fault in the schedule. Times are seconds of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entry {
    /// When it was decided.
    pub start: f64,
    /// When it was taken away again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<f64>,
    /// For how long it was meant to be in force; to the end of the run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::optional")]
    pub hold: Option<Duration>,
    /// How long it was waited for, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::optional")]
    pub within: Option<Duration>,
    /// Why it was not in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The node that a point has caught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub here: Option<String>,
    /// What was waited for.
    pub when: Trigger,
    /// Where in the run it was.
    #[serde(default)]
    pub since: Since,
    /// What was drawn: `partition = "leader"`.
    pub drawn: Fault,
    /// What that meant: the same fault with its nodes named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Fault>,
}

/// What had happened since the last fault came into force (since the beginning of the run, for the first).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Since {
    /// How long ago that was; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::optional")]
    pub previous: Option<Duration>,
    /// How many operations had succeeded for a client.
    #[serde(default)]
    pub acknowledged: u64,
    /// How often a node had begun to lead.
    #[serde(default)]
    pub leaders: u64,
    /// How long ago the last of them had; absent if none had.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::optional")]
    pub leader: Option<Duration>,
}

/// By what the faults of a schedule are armed when it is played again. A point or a sign is always waited for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rearm {
    /// The time of the run: exact in simulation, where time is part of the seed.
    Time,
    /// What happened: a change of leader, the fault before it, the first by the number of operations.
    Landmarks,
}

/// Whom the faults of a schedule hit when it is played again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Whoever plays the role that was drawn: the leader may be another node now.
    Drawn,
    /// The nodes that were hit.
    Done,
}

impl Schedule {
    /// The schedule in that file.
    ///
    /// # Errors
    /// It cannot be read or makes no sense.
    pub fn read(path: &Path) -> Result<Schedule> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not the schedule of a run", path.display()))
    }

    /// Writes the whole file, so that a crash loses nothing.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = toml::to_string_pretty(self).context("a schedule cannot be expressed as TOML")?;
        store::write(path, text.as_bytes())
    }

    /// The script that does it again: the faults that were in force, in their order.
    #[must_use]
    pub fn script(&self, rearm: Rearm, whom: Whom) -> Vec<Step> {
        self.faults.iter().filter(|entry| entry.error.is_none()).map(|entry| entry.step(rearm, whom)).collect()
    }

    /// A fault was decided; answers its place.
    pub(super) fn decided(&mut self, now: Duration, step: &Step, since: Since, here: Option<&str>) -> usize {
        self.faults.push(Entry {
            start: seconds(now),
            stop: None,
            hold: step.hold,
            within: step.within,
            error: None,
            here: here.map(str::to_owned),
            when: step.when.clone(),
            since: since.rounded(),
            drawn: step.fault.clone(),
            done: None,
        });
        self.faults.len() - 1
    }

    /// The fault at that place came into force.
    pub(super) fn in_force(&mut self, place: usize, done: &Fault) {
        self.faults[place].done = Some(done.clone());
    }

    /// The fault at that place did not.
    pub(super) fn refused(&mut self, place: usize, error: &str) {
        self.faults[place].error = Some(error.to_owned());
    }

    /// The fault at that place was taken away.
    pub(super) fn stopped(&mut self, place: usize, now: Duration) {
        self.faults[place].stop = Some(seconds(now));
    }
}

impl Entry {
    fn step(&self, rearm: Rearm, whom: Whom) -> Step {
        let Since { previous, acknowledged, leaders, leader } = self.since;
        let when = match (&self.when, rearm) {
            (Trigger::Point(_) | Trigger::Sign(_), _) => self.when.clone(),
            (_, Rearm::Time) => Trigger::At(Duration::from_secs_f64(self.start.max(0.0))),
            (_, Rearm::Landmarks) => match (leader, previous) {
                (Some(then), _) => Trigger::Leader { nth: leaders, then },
                (None, Some(previous)) => Trigger::Previous(previous),
                (None, None) if acknowledged > 0 => Trigger::Acknowledged { nth: acknowledged, then: Duration::ZERO },
                (None, None) => Trigger::At(Duration::from_secs_f64(self.start.max(0.0))),
            },
        };
        let fault = match (&self.done, whom) {
            // Where a point is reached decides whom it hits.
            (Some(done), Whom::Done) if !self.drawn.is_here() => done.clone(),
            _ => self.drawn.clone(),
        };
        Step { when, within: self.within, fault, hold: self.hold }
    }
}

impl Since {
    /// In milliseconds: it is to be read, and nothing that it says of is that exact.
    fn rounded(self) -> Since {
        let round = |time: Duration| Duration::from_millis(time.as_millis().try_into().unwrap_or(u64::MAX));
        Since { previous: self.previous.map(round), leader: self.leader.map(round), ..self }
    }
}

/// Exact to the nanosecond for the first days of a run.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_run_comes_back_to_the_nanosecond() {
        for nanos in [1, 999_999_999, 30_000_000_001, 86_399_123_456_789] {
            let time = Duration::from_nanos(nanos);
            assert_eq!(Duration::from_secs_f64(seconds(time)), time);
        }
    }
}
