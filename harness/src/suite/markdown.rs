//! A suite for the page of a CI's job: what came of it, first what is not as it should be.

use std::fmt::Write as _;

use super::outcome::Standing;
use super::report::{Report, Row};

/// A reason longer than this is cut on the page: the run's folder has all of it.
const REASON: usize = 1_000;

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut page = format!("## {}\n\n{}, in {:.0} s.\n", report.title(), report.sentence(), report.seconds);
    let bad = |row: &&Row| !matches!(row.standing(), Standing::Good | Standing::Skipped);
    for row in report.tests.iter().filter(bad) {
        let _ = write!(page, "\n### {}: {}\n\n", row.name, row.verdict());
        if !row.outcome.reason().is_empty() {
            let _ = write!(page, "{}\n\n", block(row.outcome.reason()));
        }
        let _ = write!(page, "Again:\n\n{}\n", block(&row.again));
    }
    if !report.tests.is_empty() {
        page.push_str("\n| test | verdict | seconds |\n|---|---|---:|\n");
    }
    for row in &report.tests {
        let mark = match row.standing() {
            Standing::Good => "✅",
            Standing::Wrong => "❌",
            Standing::Broken => "💥",
            Standing::Inconclusive => "❔",
            Standing::Skipped => "⏭️",
        };
        let seconds = row.seconds.map(|seconds| format!("{seconds:.0}")).unwrap_or_default();
        let _ = writeln!(page, "| {} | {mark} {} | {seconds} |", row.name, row.verdict());
    }
    let skipped = report.tests.iter().filter(|row| row.standing() == Standing::Skipped);
    let notes = skipped.map(|row| (row.name.as_str(), row.outcome.reason()));
    let left_out = report.left_out.iter().map(|left_out| (left_out.what.as_str(), left_out.because.as_str()));
    for (place, (what, why)) in notes.chain(left_out).enumerate() {
        let _ = writeln!(page, "{}- {what}: {why}", if place == 0 { "\nLeft out:\n\n" } else { "" });
    }
    let _ = writeln!(page, "\nSeeds were drawn from {}.", report.seed);
    page
}

/// Text as it is, whatever is in it: indented, so that nothing in it can end it.
fn block(text: &str) -> String {
    let cut: String = text.chars().take(REASON).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    let lines: Vec<String> = cut.lines().map(|line| format!("    {line}")).collect();
    lines.join("\n") + more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::report::tests::example;

    #[test]
    fn the_page_shows_what_is_wrong_first_and_how_to_see_it_again() {
        insta::assert_snapshot!(page(&example()));
    }

    #[test]
    fn a_share_without_tests_says_so() {
        let report = Report { tests: Vec::new(), left_out: Vec::new(), ..example() };
        assert_eq!(page(&report), "## nightly 2/8\n\n0 tests: nothing to do, in 754 s.\n\nSeeds were drawn from 99.\n");
    }
}
