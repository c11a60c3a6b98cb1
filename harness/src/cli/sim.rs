//! `grudge sim`: the same test in simulated time, one seed or many.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use grudge_checkers::verdict::Verdict;
use grudge_workloads::workload::Judgement;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use rayon::prelude::*;

use super::shrink;
use super::spec_args::SpecArgs;
use crate::exit::{Exit, Failure};
use crate::fault::Arena;
use crate::logging;
use crate::report::{Results, terminal};
use crate::shrink::Kind;
use crate::sim::{self, Simulated};
use crate::spec::{self, Spec};
use crate::store::{self, RunFolder};

/// Of how many failing seeds of a sweep the folder is kept; the command that repeats one is printed for all.
const MOST_KEPT: usize = 20;
/// A reason longer than this is cut where a sweep complains; the folder has all of it.
const REASON_WIDTH: usize = 200;

#[derive(Debug, Args)]
pub(super) struct SimArgs {
    #[command(flatten)]
    spec: SpecArgs,
    /// Run every seed from A up to B, without B, on all cores
    #[arg(long, value_name = "A..B", conflicts_with = "seed")]
    seeds: Option<Seeds>,
    /// How many seeds to run at a time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Make the test smaller that a seed fails, and write it beside the run as small.toml (see `grudge shrink`)
    #[arg(long)]
    shrink: bool,
    /// Where runs are kept: the one of a single seed, the failing ones of many
    #[arg(long, value_name = "DIR", default_value = "store")]
    store: PathBuf,
    /// Print results.json instead of the summary
    #[arg(long, conflicts_with = "seeds")]
    json: bool,
}

/// A range of seeds, as the command line writes it.
#[derive(Clone, Debug)]
struct Seeds(Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seeds, String> {
        spec::seeds(text).map(Seeds)
    }
}

pub(super) fn run(args: &SimArgs) -> Result<Exit, Failure> {
    let spec = args.spec.resolve(Arena::Simulation, None)?;
    match &args.seeds {
        None => single(args, &spec),
        Some(Seeds(seeds)) => sweep(args, &spec, seeds.clone()),
    }
}

fn single(args: &SimArgs, spec: &Spec) -> Result<Exit, Failure> {
    let started = Timestamp::now();
    let simulated = sim::run(spec)?;
    let (folder, results) = keep(&args.store, spec, started, &simulated)?;
    if args.json {
        terminal::print(&results.to_json()?);
    } else {
        let text = terminal::summary(&results, Some(folder.path()));
        terminal::print(&format!("{text}{}\n", pace(simulated.simulated, simulated.wall)));
    }
    if let Some(small) = smaller(args, spec, &simulated, &results, &folder)? {
        terminal::note(&format!("smaller: {}\n", shown(&small)));
    }
    Ok(Exit::from(&results.verdict))
}

/// Writes the folder of a run.
pub(super) fn keep(
    store: &Path,
    spec: &Spec,
    started: Timestamp,
    simulated: &Simulated,
) -> Result<(RunFolder, Results), Failure> {
    let folder = RunFolder::create(store, &format!("sim-{}", spec.name()), started)?;
    folder.write_toml(&folder.test(), spec)?;
    let csv = simulated.csv().context("a history cannot be expressed as CSV")?;
    store::write(&folder.history(), &csv)?;
    simulated.schedule.save(&folder.schedule())?;
    let results = Results::new(spec.clone(), started, &simulated.history, simulated.judgements.clone())?;
    results.write(&folder, &simulated.history)?;
    Ok((folder, results))
}

