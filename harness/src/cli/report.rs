//! `grudge report`: an earlier run, shown again from its folder.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use grudge_checkers::history::csv;

use crate::exit::{Exit, Failure};
use crate::report::{Results, terminal};
use crate::store::RunFolder;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder of the run, for example store/zab-lock/latest
    run: PathBuf,
    /// Print results.json instead
    #[arg(long)]
    json: bool,
}

/// Prints the summary and writes the files of the report anew; ends with the run's own exit code.
pub(super) fn run(args: &ReportArgs) -> Result<Exit, Failure> {
    let folder = RunFolder::open(&args.run).map_err(|error| Failure::BadArguments(format!("{error:#}")))?;
    let results = Results::read(&folder)?;
    let path = folder.history();
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (history, damage) = csv::read(file);
    if let Some(damage) = damage {
        tracing::warn!("{}: {damage}; the report shows what comes before", path.display());
    }
    results.write(&folder, &history)?;
    terminal::print(&if args.json { results.to_json()? } else { terminal::summary(&results, Some(folder.path())) });
    Ok(Exit::from(&results.verdict))
}
