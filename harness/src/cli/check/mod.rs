//! `grudge check`: judges histories, whoever wrote them.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::{Args, ValueEnum};
use grudge_checkers::checker::Checker;
use grudge_checkers::guess;
use grudge_checkers::history::Recording;
use grudge_checkers::judgement::Judgement;
use grudge_checkers::linearizability::Limits;
use grudge_checkers::model::{FailedCas, NullReads, Parameters, RegisterRules};
use grudge_checkers::verdict::Verdict;
use jiff::SignedDuration;
use rayon::prelude::*;
use serde_json::Value;

use self::checked::Checked;
use self::source::Source;
use crate::exit::{Exit, Failure};
use crate::report::terminal;
use crate::spec;

mod bytes;
mod checked;
mod convert;
mod draw;
mod source;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Histories as CSV, EDN or JSON lines, perhaps compressed (.gz, .zst); `-` is standard input
    #[arg(required = true, value_name = "HISTORY")]
    files: Vec<PathBuf>,
    /// What they are judged as, a model or a checker, such as register, cas-register, mutex, queue, set or list-append
    /// [default: guessed from the operations]
    #[arg(long, value_name = "M")]
    model: Option<Checker>,
    /// How long the search for a legal order may take, for each history
    #[arg(long, value_name = "T", value_parser = spec::duration, default_value = "60s")]
    limit: SignedDuration,
    /// How much memory the search may take, for each history
    #[arg(long, value_name = "SIZE", value_parser = bytes::size, default_value = "2GiB")]
    memory: usize,
    /// What a register holds in the beginning, as JSON [default: null; in histories that Jepsen wrote as EDN, 0]
    #[arg(long, value_name = "VALUE", value_parser = json)]
    initial: Option<Value>,
    /// What a compare-and-set tells that failed: nothing (drop), or that the value was another (observe)
    #[arg(long, value_name = "HOW", value_enum, default_value = "drop")]
    failed_cas: FailedCasArg,
    /// How many permits a semaphore has
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    permits: u32,
    /// Have each judgement verified by a second, simple program: a legal order is replayed, of a contradiction every order
    /// is tried
    #[arg(long)]
    verify: bool,
    /// Draw what contradicts itself into this folder: cycles of transactions as SVG and DOT, other witnesses as DOT
    #[arg(long, value_name = "FOLDER", conflicts_with = "to")]
    draw: Option<PathBuf>,
    /// Do not judge, write the history to this file in the format that its name says
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailedCasArg {
    Drop,
    Observe,
}

pub(super) fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    if args.files.iter().filter(|file| source::is_standard_input(file)).count() > 1 {
        return Err(Failure::BadArguments("standard input (`-`) is one history, and can be named once".to_owned()));
    }
    if let Some(to) = &args.to {
        return convert::run(&args.files, to);
    }
    let checked: Vec<Result<Checked, Failure>> = args.files.par_iter().map(|file| one(file, args)).collect();
    // What can be judged is told, also if a file beside it cannot be read.
    let (mut judged, mut failures) = (Vec::new(), Vec::new());
    for result in checked {
        match result {
            Ok(checked) => judged.push(checked),
            Err(failure) => failures.push(failure),
        }
    }
    let text = if args.json {
        serde_json::to_string_pretty(&judged).context("judgements cannot be expressed as JSON")? + "\n"
    } else {
        judged.iter().map(Checked::to_text).collect::<String>() + &checked::summary(&judged)
    };
    if !judged.is_empty() {
        terminal::print(&text);
    }
    let worst = judged.into_iter().fold(Verdict::Valid, |worst, checked| worst.worst(checked.verdict));
    let mut failures = failures.into_iter();
    let Some(last) = failures.next_back() else { return Ok(Exit::from(&worst)) };
    failures.for_each(|failure| terminal::complain(&failure.to_string()));
    Err(last)
}

fn one(path: &std::path::Path, args: &CheckArgs) -> Result<Checked, Failure> {
    let begun = Instant::now();
    let source = Source::new(path)?;
    let wrong = |error| Failure::BadArguments(format!("{}: {error}", source.name()));
    let recording = Recording::new(|| source.open(), source.format()).map_err(wrong)?;
    let limits = Limits { time: spec::std(args.limit), memory: args.memory };
    let parameters = args.parameters(recording.is_jepsen());
    let (checker, judgement): (Checker, Judgement) = match args.model {
        Some(checker) => (checker, checker.judge_with(&parameters, &recording, &limits)),
        None => match guess::judge(&recording, &parameters, &limits).map_err(wrong)? {
            Some(guessed) => (guessed.checker, guessed.judgement),
            None => return Err(Failure::BadArguments(no_guess(source.name()))),
        },
    };
    if let Some(folder) = &args.draw {
        draw::run(folder, source.name(), checker, &recording, &judgement.verdict)?;
    }
    let proof = args.verify.then(|| checker.verify(&parameters, &recording, &judgement));
    Ok(Checked::new(source.name().to_owned(), checker, judgement, proof, begun.elapsed()))
}

fn no_guess(name: &str) -> String {
    let names = Checker::all().map(Checker::name).collect::<Vec<_>>().join(", ");
    format!("{name}: it cannot be told from its operations what it is; say so with --model (one of {names})")
}

impl CheckArgs {
    /// What the history does not say itself. Jepsen's registers are judged as Knossos does: they begin with 0, and a read
    /// of nil is one whose answer was not recorded.
    fn parameters(&self, is_jepsen: bool) -> Parameters {
        let usual = if is_jepsen { Value::from(0) } else { Value::Null };
        let registers = RegisterRules {
            initial: self.initial.clone().unwrap_or(usual),
            null_reads: if is_jepsen { NullReads::TellNothing } else { NullReads::FoundNothing },
            failed_cas: match self.failed_cas {
                FailedCasArg::Drop => FailedCas::TellsNothing,
                FailedCasArg::Observe => FailedCas::FoundAnother,
            },
        };
        Parameters { registers, permits: self.permits }
    }
}

/// JSON, or a bare word.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a parser of arguments")]
fn json(text: &str) -> Result<Value, String> {
    Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
}
