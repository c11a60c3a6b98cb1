//! Runs the tests of a suite, a few at a time, until they are over, the time is, or somebody asks to stop.

use std::future::Future;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::Test;
use super::budget::Budget;
use super::outcome::Outcome;
use super::report::Row;
use crate::runner::stop::Stop;

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Conduct {
    /// How many tests at a time.
    pub jobs: usize,
    /// How long all of it may take; no test begins that would not end in time.
    pub budget: Option<Duration>,
}

impl Conduct {
    /// Runs the tests in their order by `perform`, and says of each what came of it as soon as it is known. Answers one row a
    /// test, in the order of the tests. Who is asked to stop begins no other test, and waits for those that run: they hear
    /// of it, too.
    pub async fn run<F: Future<Output = Outcome>>(
        self,
        tests: &[Test],
        mut stop: Stop,
        perform: impl Fn(Test) -> F,
        mut say: impl FnMut(&Row),
    ) -> Vec<Row> {
        let budget = Budget::begin(self.budget);
        let mut rows: Vec<Option<Row>> = tests.iter().map(|_| None).collect();
        let mut waiting: Vec<usize> = (0..tests.len()).collect();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.jobs && !stop.requested() {
                // What does not fit lets shorter ones pass.
                let next = waiting.iter().position(|&test| budget.fits(tests[test].length()));
                let Some(next) = next.map(|place| waiting.remove(place)) else { break };
                let (begun, performed) = (Instant::now(), perform(tests[next].clone()));
                running.push(async move { (next, performed.await, begun.elapsed()) });
            }
            let Some((test, outcome, took)) = next_end(&mut running, &mut stop).await else {
                if running.is_empty() { break } else { continue }
            };
            let row = Row::new(&tests[test], outcome, Some(took));
            say(&row);
            rows[test] = Some(row);
        }
        let reason = if stop.requested() { "the suite was interrupted".to_owned() } else { budget.exhausted() };
        let not_run = |test: &Test| Row::new(test, Outcome::NotRun { reason: reason.clone() }, None);
        rows.into_iter().zip(tests).map(|(row, test)| row.unwrap_or_else(|| not_run(test))).collect()
    }
}

/// The next that ends; nothing if there is none, or if it was just asked to stop.
async fn next_end<T, F: Future<Output = T>>(running: &mut FuturesUnordered<F>, stop: &mut Stop) -> Option<T> {
    let heard = stop.requested();
    tokio::select! {
        ended = running.next() => ended,
        () = stop.wait(), if !heard => None,
    }
}
