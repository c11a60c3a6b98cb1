//! A suite on the terminal.

use std::fmt::Write as _;
use std::path::Path;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use owo_colors::OwoColorize;

use super::outcome::Standing;
use super::report::{Report, Row};

/// The whole report: a row a test, and below it what is not as it should be.
#[must_use]
pub fn text(report: &Report, folder: &Path) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["test", "verdict", "seconds"]);
    for row in &report.tests {
        table.add_row([row.name.clone(), row.verdict(), seconds(row)]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{}  {:.1} s, seed {}\n\n{table}\n\n", report.title().bold(), report.seconds, report.seed);
    for row in report.tests.iter().filter(|row| row.standing() != Standing::Good) {
        let _ = writeln!(text, "{}: {}", row.name, coloured(row, row.told()));
        let _ = writeln!(text, "  again: {}", row.again);
    }
    for left_out in &report.left_out {
        let _ = writeln!(text, "left out: {}: {}", left_out.what, left_out.because);
    }
    let _ = writeln!(text, "report: {}\n{}", folder.join("suite.md").display(), report.sentence());
    text
}

/// One line about a test, said as soon as it is known.
#[must_use]
pub fn line(row: &Row, place: usize, of: usize) -> String {
    format!("[{place}/{of}] {}: {}, {} s\n", row.name, coloured(row, row.verdict()), seconds(row))
}

fn seconds(row: &Row) -> String {
    row.seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0}"))
}

fn coloured(row: &Row, text: String) -> String {
    match row.standing() {
        Standing::Good => text.green().to_string(),
        Standing::Wrong | Standing::Broken => text.red().to_string(),
        Standing::Inconclusive | Standing::Skipped => text.yellow().to_string(),
    }
}
