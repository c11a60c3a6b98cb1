//! `junit.xml`: each judgement is a test case, so that a CI server can show it.

use anyhow::{Context, Result};
use grudge_checkers::verdict::Verdict;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Results;

/// The outcome for continuous integration. An unknown verdict is an error, a broken promise a failure, and a finding
/// never more than a skipped case.
pub(super) fn render(results: &Results) -> Result<String> {
    let mut suite = TestSuite::new(results.test.as_str());
    for judged in &results.judgements {
        let (kind, message) = match &judged.verdict {
            Verdict::Valid => (None, String::new()),
            Verdict::Unknown { reason } => (Some(NonSuccessKind::Error), reason.clone()),
            Verdict::Invalid { witness } => (Some(NonSuccessKind::Failure), witness.reason.clone()),
        };
        let mut status = match kind {
            None => TestCaseStatus::success(),
            Some(_) if judged.finding => TestCaseStatus::skipped(),
            Some(kind) => TestCaseStatus::non_success(kind),
        };
        if !message.is_empty() {
            status.set_message(message);
        }
        suite.add_test_case(TestCase::new(judged.checker.as_str(), status));
    }
    let mut report = Report::new("grudge");
    report.add_test_suite(suite);
    report.to_string().context("junit.xml cannot be expressed")
}
