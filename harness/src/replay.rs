//! Playing a recorded run again: from its folder to the test that does the same.

use std::collections::BTreeSet;
use std::fmt;

use clap::ValueEnum;
use grudge_checkers::verdict::Verdict;

use crate::exit::Failure;
use crate::fault::Arena;
use crate::nemesis::schedule::{Rearm, Whom};
use crate::nemesis::{Schedule, Step};
use crate::report::{Judged, Results, overall};
use crate::spec::Spec;
use crate::store::RunFolder;

/// By what the faults of a recorded run are armed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The time of the run, and the very nodes that were hit: exact in simulation
    Time,
    /// What happened in the run: a change of leader, so many operations, the fault before; and the roles that were hit
    Landmarks,
}

/// A run that was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The test.
    pub spec: Spec,
    /// What its nemesis did.
    pub schedule: Schedule,
    /// How it ended.
    pub sign: Sign,
}

/// By what a verdict is known again: its word, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    verdict: &'static str,
    checkers: BTreeSet<String>,
}

/// A recorded run as a test.
#[derive(Clone, Debug)]
pub struct Again {
    /// The test, with a script in the place of its menu.
    pub spec: Spec,
    /// What cannot be done there, one sentence each.
    pub left_out: Vec<String>,
}

impl Recorded {
    /// Reads the folder of a run.
    ///
    /// # Errors
    /// It is no run, or it was cut short.
    pub fn read(folder: &RunFolder) -> Result<Recorded, Failure> {
        let spec = Spec::read(&folder.test())?;
        let schedule = Schedule::read(&folder.schedule())?;
        let sign = Sign::of(&Results::read(folder)?.judgements);
        Ok(Recorded { spec, schedule, sign })
    }

    /// The test that does it again, there.
    #[must_use]
    pub fn again(&self, by: By, arena: Arena) -> Again {
        let steps = match by {
            By::Time => self.schedule.script(Rearm::Time, Whom::Done),
            By::Landmarks => self.schedule.script(Rearm::Landmarks, Whom::Drawn),
        };
        let mut left_out = Vec::new();
        let mut exists = |step: &Step| match step.fault.exists(arena) {
            Ok(()) => true,
            Err(why) => {
                left_out.push(format!("{step} ({why})"));
                false
            }
        };
        let script = steps.into_iter().filter(&mut exists).collect();
        Again { spec: Spec { faults: Vec::new(), script, ..self.spec.clone() }, left_out }
    }
}

impl Sign {
    /// The sign of these judgements.
    #[must_use]
    pub fn of(judgements: &[Judged]) -> Sign {
        let verdict = overall(judgements).name();
        let same = judgements.iter().filter(|judged| !judged.finding && judged.verdict.name() == verdict);
        Sign { verdict, checkers: same.map(|judged| judged.checker.clone()).collect() }
    }

    /// Whether these judgements end in the same verdict; if a promise was broken, one of those that were broken then.
    #[must_use]
    pub fn comes_back_in(&self, judgements: &[Judged]) -> bool {
        let other = Sign::of(judgements);
        self.verdict == other.verdict && (self.verdict == "valid" || !self.checkers.is_disjoint(&other.checkers))
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict)?;
        if self.verdict == Verdict::Valid.name() {
            return Ok(());
        }
        write!(f, " ({})", self.checkers.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use grudge_checkers::history::{Event, History, Process};
    use grudge_checkers::verdict::Witness;
    use jiff::SignedDuration;

    use super::*;
    use crate::nemesis::Choice;
    use crate::sim;
    use crate::system::Subject;

    fn judged(checker: &str, verdict: &str, finding: bool) -> Judged {
        let verdict = match verdict {
            "valid" => Verdict::Valid,
            "unknown" => Verdict::Unknown { reason: String::new() },
            _ => Verdict::Invalid { witness: Witness { key: None, reason: String::new(), events: Vec::new() } },
        };
        Judged { checker: checker.to_owned(), verdict, finding }
    }

    #[test]
    fn a_verdict_comes_back_if_one_of_its_checkers_says_it_again() {
        let first =
            [judged("lock", "invalid", false), judged("replicas", "invalid", false), judged("set", "valid", false)];
        let sign = Sign::of(&first);
        assert_eq!(sign.to_string(), "invalid (lock, replicas)");
        assert!(sign.comes_back_in(&[judged("replicas", "invalid", false), judged("lock", "unknown", false)]));
        assert!(!sign.comes_back_in(&[judged("set", "invalid", false)]), "another promise");
        assert!(!sign.comes_back_in(&[judged("lock", "invalid", true)]), "a finding does not count");
        assert!(!sign.comes_back_in(&[judged("lock", "valid", false)]));
        let valid = Sign::of(&[judged("lock", "valid", false)]);
        assert_eq!(valid.to_string(), "valid");
        assert!(valid.comes_back_in(&[judged("set", "valid", false)]));
    }

    /// Byte for byte, but for what the nemesis says: it names the nodes now that were drawn by their role then.
    #[test]
    fn a_simulated_run_replayed_by_time_is_the_same_run() {
        for (system, seed) in [("zab", 1), ("zab", 2), ("raft", 1), ("raft", 2)] {
            let spec = Spec {
                system: system.into(),
                faults: Choice::all(Arena::Simulation, Subject::from(system).replica()),
                bugs: Vec::new(),
                seed,
                time: SignedDuration::from_secs(20),
                rate: Some(50.0),
                ..crate::spec::tests::example()
            };
            let first = sim::run(&spec).expect("it can be simulated");
            let recorded = Recorded { spec, schedule: first.schedule, sign: Sign::of(&[]) };
            let Again { spec, left_out } = recorded.again(By::Time, Arena::Simulation);
            assert!(!spec.script.is_empty() && left_out.is_empty(), "{system}, seed {seed}");
            let second = sim::run(&spec).expect("it can be simulated");
            let clients = |history: &History| -> Vec<Event> {
                let events = history.events.iter().filter(|event| event.process != Process::Nemesis);
                events.cloned().map(|event| Event { index: 0, ..event }).collect()
            };
            assert_eq!(clients(&first.history), clients(&second.history), "{system}, seed {seed}");
        }
    }

    #[test]
    fn what_cannot_be_done_there_is_left_out_by_name() {
        let schedule = "[[fault]]\nstart = 1.5\nwhen = { calm = '1s' }\ndrawn = { thread = 'leader' }\nhold = '1s'\n\
                        [[fault]]\nstart = 4.0\nwhen = { calm = '1s' }\ndrawn = { kill = 'leader' }\n\
                        since = { leaders = 2, leader = '300ms', acknowledged = 7 }";
        let schedule: Schedule = toml::from_str(schedule).expect("a schedule");
        let recorded = Recorded { spec: crate::spec::tests::example(), schedule, sign: Sign::of(&[]) };
        let Again { spec, left_out } = recorded.again(By::Landmarks, Arena::Simulation);
        assert_eq!(left_out, ["at 1.5s: thread leader (a thread exists on real processes only)"]);
        assert_eq!(spec.script.len(), 1);
        assert_eq!(spec.script[0].to_string(), "after 2 changes of leader and 300ms: kill leader");
        assert!(spec.faults.is_empty());
    }
}
