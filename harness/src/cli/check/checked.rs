//! What is told of one history that was judged.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use grudge_checkers::checker::Checker;
use grudge_checkers::judgement::{Decider, Judgement};
use grudge_checkers::verdict::Verdict;
use grudge_checkers::verify::Proof;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::report::{Judged, terminal};

/// One file's judgement.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    file: String,
    checker: String,
    #[serde(flatten)]
    pub(super) verdict: Verdict,
    operations: usize,
    /// By how many objects each decided.
    deciders: BTreeMap<Decider, usize>,
    seconds: f64,
    /// The most that this process has used so far, of all files together.
    peak_memory_bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// How many operations were put in order before the search was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered: Option<usize>,
    /// What a second program made of it, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

impl Checked {
    /// A verdict whose proof does not hold is none.
    pub(super) fn new(
        file: String,
        checker: Checker,
        judgement: Judgement,
        proof: Option<Result<Proof, String>>,
        took: Duration,
    ) -> Checked {
        let Judgement { mut verdict, deciders, operations, orders: _, prefix, notes } = judgement;
        let proof = proof.map(|proof| {
            proof.map_or_else(
                |problem| {
                    let reason = format!("the verdict was {}, but its proof does not hold: {problem}", verdict.name());
                    verdict = Verdict::Unknown { reason };
                    "refuted".to_owned()
                },
                in_words,
            )
        });
        Checked {
            file,
            checker: checker.title(),
            verdict,
            operations,
            deciders,
            seconds: took.as_secs_f64(),
            peak_memory_bytes: peak_memory(),
            notes,
            ordered: prefix.map(|prefix| prefix.order.len()),
            proof,
        }
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let deciders: Vec<&str> = self.deciders.keys().map(|decider| decider.name()).collect();
        let by = if deciders.is_empty() { String::new() } else { format!(", by {}", deciders.join(" and ")) };
        let (file, memory) = (self.file.bold(), megabytes(self.peak_memory_bytes));
        let _ = writeln!(text, "{file}: {} operations{by}, {:.3} s, peak {memory}", self.operations, self.seconds);
        let judged = Judged { checker: self.checker.clone(), verdict: self.verdict.clone(), finding: false };
        text += &terminal::judgements(std::slice::from_ref(&judged));
        if let Some(ordered) = self.ordered {
            let _ = writeln!(text, "  {ordered} operations had been put in order");
        }
        if let Some(proof) = &self.proof {
            let _ = writeln!(text, "  proof: {proof}");
        }
        for note in &self.notes {
            let _ = writeln!(text, "  {note}");
        }
        text
    }
}

fn in_words(proof: Proof) -> String {
    match proof {
        Proof::Orders { operations } => format!("the order of {operations} operations was replayed"),
        Proof::Contradiction { events } => format!("every order of these {events} events was tried"),
        Proof::Nothing => "none that can be tried".to_owned(),
    }
}

/// How many are what, if there are several.
pub(super) fn summary(all: &[Checked]) -> String {
    if all.len() < 2 {
        return String::new();
    }
    let counts = ["valid", "invalid", "unknown"].map(|name| {
        let count = all.iter().filter(|checked| checked.verdict.name() == name).count();
        (count > 0).then(|| format!("{count} {name}"))
    });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    format!("{} histories: {}\n", all.len(), counts.join(", "))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

/// The most memory that this process has used; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.ok().and_then(|status| status.vmhwm).unwrap_or(0) * 1024
}
