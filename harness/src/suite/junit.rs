//! A suite for a CI's server: each test is a test case.

use std::time::Duration;

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report as JUnit, TestCase, TestCaseStatus, TestSuite};

use super::outcome::Standing;
use super::report::Report;

/// `junit.xml`. A broken promise, and one that was not seen to be, is a failure; what proves nothing is an error.
///
/// # Errors
/// None that a suite can cause.
pub fn render(report: &Report) -> Result<String> {
    let mut suite = TestSuite::new(report.title());
    for row in &report.tests {
        let mut status = match row.standing() {
            Standing::Good => TestCaseStatus::success(),
            Standing::Skipped => TestCaseStatus::skipped(),
            Standing::Wrong => TestCaseStatus::non_success(NonSuccessKind::Failure),
            Standing::Broken | Standing::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
        };
        if row.standing() != Standing::Good {
            status.set_message(row.told());
            status.set_description(format!("again: {}", row.again));
        }
        let mut case = TestCase::new(row.name.as_str(), status);
        case.set_classname(format!("{}.{}", row.system, row.workload));
        case.set_time(row.seconds.map_or(Duration::ZERO, Duration::from_secs_f64));
        suite.add_test_case(case);
    }
    let mut junit = JUnit::new("grudge");
    junit.add_test_suite(suite);
    junit.to_string().context("junit.xml cannot be expressed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::report::tests::example;

    #[test]
    fn each_test_is_a_case_with_its_reason_and_its_command() {
        insta::assert_snapshot!(render(&example()).expect("it can be expressed"));
    }
}
