//! `grudge shrink`: a small test that fails as a run did.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;

use crate::exit::{Exit, Failure};
use crate::nemesis::Schedule;
use crate::report::terminal;
use crate::shrink::{self, Kind, Processes, Simulation, Source, Trial};
use crate::spec::{self, Spec};
use crate::store;

/// With how many other seeds a candidate is tried in simulation.
pub(super) const SEEDS: u64 = 16;
/// How often a candidate is tried on real processes.
const TRIES: u64 = 3;

/// How long it may take in simulation, unless another time is given.
pub(super) const BUDGET: Duration = Duration::from_secs(120);
/// The same on real processes.
const REAL_BUDGET: Duration = Duration::from_secs(1_800);

const POLICY: &str = "\
A candidate is smaller than the test by a fault, a node, a worker, a key, some time or some words. It is taken if the
judgements that were invalid in the run are invalid again: in simulation with the run's seed or one of N others, and
with as many of them as before or a quarter; on real processes at least once in N tries.

Exit codes: 0 there is a small test; 2 what was wrong did not come back at all; 254 bad arguments, 255 the harness
itself failed.";

#[derive(Debug, Args)]
#[command(after_help = POLICY)]
pub(super) struct ShrinkArgs {
    /// The folder of a run that was invalid
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Try on real processes, and not in simulated time
    #[arg(long)]
    real: bool,
    /// How many other seeds (16) or tries (3) a candidate has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    tries: Option<u64>,
    /// How long it may take [default: 2m, on real processes 30m]
    #[arg(long, value_name = "T", value_parser = spec::duration)]
    budget: Option<SignedDuration>,
    /// Where the small test is written [default: small.toml in the run's folder]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &ShrinkArgs) -> Result<Exit, Failure> {
    let Source { spec, schedule, kind } = Source::read(&args.run)?;
    let budget = |usual| args.budget.map_or(usual, SignedDuration::unsigned_abs);
    let text = if args.real {
        let store = args.run.join("tries");
        on_processes(&spec, &schedule, kind, args.tries.unwrap_or(TRIES), budget(REAL_BUDGET), &store)?
    } else {
        in_simulation(&spec, &schedule, kind, args.tries.unwrap_or(SEEDS), budget(BUDGET))?
    };
    let Some(text) = text else {
        terminal::complain("what was wrong in this run did not come back by a script of its faults");
        return Ok(Exit::Unknown);
    };
    let file = args.output.clone().unwrap_or_else(|| args.run.join("small.toml"));
    store::write(&file, text.as_bytes())?;
    terminal::print(&text);
    terminal::note(&format!("written to {}\n", file.display()));
    Ok(Exit::Valid)
}

/// The text of a small test that fails like this in simulated time; none if it does not come back.
pub(super) fn in_simulation(
    spec: &Spec,
    schedule: &Schedule,
    kind: Kind,
    seeds: u64,
    budget: Duration,
) -> Result<Option<String>, Failure> {
    let mut trial = Simulation::new(kind, seeds, budget);
    let Some(small) = smallest(spec, schedule, &mut trial)? else { return Ok(None) };
    shrink::text(&small, &shrink::judged(&small)?, "sim").map(Some)
}

/// The same on real processes.
fn on_processes(
    spec: &Spec,
    schedule: &Schedule,
    kind: Kind,
    tries: u64,
    budget: Duration,
    store: &Path,
) -> Result<Option<String>, Failure> {
    let mut trial = Processes::new(kind, tries, budget, store);
    let Some(small) = smallest(spec, schedule, &mut trial)? else { return Ok(None) };
    let judgements = trial.last_failure().to_vec();
    shrink::text(&small, &judgements, "test").map(Some)
}

fn smallest(spec: &Spec, schedule: &Schedule, trial: &mut dyn Trial) -> Result<Option<Spec>, Failure> {
    let Some(failing) = trial.first(&shrink::scripted(spec, schedule))? else { return Ok(None) };
    shrink::shrink(failing, trial).map(Some)
}