/// A smaller test that fails as this run did, beside the run: if that was asked for, and if there is one.
fn smaller(
    args: &SimArgs,
    spec: &Spec,
    simulated: &Simulated,
    results: &Results,
    folder: &RunFolder,
) -> Result<Option<PathBuf>, Failure> {
    let kind = Kind::of(&results.judgements);
    if !args.shrink || kind.is_valid() {
        return Ok(None);
    }
    let text = shrink::in_simulation(spec, &simulated.schedule, kind, shrink::SEEDS, shrink::BUDGET)?;
    let Some(text) = text else { return Ok(None) };
    let file = folder.path().join("small.toml");
    store::write(&file, text.as_bytes())?;
    Ok(Some(file))
}

/// A path as it is seen from here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// What a sweep keeps of each of its runs.
struct Trial {
    verdict: Verdict,
    operations: u64,
    simulated: Duration,
    digest: u32,
}

fn sweep(args: &SimArgs, spec: &Spec, seeds: Range<u64>) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let jobs = args.jobs.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().context("no threads can be started")?;
    let progress = Progress::new(seeds.end - seeds.start);
    let trials: Vec<Trial> = pool.install(|| {
        seeds
            .into_par_iter()
            .map(|seed| try_seed(args, &Spec { seed, ..spec.clone() }, &progress))
            .collect::<Result<_, _>>()
    })?;
    drop(progress);
    terminal::print(&summary(spec, &trials, begun.elapsed()));
    let worst = trials.into_iter().map(|trial| trial.verdict).fold(Verdict::Valid, Verdict::worst);
    Ok(Exit::from(&worst))
}

fn try_seed(args: &SimArgs, spec: &Spec, progress: &Progress) -> Result<Trial, Failure> {
    let simulated = sim::run(spec)?;
    let verdict = simulated.verdict();
    if verdict != Verdict::Valid {
        let mut text = complaint(spec, &verdict, &simulated.judgements);
        if progress.kept.fetch_add(1, Ordering::Relaxed) < MOST_KEPT {
            let (folder, results) = keep(&args.store, spec, Timestamp::now(), &simulated)?;
            let _ = writeln!(text, "  kept in {}", shown(folder.path()));
            if let Some(small) = smaller(args, spec, &simulated, &results, &folder)? {
                let _ = writeln!(text, "  smaller: grudge sim {}", shown(&small));
            }
        }
        progress.print(&text);
    }
    progress.count(&verdict, simulated.simulated);
    let digest = simulated.digest()?;
    Ok(Trial { verdict, operations: simulated.operations(), simulated: simulated.simulated, digest })
}

/// What is said at once of a seed that is not valid.
fn complaint(spec: &Spec, verdict: &Verdict, judgements: &[Judgement]) -> String {
    let mut text = format!("seed {}: {}\n", spec.seed, verdict.name());
    for judgement in judgements.iter().filter(|judgement| !judgement.finding) {
        let Some(reason) = judgement.verdict.reason() else { continue };
        let mut line: String = reason.lines().next().unwrap_or_default().chars().take(REASON_WIDTH).collect();
        if line.len() < reason.len() {
            line.push('…');
        }
        let _ = writeln!(text, "  {}: {}: {line}", judgement.checker, judgement.verdict.name());
    }
    let _ = writeln!(text, "  again: {}", again(spec.seed, std::env::args()));
    text
}

/// The command line that runs one seed of this sweep alone.
fn again(seed: u64, args: impl IntoIterator<Item = String>) -> String {
    let mut words = vec!["grudge".to_owned()];
    let mut args = args.into_iter().skip(1);
    while let Some(word) = args.next() {
        let name = word.split('=').next().unwrap_or_default();
        if !matches!(name, "--seeds" | "--jobs" | "--shrink") {
            words.push(if word.contains(char::is_whitespace) { format!("'{word}'") } else { word });
        } else if name == word && name != "--shrink" {
            args.next();
        }
    }
    format!("{} --seed {seed}", words.join(" "))
}

