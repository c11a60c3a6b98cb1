//! The summary on the terminal. Text in, text out: colours are taken out again where nobody sees them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use grudge_checkers::history::{Event, Kind};
use grudge_checkers::verdict::{Verdict, Witness};
use owo_colors::OwoColorize;
use serde_json::Value;

use super::{FaultSpan, Judged, Latency, Results};

/// A receipt longer than this is cut on the terminal; the history has all of it.
const RECEIPT_WIDTH: usize = 100;

/// Prints a result on standard output. A reader who has gone away is no error.
pub fn print(text: &str) {
    let mut out = anstream::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a complaint on standard error.
pub fn complain(text: &str) {
    let mut err = anstream::stderr();
    let _ = writeln!(err, "{} {text}", "grudge:".red().bold());
}

/// Says on standard error how far a long command has come, or where it has put something.
pub fn note(text: &str) {
    let mut err = anstream::stderr();
    let _ = err.write_all(text.as_bytes());
}

/// The whole summary of a run.
#[must_use]
pub fn summary(results: &Results, folder: Option<&Path>) -> String {
    let mut text = String::new();
    let spec = &results.spec;
    let _ = writeln!(
        text,
        "{}  {} nodes, {} workers, {:.1} s, seed {}{}",
        results.test.bold(),
        spec.nodes,
        spec.concurrency,
        results.seconds,
        spec.seed,
        spec.bugs.iter().map(|bug| format!(", bug {}", crate::spec::kebab(bug))).collect::<String>()
    );
    let _ = writeln!(text, "\n{}", operations(results));
    if !results.faults.is_empty() {
        let _ = writeln!(text, "\n{}", faults(&results.faults));
    }
    let _ = writeln!(text, "\n{}", judgements(&results.judgements));
    if let Some(folder) = folder {
        let page = folder.join("report.html");
        let here = std::env::current_dir().unwrap_or_default();
        let _ = writeln!(text, "report: {}", page.strip_prefix(here).unwrap_or(&page).display());
    }
    let _ = writeln!(text, "verdict: {}", painted(&results.verdict).bold());
    text
}

/// Each judgement in a line, broken ones with their witness.
#[must_use]
pub fn judgements(judgements: &[Judged]) -> String {
    let mut text = String::new();
    for judged in judgements {
        let role = if judged.finding { " (a finding, not a verdict)" } else { "" };
        let _ = writeln!(text, "{}: {}{}", judged.checker, painted(&judged.verdict), role.dimmed());
        match &judged.verdict {
            Verdict::Valid => {}
            Verdict::Unknown { reason } => {
                let _ = writeln!(text, "  {reason}");
            }
            Verdict::Invalid { witness } => text.push_str(&self::witness(witness)),
        }
    }
    text
}

/// The few operations that contradict each other, and why.
#[must_use]
pub fn witness(witness: &Witness) -> String {
    let mut text = format!("  {}\n", witness.reason);
    if witness.events.is_empty() {
        return text;
    }
    let mut table = table();
    table.set_header(["index", "time", "process", "type", "f", "key", "value", "node", "error", "version"]);
    for event in &witness.events {
        table.add_row(row(event));
    }
    for line in table.to_string().lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn row(event: &Event) -> [String; 10] {
    [
        event.index.to_string(),
        format!("{:.6}", event.time as f64 / 1e9),
        event.process.to_string(),
        event.kind.to_string(),
        event.f.clone(),
        event.key.clone().unwrap_or_default(),
        if event.value.is_null() && event.kind == Kind::Invoke { String::new() } else { short(&event.value) },
        event.node.clone().unwrap_or_default(),
        event.error.clone().unwrap_or_default(),
        event.version.map(|version| version.to_string()).unwrap_or_default(),
    ]
}

fn operations(results: &Results) -> Table {
    let mut table = table();
    table.set_header(["operation", "ok", "fail", "info", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors"]);
    for (f, operations) in &results.operations {
        let [p50, p95, p99, max] = latency(operations.latency);
        let mut errors: Vec<(&String, &u64)> = operations.errors.iter().collect();
        errors.sort_by_key(|(token, count)| (std::cmp::Reverse(**count), *token));
        let errors: Vec<String> = errors.iter().take(3).map(|(token, count)| format!("{token} {count}")).collect();
        table.add_row([
            f.clone(),
            operations.ok.to_string(),
            operations.fail.to_string(),
            operations.info.to_string(),
            p50,
            p95,
            p99,
            max,
            errors.join(", "),
        ]);
    }
    for i in 1..=7 {
        if let Some(column) = table.column_mut(i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn latency(latency: Option<Latency>) -> [String; 4] {
    match latency {
        None => std::array::from_fn(|_| "–".to_owned()),
        Some(Latency { p50, p95, p99, max }) => [p50, p95, p99, max].map(|ms| format!("{ms:.1}")),
    }
}

fn faults(spans: &[FaultSpan]) -> Table {
    let mut table = table();
    table.set_header(["fault", "from s", "to s", "receipt"]);
    for span in spans {
        let receipt = match (&span.error, &span.receipt) {
            (Some(error), _) => format!("NOT IN FORCE: {error}"),
            (None, Value::Null) => "none".to_owned(),
            (None, receipt) => short(&Value::String(receipt_in_words(receipt))),
        };
        table.add_row([
            span.drawn.clone(),
            format!("{:.1}", span.start),
            span.end.map_or_else(|| "–".to_owned(), |end| format!("{end:.1}")),
            receipt,
        ]);
    }
    table
}

/// `killed n1 n4 (2.2 ms)`, `silent n1→n2 n2→n1 (28.1 ms)`; whatever it is, the history has all of it.
pub(super) fn receipt_in_words(receipt: &Value) -> String {
    let words = |value: &Value| {
        let list = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        list.collect::<Vec<_>>().join(" ")
    };
    let Some((kind, evidence)) = receipt["evidence"].as_object().and_then(|evidence| evidence.iter().next()) else {
        return receipt.to_string();
    };
    let took = receipt["took_ms"].as_f64().unwrap_or_default();
    if let Value::String(done) = evidence {
        return format!("{done} {}", words(&receipt["nodes"])).trim_end().to_owned();
    }
    match evidence.get("silent") {
        Some(silent) => format!("silent {} ({took:.1} ms)", words(silent)),
        None => format!("{kind} {} ({took:.1} ms)", words(&receipt["nodes"])),
    }
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn painted(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Valid => verdict.name().green().to_string(),
        Verdict::Unknown { .. } => verdict.name().yellow().to_string(),
        Verdict::Invalid { .. } => verdict.name().red().to_string(),
    }
}

/// A JSON value in one line; a string without its quotes.
pub(super) fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= RECEIPT_WIDTH {
        return text;
    }
    text.chars().take(RECEIPT_WIDTH).chain("…".chars()).collect()
}
