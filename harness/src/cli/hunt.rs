//! `grudge hunt`: every planted bug, found or not, how fast.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use clap::{Args, ValueEnum};
use grudge_nodes::bugs::Bug;
use jiff::{SignedDuration, Timestamp};

use super::shrink;
use super::spec_args::fresh_seed;
use crate::exit::{Exit, Failure};
use crate::fault::Arena;
use crate::hunt::recipe::Recipe;
use crate::hunt::report::{self, Report, Row};
use crate::hunt::{Hunt, real, table};
use crate::report::terminal;
use crate::shrink::Kind;
use crate::spec::{self, kebab};
use crate::{sim, store};

const EXIT_CODES: &str = "\
Exit codes: 0 all as it should be; 1 a bug that an earlier hunt of this store or the baseline found was not found in
any round, or the control row is not valid; 254 bad arguments, 255 the harness itself failed.";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct HuntArgs {
    /// Only these bugs (see `grudge list bugs`) [default: all]
    #[arg(value_name = "BUG", hide_possible_values = true)]
    bugs: Vec<Bug>,
    /// How often each is hunted
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How long a round may take
    #[arg(long, value_name = "T", default_value = "60s", value_parser = spec::duration)]
    budget: SignedDuration,
    /// Hunt on real processes, too
    #[arg(long)]
    real: bool,
    /// How long a bug may take there
    #[arg(long, value_name = "T", default_value = "5m", value_parser = spec::duration)]
    real_budget: SignedDuration,
    /// How many simulated runs at a time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Where the report is kept, and those of earlier hunts are
    #[arg(long, value_name = "DIR", default_value = "store")]
    store: PathBuf,
    /// The hunt.json of another hunt that this one may not fall behind
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Shrink the first find of each bug to BUG.toml beside the report, within this time each
    #[arg(long, value_name = "T", value_parser = spec::duration)]
    shrink: Option<SignedDuration>,
    /// What everything that is drawn is drawn from [default: a new one, in the report]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Print hunt.json instead of the table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &HuntArgs) -> Result<Exit, Failure> {
    let started = Timestamp::now();
    let mut known = report::known(&args.store)?;
    if let Some(baseline) = &args.baseline {
        known.extend(Report::read(baseline).map_err(|error| Failure::BadArguments(format!("{error:#}")))?.found());
    }
    let recipes: Vec<(Bug, Recipe)> = wanted(&args.bugs).map(|bug| (bug, Recipe::of(bug))).collect();
    let hunt = Hunt {
        seed: args.seed.unwrap_or_else(fresh_seed),
        rounds: args.rounds,
        budget: args.budget.unsigned_abs(),
        jobs: args.jobs.map_or_else(|| available_parallelism().map_or(1, usize::from), usize::from),
    };
    let mut bugs = Vec::new();
    for (bug, recipe) in &recipes {
        let mut row = hunt.bug(*bug, recipe)?;
        if args.real {
            let store = args.store.join("real");
            row.real = Some(real::hunt(*bug, recipe, hunt.seed, args.real_budget.unsigned_abs(), &store)?);
        }
        terminal::note(&table::line(&row));
        bugs.push(row);
    }
    let control = hunt.control(&bugs, &recipes)?;
    let report = Report { started, seed: hunt.seed, budget: hunt.budget.as_secs_f64(), bugs, control };
    let folder = report.save(&args.store)?;
    if let Some(budget) = args.shrink {
        for (row, (_, recipe)) in report.bugs.iter().zip(&recipes) {
            keep_small(row, recipe, budget, &folder)?;
        }
    }
    say(&report, args.json, &known)
}

fn wanted(bugs: &[Bug]) -> impl Iterator<Item = Bug> {
    Bug::value_variants().iter().copied().filter(move |bug| bugs.is_empty() || bugs.contains(bug))
}

fn say(report: &Report, json: bool, known: &BTreeSet<String>) -> Result<Exit, Failure> {
    terminal::print(&if json { report.to_json()? } else { table::text(report) });
    let lost = report.lost(known);
    for bug in &lost {
        terminal::complain(&format!("{} was found before and is not found now", kebab(bug)));
    }
    Ok(if lost.is_empty() && report.control.invalid.is_empty() { Exit::Valid } else { Exit::Invalid })
}

/// Shrinks the first find of a bug.
fn keep_small(row: &Row, recipe: &Recipe, budget: SignedDuration, folder: &Path) -> Result<(), Failure> {
    let Some(find) = row.rounds.iter().find_map(|round| round.found.as_ref()) else { return Ok(()) };
    let spec = recipe.sim.spec(Some(row.bug), row.bug, find.seed, Arena::Simulation);
    let schedule = sim::run(&spec)?.schedule;
    let kind: Kind = find.checkers.iter().cloned().collect();
    let name = kebab(&row.bug);
    match shrink::in_simulation(&spec, &schedule, kind, shrink::SEEDS, budget.unsigned_abs())? {
        Some(text) => store::write(&folder.join(format!("{name}.toml")), text.as_bytes())?,
        None => terminal::complain(&format!("{name}: what was found does not come back by a script")),
    }
    Ok(())
}