fn summary(spec: &Spec, trials: &[Trial], wall: Duration) -> String {
    let count = |wanted: &str| trials.iter().filter(|trial| trial.verdict.name() == wanted).count();
    let operations: u64 = trials.iter().map(|trial| trial.operations).sum();
    let simulated: Duration = trials.iter().map(|trial| trial.simulated).sum();
    let mut digest = crc32fast::Hasher::new();
    trials.iter().for_each(|trial| digest.update(&trial.digest.to_be_bytes()));
    format!(
        "{}  {} nodes, {} workers, {} seeds: {} valid, {} invalid, {} unknown; {operations} operations\n{}\ndigest of all histories: {:08x}\n",
        spec.name(),
        spec.nodes,
        spec.concurrency,
        trials.len(),
        count("valid"),
        count("invalid"),
        count("unknown"),
        pace(simulated, wall),
        digest.finalize()
    )
}

/// `simulated 41.2 s in 0.05 s of wall time: 824 times as fast`
fn pace(simulated: Duration, wall: Duration) -> String {
    let ratio = simulated.as_secs_f64() / wall.as_secs_f64().max(1e-9);
    format!(
        "simulated {:.1} s in {:.2} s of wall time: {ratio:.0} times as fast",
        simulated.as_secs_f64(),
        wall.as_secs_f64()
    )
}

/// How far a sweep has come: a line on standard error, on a terminal only.
struct Progress {
    bar: ProgressBar,
    begun: Instant,
    invalid: AtomicU64,
    unknown: AtomicU64,
    milliseconds: AtomicU64,
    /// How many failing seeds there were before.
    kept: AtomicUsize,
}

impl Progress {
    fn new(seeds: u64) -> Progress {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(seeds) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{elapsed:>4} {wide_bar:.cyan/dim} {pos}/{len} seeds  {msg}")
            .expect("the template is a constant")
            .progress_chars("━╸─");
        bar.set_style(style);
        logging::set_progress(Some(bar.clone()));
        let count = || AtomicU64::new(0);
        Progress {
            bar,
            begun: Instant::now(),
            invalid: count(),
            unknown: count(),
            milliseconds: count(),
            kept: AtomicUsize::new(0),
        }
    }

    fn count(&self, verdict: &Verdict, simulated: Duration) {
        match verdict {
            Verdict::Valid => {}
            Verdict::Invalid { .. } => drop(self.invalid.fetch_add(1, Ordering::Relaxed)),
            Verdict::Unknown { .. } => drop(self.unknown.fetch_add(1, Ordering::Relaxed)),
        }
        let passed = u64::try_from(simulated.as_millis()).unwrap_or(u64::MAX);
        let total = Duration::from_millis(self.milliseconds.fetch_add(passed, Ordering::Relaxed) + passed);
        let ratio = total.as_secs_f64() / self.begun.elapsed().as_secs_f64().max(1e-9);
        let (invalid, unknown) = (self.invalid.load(Ordering::Relaxed), self.unknown.load(Ordering::Relaxed));
        self.bar.inc(1);
        self.bar.set_message(format!("{invalid} invalid {unknown} unknown  {ratio:.0}x"));
    }

    /// Prints a result beside the line.
    fn print(&self, text: &str) {
        self.bar.suspend(|| terminal::print(text));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        logging::set_progress(None);
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_seeds_is_not_empty() {
        assert_eq!("3..7".parse::<Seeds>().map(|Seeds(range)| range), Ok(3..7));
        for text in ["7..3", "3..3", "3", "a..b", "..4"] {
            assert!(text.parse::<Seeds>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_seed_of_a_sweep_is_run_again_by_the_same_command_without_the_range() {
        let table = [
            ("grudge sim raft --seeds 0..10 --bug raft-stale-read", "grudge sim raft --bug raft-stale-read --seed 4"),
            ("/x/grudge sim zab --jobs=2 --shrink --seeds=0..10 --rate max", "grudge sim zab --rate max --seed 4"),
        ];
        for (swept, repeated) in table {
            assert_eq!(again(4, swept.split(' ').map(str::to_owned)), repeated);
        }
    }
}
