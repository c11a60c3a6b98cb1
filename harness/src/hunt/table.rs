//! The report of a hunt on the terminal.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use owo_colors::OwoColorize;

use super::real::Real;
use super::report::{Control, Report, Row};
use crate::spec::kebab;

/// The whole report: a row a bug, the control row, and what was wrong.
#[must_use]
pub fn text(report: &Report) -> String {
    let real = report.bugs.iter().any(|row| row.real.is_some());
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    let mut head = vec!["bug", "found", "workload", "faults it took", "seen by", "runs", "time"];
    head.extend(real.then_some("on real processes"));
    table.set_header(head);
    for row in &report.bugs {
        let mut cells = cells(row).to_vec();
        cells.extend(row.real.as_ref().map(on_processes));
        table.add_row(cells);
    }
    for column in [5, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n\n{}", control(&report.control))
}

/// One line about a bug, said as soon as it is known.
#[must_use]
pub fn line(row: &Row) -> String {
    let [bug, found, workload, faults, checkers, runs, time] = cells(row);
    let real = row.real.as_ref().map(|real| format!("; on real processes: {}", on_processes(real))).unwrap_or_default();
    format!("{bug}: {found}, {workload} x {faults} x {checkers}, {runs} runs, {time}{real}\n")
}

fn cells(row: &Row) -> [String; 7] {
    let none = || "-".to_owned();
    let faults = if row.faults.is_empty() { format!("({})", row.menu) } else { row.faults.join(" + ") };
    let checkers: Vec<&str> = row.checkers.iter().map(String::as_str).collect();
    [
        kebab(&row.bug),
        format!("{} of {}", row.found, row.rounds.len()),
        row.workload.clone(),
        faults,
        if checkers.is_empty() { none() } else { checkers.join(", ") },
        row.runs.map_or_else(none, |runs| runs.to_string()),
        row.seconds.map_or_else(none, |seconds| format!("{seconds:.1} s")),
    ]
}

fn on_processes(real: &Real) -> String {
    match real {
        Real::Found { find, runs, seconds } => {
            format!("found in {runs} run{}, {seconds:.0} s, by {}", plural(*runs), find.checkers.join(", "))
        }
        Real::Missed { runs, seconds } => format!("not found in {runs} run{}, {seconds:.0} s", plural(*runs)),
        Real::Impossible { because } => format!("cannot be: {because}"),
    }
}

fn control(control: &Control) -> String {
    let Control { wanted, runs, unknown, invalid, seconds } = control;
    let mut text = format!("no bug on: {runs} of {wanted} runs in {seconds:.0} s, {unknown} of them unknown, ");
    let _ = match invalid.len() {
        0 => writeln!(text, "{}", "none invalid".green()),
        count => writeln!(text, "{}", format!("{count} invalid").red()),
    };
    for wrong in invalid {
        let what = wrong.find.checkers.join(", ");
        let _ = writeln!(
            text,
            "  as for {}, seed {}: {what}: {}",
            kebab(&wrong.recipe),
            wrong.find.seed,
            wrong.find.reason
        );
    }
    text
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
