//! `grudge check`: judges histories, whoever wrote them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use grudge_checkers::checker::Checker;
use grudge_checkers::history::{Event, History, Kind, Process, ReadError, csv};
use grudge_checkers::linearizability::Limits;
use grudge_checkers::model::Named;
use grudge_checkers::verdict::Verdict;
use jiff::SignedDuration;
use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::report::{Judged, terminal};
use crate::spec;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Histories as CSV
    #[arg(required = true, value_name = "HISTORY")]
    files: Vec<PathBuf>,
    /// What it is judged as: register, cas-register, mutex, fenced-mutex, set, lease, session, pairs [default: guessed
    /// from the operations' names]
    #[arg(long, value_name = "M")]
    model: Option<Checker>,
    /// How long the search for a legal order may take
    #[arg(long, value_name = "T", value_parser = spec::duration, default_value = "60s")]
    limit: SignedDuration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One file's judgement.
#[derive(Debug, Serialize)]
struct Checked {
    file: PathBuf,
    events: usize,
    #[serde(flatten)]
    judged: Judged,
}

pub(super) fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    let limits = Limits { time: spec::std(args.limit), ..Limits::default() };
    let checked: Vec<Checked> =
        args.files.iter().map(|file| one(file, args.model, &limits)).collect::<Result<_, Failure>>()?;
    let text = if args.json {
        serde_json::to_string_pretty(&checked).context("judgements cannot be expressed as JSON")? + "\n"
    } else {
        checked.iter().map(render).collect()
    };
    terminal::print(&text);
    let worst = checked.into_iter().fold(Verdict::Valid, |worst, checked| worst.worst(checked.judged.verdict));
    Ok(Exit::from(&worst))
}

fn one(path: &Path, model: Option<Checker>, limits: &Limits) -> Result<Checked, Failure> {
    let file =
        File::open(path).map_err(|error| Failure::BadArguments(format!("cannot read {}: {error}", path.display())))?;
    let (history, damage) = csv::read(file);
    let checker = match model.or_else(|| guess(&history)) {
        Some(checker) => checker,
        None => return Err(Failure::BadArguments(no_guess(path, damage.as_ref()))),
    };
    let mut verdict = checker.check(&history, limits);
    if let Some(damage) = damage {
        let reason = format!("the file is damaged ({damage}); only what comes before was judged");
        verdict = verdict.worst(Verdict::Unknown { reason });
    }
    let judged = Judged { checker: checker.title(), verdict, finding: false };
    Ok(Checked { file: path.to_path_buf(), events: history.events.len(), judged })
}

fn no_guess(path: &Path, damage: Option<&ReadError>) -> String {
    match damage {
        Some(damage) => format!("{}: {damage}", path.display()),
        None => format!(
            "{}: it cannot be told from its operations what it is; say so with --model (one of {})",
            path.display(),
            Checker::all().map(Checker::name).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// By what these operations are judged, if their names say so.
fn guess(history: &History) -> Option<Checker> {
    let clients = || history.events.iter().filter(|event| event.process != Process::Nemesis);
    let names: BTreeSet<&str> = clients().map(|event| event.f.as_str()).collect();
    let only = |known: &[&str]| !names.is_empty() && names.iter().all(|name| known.contains(name));
    let has_token = |event: &Event| event.kind == Kind::Ok && event.f == "acquire" && !event.value.is_null();
    let has_halves = |event: &Event| matches!(&event.value, Value::Array(both) if both.len() == 2 && both.iter().all(Value::is_array));
    let is_pairs = || clients().any(|event| event.kind == Kind::Ok && event.f == "read" && has_halves(event));
    if only(&["read", "write"]) {
        Some(if is_pairs() { Checker::Pairs } else { Checker::Linearizable(Named::Register) })
    } else if only(&["read", "write", "cas"]) {
        Some(Checker::Linearizable(Named::CasRegister))
    } else if only(&["acquire", "prove", "release"]) {
        Some(Checker::Linearizable(if clients().any(has_token) { Named::FencedMutex } else { Named::Mutex }))
    } else if only(&["add", "read", "read-local"]) {
        Some(Checker::Set)
    } else if only(&["grant", "renew", "check", "revoke"]) {
        Some(Checker::Lease)
    } else if only(&["read", "write", "hop"]) {
        Some(Checker::Session)
    } else {
        None
    }
}

fn render(checked: &Checked) -> String {
    let mut text = String::new();
    let file = checked.file.display().to_string();
    let _ = writeln!(text, "{}: {} events", file.bold(), checked.events);
    text + &terminal::judgements(std::slice::from_ref(&checked.judged))
}
