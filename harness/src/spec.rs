//! A test as a value: what `grudge test` was asked, with every default filled in. `test.toml` holds it, and
//! `grudge test FILE.toml` runs it again.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use grudge_nodes::bugs::Bug;
use grudge_nodes::command::Protocol;
use grudge_workloads::registry;
use grudge_workloads::workload::{Options, Workload};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::fault::{Arena, Fault, FaultKind, Workers};
use crate::nemesis::{Agenda, Choice, Leaders, Menu, Plan, Step};
use crate::system::{Subject, System};

/// Fewer would seldom meet.
const LEAST_WORKERS: usize = 6;

/// A test, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spec {
    /// The system.
    pub system: Subject,
    /// The workload's name.
    pub workload: String,
    /// What the nemesis draws from: kinds of faults, or single ones as `kill:leader`; none for a quiet run.
    #[serde(default)]
    pub faults: Vec<Choice>,
    /// Planted bugs that are on.
    #[serde(default)]
    pub bugs: Vec<Bug>,
    /// How many nodes.
    pub nodes: usize,
    /// How many workers; the i-th is bound to node i modulo their number.
    pub concurrency: usize,
    /// How many objects (registers, locks) they share; the workload chooses if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<usize>,
    /// Operations a second over all workers; as fast as they come if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Everything that is drawn is drawn from this.
    pub seed: u64,
    /// How long the main phase lasts.
    #[serde(serialize_with = "jiff::fmt::serde::duration::friendly::compact::required")]
    pub time: SignedDuration,
    /// After this long a call is given up and its outcome is unknown.
    #[serde(serialize_with = "jiff::fmt::serde::duration::friendly::compact::required")]
    pub timeout: SignedDuration,
    /// The sessions' or leases' time to live.
    #[serde(serialize_with = "jiff::fmt::serde::duration::friendly::compact::required")]
    pub ttl: SignedDuration,
    /// How long after the final heal every worker must have succeeded again.
    #[serde(serialize_with = "jiff::fmt::serde::duration::friendly::compact::required")]
    pub recovery: SignedDuration,
    /// Whether a run ends as soon as a promise is seen to be broken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fail_fast: bool,
    /// What the nemesis does, step by step, instead of drawing it from a menu.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub script: Vec<Step>,
}

impl Spec {
    /// What clients do where nothing is said of it.
    pub const USUAL_WORKLOAD: &str = "register";

    /// The test of a system where nothing else is said, of as many nodes as it usually has if not even their number is.
    #[must_use]
    pub fn usual(system: Subject, nodes: Option<usize>, seed: u64, arena: Arena) -> Spec {
        // Whether anybody knows it is asked later.
        let nodes = nodes.unwrap_or_else(|| system.system().map(|system| system.nodes).unwrap_or_default().usual);
        Spec {
            faults: Menu::Usual.choices(arena, system.replica()),
            system,
            workload: Spec::USUAL_WORKLOAD.to_owned(),
            bugs: Vec::new(),
            nodes,
            concurrency: (2 * nodes).max(LEAST_WORKERS),
            keys: None,
            rate: Some(match arena {
                Arena::Processes | Arena::Hosts => 200.0,
                Arena::Simulation => 100.0,
            }),
            seed,
            time: SignedDuration::from_secs(30),
            timeout: SignedDuration::from_secs(2),
            ttl: SignedDuration::from_secs(4),
            recovery: SignedDuration::from_secs(30),
            fail_fast: false,
            script: Vec::new(),
        }
    }

    /// The same test of another system, of as many nodes as that has at most.
    #[must_use]
    pub fn of(self, system: Subject) -> Spec {
        // Whether anybody knows it is asked later.
        let most = system.system().map(|system| system.nodes).unwrap_or_default().most;
        Spec { system, nodes: self.nodes.min(most), ..self }
    }

