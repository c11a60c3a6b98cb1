//! `grudge replay`: the schedule of a recorded run, played again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use grudge_checkers::verdict::Verdict;
use jiff::Timestamp;
use serde::Serialize;

use super::ground::Ground;
use super::real::Prepared;
use super::{session, sim};
use crate::exit::{Exit, Failure};
use crate::fault::Arena;
use crate::replay::{Again, By, Recorded, Sign};
use crate::report::{Results, terminal};
use crate::sandbox::Network;
use crate::sim as simulator;
use crate::spec::Spec;
use crate::store::RunFolder;

const EXIT_CODES: &str = "\
The exit code is that of the worst try, as everywhere: 0 if every try was valid, 1 if a promise was broken in one, 2 \
if a try proved nothing. So a recorded failure is a regression test: replay ends with 1 as long as it comes back, and \
with 0 once it is mended (as `git bisect run` wants it).";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ReplayArgs {
    /// The folder of the run, for example store/zab-lock/latest
    run: PathBuf,
    /// How often to play it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
    /// Play it in simulated time; the first try has the run's seed, each further one the next
    #[arg(long)]
    sim: bool,
    /// By what its faults are armed again [default: time with --sim, or else landmarks]
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
    /// Where the new runs are kept
    #[arg(long, value_name = "DIR", default_value = "store")]
    store: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of playing it again.
#[derive(Debug, Serialize)]
struct Replayed {
    /// How the recorded run ended.
    recorded: String,
    /// In how many tries that came back.
    came_back: usize,
    /// What could not be done where it was played.
    left_out: Vec<String>,
    tries: Vec<Try>,
}

#[derive(Debug, Serialize)]
struct Try {
    /// How it ended.
    ended: String,
    came_back: bool,
    /// Its folder.
    run: PathBuf,
    #[serde(flatten)]
    verdict: Verdict,
}

pub(super) fn run(args: &ReplayArgs) -> Result<Exit, Failure> {
    let folder = RunFolder::open(&args.run).map_err(|error| Failure::BadArguments(format!("{error:#}")))?;
    let recorded = Recorded::read(&folder)?;
    let (arena, usual) = if args.sim { (Arena::Simulation, By::Time) } else { (Arena::Processes, By::Landmarks) };
    let Again { spec, left_out } = recorded.again(args.by.unwrap_or(usual), arena);
    for sentence in &left_out {
        tracing::warn!("left out: {sentence}");
    }
    let tries = if args.sim { simulate(args, &spec, &recorded.sign)? } else { play(args, &spec, &recorded.sign)? };
    let came_back = tries.iter().filter(|one| one.came_back).count();
    let replayed = Replayed { recorded: recorded.sign.to_string(), came_back, left_out, tries };
    let json = || serde_json::to_string_pretty(&replayed).context("a replay cannot be expressed as JSON");
    terminal::print(&if args.json { json()? + "\n" } else { summary(&replayed) });
    let worst = replayed.tries.into_iter().map(|one| one.verdict).fold(Verdict::Valid, Verdict::worst);
    Ok(Exit::from(&worst))
}

/// On real processes, one after the other. An interrupt ends it with the try that is under way.
fn play(args: &ReplayArgs, spec: &Spec, sign: &Sign) -> Result<Vec<Try>, Failure> {
    // What makes no sense is refused before the first cluster is started.
    let first = Prepared::new(spec.clone(), &args.store, Ground::Namespaces)?;
    session::in_sandbox(Network::Own, |stop| async move {
        let mut next = Some(first);
        let mut tries = Vec::new();
        while let Some(prepared) = next {
            let folder = prepared.folder.clone();
            let results = prepared.run(stop.clone()).await?;
            tries.push(judged(&results, folder.path(), sign));
            let more = tries.len() < args.tries as usize && !stop.requested();
            next = if more { Some(Prepared::new(spec.clone(), &args.store, Ground::Namespaces)?) } else { None };
        }
        Ok(tries)
    })
}

fn simulate(args: &ReplayArgs, spec: &Spec, sign: &Sign) -> Result<Vec<Try>, Failure> {
    let mut tries = Vec::new();
    for number in 0..args.tries {
        let spec = Spec { seed: spec.seed.saturating_add(u64::from(number)), ..spec.clone() };
        let started = Timestamp::now();
        let simulated = simulator::run(&spec)?;
        let (folder, results) = sim::keep(&args.store, &spec, started, &simulated)?;
        tries.push(judged(&results, folder.path(), sign));
    }
    Ok(tries)
}

fn judged(results: &Results, run: &Path, sign: &Sign) -> Try {
    Try {
        ended: Sign::of(&results.judgements).to_string(),
        came_back: sign.comes_back_in(&results.judgements),
        run: run.to_owned(),
        verdict: results.verdict.clone(),
    }
}

fn summary(replayed: &Replayed) -> String {
    let mut text = String::new();
    for (number, one) in replayed.tries.iter().enumerate() {
        let _ = writeln!(text, "try {}: {}", number + 1, one.ended);
        if let Some(line) = one.verdict.reason().and_then(|reason| reason.lines().next()) {
            let _ = writeln!(text, "  {line}");
        }
        let _ = writeln!(text, "  kept in {}", one.run.display());
    }
    for sentence in &replayed.left_out {
        let _ = writeln!(text, "left out: {sentence}");
    }
    let _ =
        writeln!(text, "verdict {} came back in {} of {}", replayed.recorded, replayed.came_back, replayed.tries.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_says_how_often_the_verdict_came_back() {
        let one = |came_back| Try {
            ended: "valid".to_owned(),
            came_back,
            run: "store/zab-lock/x".into(),
            verdict: Verdict::Unknown { reason: "too short\nby far".to_owned() },
        };
        let replayed = Replayed {
            recorded: "invalid (lock)".to_owned(),
            came_back: 1,
            left_out: vec!["at 1s: cpu leader 10 % (a cpu exists on real processes only)".to_owned()],
            tries: vec![one(true), one(false)],
        };
        assert_eq!(
            summary(&replayed),
            "try 1: valid\n  too short\n  kept in store/zab-lock/x\ntry 2: valid\n  too short\n  kept in \
             store/zab-lock/x\nleft out: at 1s: cpu leader 10 % (a cpu exists on real processes only)\nverdict invalid (lock) came \
             back in 1 of 2\n"
        );
    }
}
