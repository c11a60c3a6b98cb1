//! `grudge suite`: many tests under one budget, for every night.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::spec_args::fresh_seed;
use crate::exit::{Exit, Failure};
use crate::report::terminal;
use crate::runner::stop::{self, Stop};
use crate::spec;
use crate::suite::report::{self, Report, Row};
use crate::suite::run::Conduct;
use crate::suite::shard::Shard;
use crate::suite::{Suite, Test, child, markdown, table};

const EXIT_CODES: &str = "\
Exit codes, the first that fits: 1 a promise was broken, or one that is known to be (`expect = \"invalid\"`) was not
found broken; 255 the harness failed in a test; 2 a test proved nothing or was not run; 0 all as it should be.
254 bad arguments or a bad file: nothing was run.";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct SuiteArgs {
    /// The suite's file
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// From which the seeds are drawn that the file does not say [default: a new one, printed]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Only this share of the tests, as in 2/8; give all shares the same --seed
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// How many tests at a time
    #[arg(long, value_name = "N", default_value = "1")]
    jobs: NonZeroUsize,
    /// How long all of it may take [default: as the file says]
    #[arg(long, value_name = "T", value_parser = spec::duration)]
    budget: Option<SignedDuration>,
    /// Only tests with this in their name
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Say what would be run, and run nothing
    #[arg(long)]
    list: bool,
    /// Append a summary in Markdown to this file, as for $GITHUB_STEP_SUMMARY
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Where runs are kept
    #[arg(long, value_name = "DIR", default_value = "store")]
    store: PathBuf,
    /// Print suite.json instead of the table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &SuiteArgs) -> Result<Exit, Failure> {
    let suite = Suite::read(&args.file, args.seed.unwrap_or_else(fresh_seed))?;
    let tests = wanted(args, &suite)?;
    if args.list {
        tests.iter().for_each(|test| terminal::print(&format!("{}: {}\n", test.name, test.again)));
        return Ok(Exit::Valid);
    }
    let (started, begun) = (Timestamp::now(), Instant::now());
    let folder = report::folder(&args.store, &suite.name, started)?;
    terminal::note(&format!("{}: {} tests, seed {}\n", suite.name, tests.len(), suite.seed));
    let rows = perform(args, &suite, &tests, &folder)?;
    let report = Report::new(&suite, args.shard, started, begun.elapsed(), rows);
    report.write(&folder)?;
    if let Some(summary) = &args.summary {
        append(summary, &markdown::page(&report))
            .with_context(|| format!("cannot write the summary {}", summary.display()))?;
    }
    terminal::print(&if args.json { report.to_json()? } else { table::text(&report, &folder) });
    Ok(report.exit())
}

/// The tests that were asked for.
fn wanted(args: &SuiteArgs, suite: &Suite) -> Result<Vec<Test>, Failure> {
    let lengths: Vec<Duration> = suite.tests.iter().map(Test::length).collect();
    let all = || (0..suite.tests.len()).collect();
    let shared = args.shard.map_or_else(all, |shard| shard.pick(&lengths)).into_iter().map(|test| &suite.tests[test]);
    let Some(only) = &args.only else { return Ok(shared.cloned().collect()) };
    if !suite.tests.iter().any(|test| test.name.contains(only)) {
        let names: Vec<&str> = suite.tests.iter().map(|test| test.name.as_str()).collect();
        return Err(Failure::BadArguments(format!("no test has `{only}` in its name; there are {}", names.join(", "))));
    }
    Ok(shared.filter(|test| test.name.contains(only)).cloned().collect())
}

/// Runs them on one thread: a test that is told to die with the suite dies with the thread that started it.
fn perform(args: &SuiteArgs, suite: &Suite, tests: &[Test], folder: &Path) -> Result<Vec<Row>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the async runtime cannot be started")?;
    let conduct = Conduct { jobs: args.jobs.get(), budget: args.budget.map(spec::std).or(suite.budget) };
    let mut ended = 0;
    let say = |row: &Row| {
        ended += 1;
        terminal::note(&table::line(row, ended, tests.len()));
    };
    runtime.block_on(async {
        let (stopper, stop) = stop::pair();
        stop::on_signals(stopper).context("signals cannot be caught")?;
        let one = |test: Test, stop: Stop| async move {
            let store = folder.join(&test.name);
            child::run(&test, suite.when_missing, &store, stop).await
        };
        Ok(conduct.run(tests, stop.clone(), |test| one(test, stop.clone()), say).await)
    })
}

fn append(file: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::test::TestArgs;

    #[derive(Debug, Parser)]
    enum Grudge {
        Test(TestArgs),
    }

    /// What a command line of `grudge test` runs.
    fn asked(line: &str) -> spec::Spec {
        let words = line.replace('\'', "");
        let Grudge::Test(args) = Grudge::try_parse_from(words.split(' ')).unwrap_or_else(|error| panic!("{error}"));
        args.asked().unwrap_or_else(|error| panic!("{error}")).0
    }

    #[test]
    fn the_command_that_runs_a_test_again_runs_that_test() {
        for name in ["nightly", "small", "others"] {
            let file = format!("{}/suites/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            for test in Suite::read(Path::new(&file), 7).expect("a good suite").tests {
                assert_eq!(asked(&test.again), test.spec, "{}", test.again);
            }
        }
    }
}
