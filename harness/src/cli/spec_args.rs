//! The options that say what a test is, shared by the commands that run one on real processes and in simulated time.

use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::str::FromStr;

use clap::Args;
use grudge_nodes::bugs::Bug;
use jiff::SignedDuration;
use toml::Table;

use crate::exit::Failure;
use crate::fault::Arena;
use crate::nemesis::Menu;
use crate::spec::{self, Spec};
use crate::system::{Subject, System, is_path};

#[derive(Debug, Args)]
pub(super) struct SpecArgs {
    /// The system under test (see `grudge list systems`), the file of another one, or that of a test: it says `system = …`
    #[arg(value_name = "SYSTEM|FILE.toml")]
    pub(super) system: String,
    /// Another system than the test's file says
    #[arg(long = "system", value_name = "SYSTEM|FILE.toml")]
    another: Option<String>,
    /// What the clients do [default: register]
    #[arg(long, value_name = "W")]
    workload: Option<String>,
    /// What the nemesis draws from: kinds with commas, one fault as kill:leader, one at a point of the protocol as
    /// kill@point, `usual`, `all` or `none` [default: usual]
    #[arg(long, value_name = "F,…")]
    faults: Option<Menu>,
    /// How many nodes [default: as many as the system usually has, mostly 5, or as there are hosts]
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// How long clients and nemesis go on, as in 30s or 5m30s [default: 30s]
    #[arg(long, value_name = "T", value_parser = spec::duration)]
    time: Option<SignedDuration>,
    /// Operations a second over all workers, or `max` for as fast as they come [default: 200, simulated 100]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    rate: Option<Rate>,
    /// How many workers; the i-th talks to node i modulo the number of nodes [default: two a node, six at least]
    #[arg(long, value_name = "C")]
    concurrency: Option<usize>,
    /// How many registers or locks they share [default: the workload's choice]
    #[arg(long, value_name = "K")]
    keys: Option<usize>,
    /// What everything that is drawn is drawn from [default: a new one, printed]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Start the replicas with a planted bug (see `grudge list bugs`); may be given again
    #[arg(long = "bug", value_name = "B", hide_possible_values = true)]
    bugs: Vec<Bug>,
    /// How long a call may take until nobody knows what became of it [default: 2s]
    #[arg(long, value_name = "T", value_parser = spec::duration)]
    timeout: Option<SignedDuration>,
    /// The time to live of sessions and leases [default: 4s]
    #[arg(long, value_name = "T", value_parser = spec::duration)]
    ttl: Option<SignedDuration>,
    /// How long after the final heal every worker must have succeeded again [default: 30s]
    #[arg(long, value_name = "T", value_parser = spec::duration)]
    recovery: Option<SignedDuration>,
    /// The program that makes the clients' calls instead of ours; workloads/CLIENTS.md says what it is told and answers
    #[arg(long, value_name = "COMMAND")]
    client: Option<String>,
    /// End the run as soon as a promise is seen to be broken
    #[arg(long)]
    fail_fast: bool,
}

/// What is to be run.
enum Asked {
    /// That test.
    Test(Box<Spec>),
    /// The usual test of that system.
    System(Subject),
}

/// A rate, as the command line writes it.
#[derive(Clone, Copy, Debug)]
struct Rate(Option<f64>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        match text {
            "max" => Ok(Rate(None)),
            number => number
                .parse()
                .map(|rate| Rate(Some(rate)))
                .map_err(|_| "a rate is a number of operations a second, or `max`".to_owned()),
        }
    }
}

impl SpecArgs {
    /// The test with every default filled in: from the file if there is one, changed by the options given. With the number
    /// of the hosts, if there are any.
    ///
    /// # Errors
    /// The file cannot be read, or the numbers make no sense.
    pub(super) fn resolve(&self, arena: Arena, hosts: Option<usize>) -> Result<Spec, Failure> {
        let mut spec = match (self.asked()?, &self.another) {
            (Asked::Test(spec), None) => *spec,
            (Asked::Test(spec), Some(another)) => spec.of(Subject::from(another.as_str()).described(Path::new(""))?),
            (Asked::System(subject), Some(another)) => {
                return Err(Failure::BadArguments(format!(
                    "--system is about the file of a test, and `{}` is a system: say `{another}` in its place",
                    subject.name()
                )));
            }
            (Asked::System(subject), None) => Spec::usual(subject, self.nodes.or(hosts), fresh_seed(), arena),
        };
        if let Some(client) = &self.client {
            let client = ["sh", "-c", client].map(str::to_owned).to_vec();
            spec.system = Subject::Described(Box::new(System { client, ..spec.system.system()? }));
        }
        if let Some(workload) = &self.workload {
            spec.workload.clone_from(workload);
        }
        if let Some(menu) = &self.faults {
            spec.faults = menu.choices(arena, spec.system.replica());
            spec.script.clear();
        }
        if let Some(Rate(rate)) = self.rate {
            spec.rate = rate;
        }
        if !self.bugs.is_empty() {
            spec.bugs.clone_from(&self.bugs);
        }
        spec.nodes = self.nodes.unwrap_or(spec.nodes);
        spec.time = self.time.unwrap_or(spec.time);
        spec.keys = self.keys.or(spec.keys);
        spec.seed = self.seed.unwrap_or(spec.seed);
        spec.timeout = self.timeout.unwrap_or(spec.timeout);
        spec.ttl = self.ttl.unwrap_or(spec.ttl);
        spec.recovery = self.recovery.unwrap_or(spec.recovery);
        spec.fail_fast |= self.fail_fast;
        spec.concurrency = self.concurrency.unwrap_or(spec.concurrency);
        spec.check()?;
        Ok(spec)
    }

    /// A file that says of which system it is a test is one; any other describes a system.
    fn asked(&self) -> Result<Asked, Failure> {
        if !is_path(&self.system) {
            return Ok(Asked::System(Subject::from(self.system.as_str())));
        }
        let path = Path::new(&self.system);
        let wrong = |error: &dyn Display| Failure::BadArguments(format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let table: Table = text.parse().map_err(|error| wrong(&error))?;
        Ok(match table.contains_key("system") {
            true => Asked::Test(Box::new(Spec::parse(path, &text)?)),
            false => Asked::System(Subject::Described(Box::new(System::parse(path, &text)?))),
        })
    }
}

/// A seed that nobody has chosen, short enough to be typed again. The hasher's key is the standard library's only
/// randomness from the operating system.
pub(super) fn fresh_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}