    /// The test's name: the folder of its runs.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.system, self.workload)
    }

    /// What of it concerns a workload.
    #[must_use]
    pub fn options(&self) -> Options {
        Options { seed: self.seed, workers: self.concurrency, keys: self.keys, rate: self.rate, time: std(self.time) }
    }

    /// Reads a test file.
    ///
    /// # Errors
    /// It cannot be read or makes no sense; the message names the line.
    pub fn read(path: &Path) -> Result<Spec, Failure> {
        let wrong = |error: &dyn Display| Failure::BadArguments(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        Spec::parse(path, &text)
    }

    /// The same, of what is in the file.
    ///
    /// # Errors
    /// It makes no sense; the message names the line.
    pub fn parse(path: &Path, text: &str) -> Result<Spec, Failure> {
        let wrong = |error: &dyn Display| Failure::BadArguments(format!("{}: {error}", path.display()));
        let mut spec: Spec = toml::from_str(text).map_err(|error| wrong(&error))?;
        spec.system = spec.system.described(path.parent().unwrap_or(Path::new("."))).map_err(|error| wrong(&error))?;
        spec.check().map_err(|error| wrong(&error))?;
        Ok(spec)
    }

    /// Whether its numbers make sense.
    ///
    /// # Errors
    /// One sentence about the first that does not.
    pub fn check(&self) -> Result<(), Failure> {
        let wrong = |sentence: String| Err(Failure::BadArguments(sentence));
        if self.nodes == 0 || self.nodes > 64 {
            return wrong(format!("{} nodes: a cluster has 1 to 64", self.nodes));
        }
        if self.concurrency == 0 || self.concurrency > 10_000 {
            return wrong(format!("{} workers: a run has 1 to 10000", self.concurrency));
        }
        if self.keys == Some(0) {
            return wrong("0 keys: a workload needs at least one object".to_owned());
        }
        if i64::try_from(self.seed).is_err() {
            return wrong(format!("seed {}: a seed is at most {}", self.seed, i64::MAX));
        }
        if self.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return wrong("the rate must be a number of operations a second above 0".to_owned());
        }
        if !self.script.is_empty() && !self.faults.is_empty() {
            return wrong("a test has a script or a menu of faults, not both: write `faults = []`".to_owned());
        }
        let durations =
            [("time", self.time), ("timeout", self.timeout), ("ttl", self.ttl), ("recovery", self.recovery)];
        for (name, duration) in durations {
            if !duration.is_positive() || duration > SignedDuration::from_hours(24 * 30) {
                return wrong(format!("{name} {duration:#}: a duration is above 0 and at most 30 days"));
            }
        }
        Ok(())
    }
}

impl Spec {
    /// Whether its faults can be done there, to replicas of that protocol (none: they are not ours).
    ///
    /// # Errors
    /// One sentence that names the first entry that cannot.
    pub fn check_faults(&self, arena: Arena, protocol: Option<Protocol>) -> Result<(), Failure> {
        let nodes: Vec<String> = (1..=self.nodes).map(|id| format!("n{id}")).collect();
        let strangers = self.script.iter().map(|step| match &step.fault {
            Fault::Client { targets: Workers::Numbers(numbers), .. } => {
                let stranger = numbers.iter().find(|worker| **worker >= self.concurrency);
                stranger.map_or(Ok(()), |worker| {
                    Err(format!("`{step}`: there is no client {worker}; the last is {}", self.concurrency - 1))
                })
            }
            _ => Ok(()),
        });
        let choices = self.faults.iter().map(|choice| choice.check(arena, protocol));
        let steps = self.script.iter().map(|step| step.check(arena, protocol, &nodes));
        choices.chain(steps).chain(strangers).collect::<Result<(), String>>().map_err(Failure::BadArguments)
    }

    /// Its system and its workload, if it can be run there at all, whatever is installed.
    ///
    /// # Errors
    /// One sentence about what cannot be.
    pub fn resolve(&self, arena: Arena) -> Result<(System, Workload), Failure> {
        let system = self.system.system()?;
        system.spans(self.nodes)?;
        system.accept(&self.bugs)?;
        self.check_faults(arena, system.replica)?;
        self.check_leaders(system.leaders())?;
        if self.kinds().contains(&FaultKind::Member) && system.membership.is_none() {
            return Err(Failure::BadArguments(format!("fault `member`: the members of `{}` are fixed", system.name)));
        }
        let workload = registry::find(&self.workload, system.speech(), &self.options())
            .map_err(|error| Failure::BadArguments(error.to_string()))?;
        Ok((system, workload))
    }

