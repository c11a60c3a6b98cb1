//! Measures checks: one aligned row a scenario.
//!
//! A benchmark is a plain `main` (`harness = false`) with `mod measure;`. It makes a [`Bench`], asks it whether a scenario is
//! [wanted](Bench::wants) before it builds the history, and hands over what is to be [measured](Bench::measure).
//! `cargo bench -p grudge-checkers --bench TOPIC -- WORD…` runs the scenarios whose name has one of the words.
//!
//! Seconds are those on the wall, of the best round and of the median one. `cpu s` is what all threads together used in
//! the best round, which tells a slow check from a busy machine. `peak MB` is how much the process grew in a round, and
//! `base MB` how large it was before: the history, if it is in memory.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::time::{Duration, Instant};

use grudge_checkers::checker::Checker;
use grudge_checkers::history::History;
use grudge_checkers::judgement::Judgement;
use grudge_checkers::linearizability::Limits;
use grudge_checkers::verdict::Verdict;

/// What is known of a scenario before it is run.
#[derive(Clone, Copy, Debug)]
pub struct Scenario<'a> {
    pub name: &'a str,
    pub operations: usize,
    pub concurrency: usize,
    /// How often it is run.
    pub rounds: usize,
}

/// What a check came to, for the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub verdict: String,
    pub decider: String,
}

impl From<Judgement> for Answer {
    fn from(judgement: Judgement) -> Answer {
        let deciders: Vec<&str> = judgement.deciders.keys().map(|decider| decider.name()).collect();
        Answer { verdict: judgement.verdict.name().to_owned(), decider: deciders.join(", ") }
    }
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Answer {
        Answer { verdict: verdict.name().to_owned(), decider: String::new() }
    }
}

impl From<bool> for Answer {
    fn from(valid: bool) -> Answer {
        Answer { verdict: (if valid { "valid" } else { "invalid" }).to_owned(), decider: String::new() }
    }
}

/// What a scenario took.
#[derive(Clone, Debug)]
pub struct Measured {
    pub answer: Answer,
    pub best: Duration,
    pub median: Duration,
    /// Of all threads, in the best round.
    pub cpu: Duration,
    pub base_mb: f64,
    pub peak_mb: f64,
}

/// A benchmark that runs.
#[derive(Debug)]
pub struct Bench {
    words: Vec<String>,
    begun: bool,
}

impl Bench {
    /// Reads from the command line which scenarios are wanted.
    pub fn new() -> Bench {
        let words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
        Bench { words, begun: false }
    }

    /// Whether this scenario was asked for: all are if no word was given.
    pub fn wants(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()))
    }

    /// Runs a check a few times and prints what it took.
    ///
    /// # Panics
    /// If two rounds come to different answers.
    pub fn measure<A: Into<Answer>>(&mut self, scenario: Scenario<'_>, mut check: impl FnMut() -> A) -> Measured {
        let mut rounds: Vec<Measured> = (0..scenario.rounds.max(1)).map(|_| round(&mut check)).collect();
        let answer = rounds[0].answer.clone();
        assert!(rounds.iter().all(|round| round.answer == answer), "{}: the answers differ", scenario.name);
        rounds.sort_by_key(|round| round.best);
        let peak_mb = rounds.iter().map(|round| round.peak_mb).fold(0.0, f64::max);
        let measured = Measured { median: rounds[rounds.len() / 2].best, peak_mb, ..rounds[0].clone() };
        self.print(scenario, &measured);
        measured
    }

    fn print(&mut self, scenario: Scenario<'_>, measured: &Measured) {
        if !std::mem::replace(&mut self.begun, true) {
            say(&format!(
                "{:<44} {:>10} {:>4}  {:<8} {:<22} {:>9} {:>9} {:>9} {:>8} {:>8}",
                "scenario",
                "operations",
                "conc",
                "verdict",
                "decider",
                "best s",
                "median s",
                "cpu s",
                "peak MB",
                "base MB"
            ));
        }
        let Scenario { name, operations, concurrency, .. } = scenario;
        let Measured { answer: Answer { verdict, decider }, best, median, cpu, base_mb, peak_mb } = measured;
        let [best, median, cpu] = [best, median, cpu].map(Duration::as_secs_f64);
        say(&format!(
            "{name:<44} {operations:>10} {concurrency:>4}  {verdict:<8} {decider:<22} {best:>9.4} {median:>9.4} {cpu:>9.2} \
             {peak_mb:>8.1} {base_mb:>8.1}"
        ));
    }
}

/// A line below the table.
#[allow(clippy::print_stdout, reason = "results go to standard output")]
pub fn say(line: &str) {
    println!("{line}");
}

/// Judges within limits, and says how long that took after the last event was taken, which is when the time begins.
pub fn judge_aloud(checker: Checker, history: &History, limits: &Limits) -> Judgement {
    let mut checking = checker.begin(limits);
    history.events.iter().for_each(|event| drop(checking.push(event)));
    let start = Instant::now();
    let judgement = checking.finish(history);
    say(&format!("{:.3?}: {}", start.elapsed(), judgement.verdict));
    judgement
}

fn round<A: Into<Answer>>(check: &mut impl FnMut() -> A) -> Measured {
    // From here on the peak is that of what comes.
    drop(std::fs::write("/proc/self/clear_refs", "5"));
    let (base_mb, cpu, start) = (memory("VmRSS:"), cpu(), Instant::now());
    let answer = check();
    let best = start.elapsed();
    let (cpu, peak_mb) = (self::cpu().saturating_sub(cpu), memory("VmHWM:") - base_mb);
    Measured { answer: answer.into(), best, median: best, cpu, base_mb, peak_mb }
}

/// A line of this process's status, in megabytes; 0 where there is none.
fn memory(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|status| status.strip_prefix(line));
    let kilobytes: Option<f64> = found.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.unwrap_or_default() * 1024.0 / 1e6
}

/// What all threads of this process used so far; 0 where that is not told.
fn cpu() -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: u32 = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    TICK * ticks
}