    /// The kinds of faults that it may come to.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<FaultKind> {
        let drawn = self.faults.iter().map(Choice::kind);
        drawn.chain(self.script.iter().map(|step| step.fault.sort())).collect()
    }

    /// Whether it says who leads only of a system that can be asked.
    ///
    /// # Errors
    /// One sentence that names the first entry that does.
    pub fn check_leaders(&self, leaders: Leaders) -> Result<(), Failure> {
        if leaders == Leaders::Known {
            return Ok(());
        }
        let choices = self.faults.iter().filter(|choice| choice.needs_leader()).map(ToString::to_string);
        let steps = self.script.iter().filter(|step| step.needs_leader()).map(ToString::to_string);
        match choices.chain(steps).next() {
            None => Ok(()),
            Some(entry) => Err(Failure::BadArguments(format!(
                "`{entry}`: nobody knows how to ask `{}` who leads; its file can say it: `leader = {{ … }}`",
                self.system
            ))),
        }
    }

    /// What the nemesis has to do: the script if there is one, or else what is drawn from the menu.
    #[must_use]
    pub fn agenda(&self, protocol: Option<Protocol>, leaders: Leaders) -> Agenda {
        if self.script.is_empty() {
            Agenda::planned(Plan::new(self.seed, &self.faults, protocol, leaders))
        } else {
            Agenda::scripted(&self.script)
        }
    }
}

/// A duration of a checked spec for the clock.
#[must_use]
pub fn std(duration: SignedDuration) -> Duration {
    duration.unsigned_abs()
}

/// Reads a duration as a person writes it: `30s`, `5m30s`, `2 min`.
///
/// # Errors
/// One sentence with examples.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    text.parse().map_err(|_| "a duration looks like 30s, 5m30s or 1h".to_owned())
}

/// Reads a range of seeds as a person writes it: `0..1000`.
///
/// # Errors
/// One sentence with an example.
pub fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range
        .filter(|range: &Range<u64>| !range.is_empty())
        .ok_or_else(|| "seeds are a range that is not empty, as in 0..1000".to_owned())
}

/// The name by which the command line knows a value.
#[must_use]
pub fn kebab<T: ValueEnum>(value: &T) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small test that needs no cluster.
    pub(crate) fn example() -> Spec {
        Spec {
            system: "zab".into(),
            workload: "register".to_owned(),
            faults: vec![Choice::Any(FaultKind::Partition)],
            bugs: vec![Bug::ZabSkipTrunc],
            nodes: 3,
            concurrency: 6,
            keys: Some(2),
            rate: None,
            seed: 7,
            time: SignedDuration::from_secs(90),
            timeout: SignedDuration::from_millis(2_500),
            ttl: SignedDuration::from_secs(4),
            recovery: SignedDuration::from_secs(30),
            fail_fast: false,
            script: Vec::new(),
        }
    }

    #[test]
    fn a_resolved_test_comes_back_from_its_file() {
        let spec = example();
        let text = toml::to_string_pretty(&spec).expect("a spec is expressible");
        assert_eq!(toml::from_str::<Spec>(&text).expect("what was written can be read"), spec, "{text}");
        assert!(text.contains("time = \"1m 30s\""), "{text}");
    }

    #[test]
    fn a_test_holds_the_whole_of_a_system_that_a_file_describes() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let etcd =
            include_str!("../../nodes/systems/zookeeper.toml").replace("\"zookeeper\"\nabout", "\"mine\"\nabout");
        std::fs::write(folder.path().join("mine.toml"), etcd).expect("a temporary file");
        let test = folder.path().join("test.toml");
        let named = Spec { system: "mine.toml".into(), bugs: Vec::new(), ..example() };
        let text = toml::to_string_pretty(&named).expect("a spec is expressible");
        std::fs::write(&test, text).expect("a temporary file");

        let spec = Spec::read(&test).expect("the path begins beside the test");
        assert_eq!(spec.name(), "mine-register");
        let text = toml::to_string_pretty(&spec).expect("a spec is expressible");
        let again = Spec::parse(Path::new("elsewhere/test.toml"), &text).expect(&text);
        assert_eq!(again, spec, "the file is needed no more: {text}");
        let json = serde_json::to_string(&spec).expect("a spec is expressible");
        assert_eq!(serde_json::from_str::<Spec>(&json).expect(&json), spec);

        let wrong = text.replace("client-port = 2181", "client-port = 'many'");
        let error = Spec::parse(Path::new("test.toml"), &wrong).expect_err("no port").to_string();
        let line = 1 + wrong.lines().position(|line| line.contains("'many'")).expect("it was put there");
        assert!(error.contains(&format!("line {line}, column 15")), "{error}");
    }

    #[test]
    fn a_script_is_part_of_a_test_and_stands_for_its_menu() {
        let mut spec = Spec { faults: Vec::new(), ..example() };
        let head = toml::to_string_pretty(&spec).expect("a spec is expressible");
        let text = r#"
            [[script]]
            when = { at = "3s" }
            fault = { partition = "leader" }
            hold = "4s"

            [[script]]
            when = { point = "zab-established", nth = 2 }
            within = "20s"
            fault = { kill = "here" }
            hold = "500ms"
        "#;
        spec = toml::from_str(&format!("{head}{text}")).expect("a test with a script");
        assert_eq!(spec.check().map_err(|error| error.to_string()), Ok(()));
        let again = toml::to_string_pretty(&spec).expect("a spec is expressible");
        assert_eq!(toml::from_str::<Spec>(&again).expect("what was written can be read"), spec, "{again}");
        assert_eq!(spec.script[1].to_string(), "when any node comes to zab-established for time 2: kill here");
        spec.faults = example().faults;
        assert!(spec.check().expect_err("both").to_string().contains("not both"));
    }

    #[test]
    fn what_cannot_be_done_there_is_refused_by_name() {
        let step = |text: &str| -> Step { toml::from_str(text).expect(text) };
        let table = [
            ("when = { at = '1s' }\nfault = { kill = 'here' }", "only a point, a log or a role says where `here` is"),
            ("when = { at = '1s' }\nfault = { kill = { nodes = ['n9'] } }", "there is no node `n9`"),
            ("when = { point = 'raft-elected' }\nfault = { kill = 'here' }", "raft-elected is a point of raft"),
            ("when = { point = 'zab-established', node = 'n4' }\nfault = { kill = 'here' }", "no node `n4`"),
            ("when = { at = '1s' }\nfault = { clock = { targets = 'one', change = { drift = 0 } } }", "a clock drifts"),
        ];
        for (text, sentence) in table {
            let spec = Spec { faults: Vec::new(), script: vec![step(text)], ..example() };
            let error = spec.check_faults(Arena::Processes, Some(Protocol::Zab)).expect_err(text).to_string();
            assert!(error.contains(sentence), "{text}: {error}");
        }
        let real = step("when = { at = '1s' }\nfault = { thread = 'leader' }");
        let spec = Spec { faults: Vec::new(), script: vec![real], ..example() };
        let error = spec.check_faults(Arena::Simulation, Some(Protocol::Zab)).expect_err("it is simulated").to_string();
        assert!(error.contains("`at 1s: thread leader`: a thread exists on real processes only"), "{error}");
    }

    #[test]
    fn what_hosts_cannot_do_is_refused_by_name_with_the_reason() {
        let menu = |entry: &str| Spec { faults: vec![entry.parse().expect(entry)], ..example() };
        let reason = "is done where all nodes are on this machine only";
        for entry in ["packets", "reset", "client", "restart", "member:leader", "kill@zab-established"] {
            let error = menu(entry).check_faults(Arena::Hosts, Some(Protocol::Zab)).expect_err(entry).to_string();
            assert!(error.contains(entry) && error.contains(reason), "{error}");
        }
        for entry in ["partition", "pause", "kill", "power", "clock", "disk", "thread", "memory", "cpu"] {
            let checked = menu(entry).check_faults(Arena::Hosts, Some(Protocol::Zab));
            checked.unwrap_or_else(|error| panic!("{entry}: {error}"));
        }
    }

    #[test]
    fn numbers_that_make_no_sense_are_named() {
        type Spoil = fn(&mut Spec);
        let table: [(&str, Spoil); 6] = [
            ("nodes", |spec| spec.nodes = 0),
            ("workers", |spec| spec.concurrency = 0),
            ("keys", |spec| spec.keys = Some(0)),
            ("seed", |spec| spec.seed = u64::MAX),
            ("rate", |spec| spec.rate = Some(-1.0)),
            ("time", |spec| spec.time = SignedDuration::ZERO),
        ];
        for (word, spoil) in table {
            let mut spec = example();
            spoil(&mut spec);
            let error = spec.check().expect_err(word).to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("5m30s"), Ok(SignedDuration::from_secs(330)));
        assert_eq!(duration("250ms"), Ok(SignedDuration::from_millis(250)));
        assert!(duration("soon").is_err());
    }
}
