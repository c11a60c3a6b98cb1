//! Registers with few values, which take a search: `cargo bench -p grudge-checkers --bench cas -- WORD…`.
//!
//! `lost` are short histories in which some operations lost their answer and one read was altered; a row is the slowest of
//! sixty, and the line below it names their seeds. `short` is what a simulator asks: thousands of histories of a few
//! thousand operations. `recorded` judges the files that `GRUDGE_HISTORIES` holds, in the folder `etcd`.

#[path = "../tests/common/contended.rs"]
mod contended;
mod measure;
#[path = "../tests/common/simulated.rs"]
mod simulated;

use std::time::{Duration, Instant};

use contended::{Contended, Expects, alter_a_read};
use grudge_checkers::checker::Checker;
use grudge_checkers::history::{History, csv};
use grudge_checkers::judgement::Judgement;
use grudge_checkers::linearizability::Limits;
use grudge_checkers::model::Named;
use measure::{Bench, Scenario, judge_aloud, say};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const VALUES: u64 = 5;

fn judge(history: &History) -> Judgement {
    Checker::Linearizable(Named::CasRegister).judge(history, &Limits::default())
}

fn main() {
    let mut bench = Bench::new();
    long(&mut bench);
    lost(&mut bench);
    limits(&mut bench);
    short(&mut bench);
    recorded(&mut bench);
}

fn long(bench: &mut Bench) {
    for (operations, workers) in [(100_000, 5), (100_000, 10), (1_000_000, 5), (10_000, 20), (10_000, 30)] {
        for expects in [Expects::Anything, Expects::Seen] {
            for is_altered in [false, true] {
                let altered = if is_altered { ", a read altered" } else { "" };
                let name = format!("few values, expects {expects:?}{altered}").to_lowercase();
                if !bench.wants(&name) {
                    continue;
                }
                let rng = &mut ChaCha8Rng::seed_from_u64(1);
                let shape = Contended { operations, workers, values: VALUES, lost: 0, expects };
                let mut history = contended::history(rng, shape);
                if is_altered {
                    alter_a_read(rng, &mut history, VALUES, 90);
                }
                let scenario = Scenario { name: &name, operations, concurrency: workers, rounds: 3 };
                bench.measure(scenario, || judge(&history));
            }
        }
    }
}

fn lost(bench: &mut Bench) {
    for expects in [Expects::Anything, Expects::Seen] {
        let name = format!("lost answers, expects {expects:?}, a read altered").to_lowercase();
        if !bench.wants(&name) {
            continue;
        }
        let mut histories: Vec<(u64, Contended, History, Duration)> = Vec::new();
        for seed in 0..60 {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let shape = Contended {
                operations: rng.random_range(100..=1_000),
                workers: rng.random_range(5..=20),
                values: VALUES,
                lost: rng.random_range(20..=100),
                expects,
            };
            let mut history = contended::history(rng, shape);
            alter_a_read(rng, &mut history, VALUES, 0);
            let start = Instant::now();
            let judgement = judge(&history);
            let took = start.elapsed();
            if judgement.verdict.name() == "unknown" {
                say(&format!("seed {seed}: {}", judgement.verdict));
            }
            histories.push((seed, shape, history, took));
        }
        histories.sort_by_key(|(.., took)| std::cmp::Reverse(*took));
        let (_, shape, history, _) = &histories[0];
        let scenario = Scenario { name: &name, operations: shape.operations, concurrency: shape.workers, rounds: 3 };
        bench.measure(scenario, || judge(history));
        let total: Duration = histories.iter().map(|(.., took)| *took).sum();
        let slow: Vec<String> = histories
            .iter()
            .take(5)
            .map(|(seed, shape, _, took)| format!("seed {seed} ({} operations) {took:.1?}", shape.operations))
            .collect();
        say(&format!("seeds 0 to 59, {total:.1?} in sum; the slowest: {}", slow.join(", ")));
    }
}

/// Searches that cannot end within their limits: how far beyond them they go. The second of these keeps many
/// configurations, since all calls are pending at once.
fn limits(bench: &mut Bench) {
    let usual = Limits::default();
    let given_up = [
        ("given up after 10 ms", 1_000_000, 5, Limits { time: Duration::from_millis(10), ..usual }),
        ("given up after 100 ms", 1_000_000, 5, Limits { time: Duration::from_millis(100), ..usual }),
        ("given up after 1 s", 1_000_000, 5, Limits { time: Duration::from_secs(1), ..usual }),
        ("given up after 100 MB", 3_000, 300, Limits { memory: 100_000_000, ..usual }),
    ];
    for (name, operations, workers, limits) in given_up {
        if !bench.wants(name) {
            continue;
        }
        let shape = Contended { operations, workers, values: VALUES, lost: 0, expects: Expects::Seen };
        let history = contended::history(&mut ChaCha8Rng::seed_from_u64(1), shape);
        let scenario = Scenario { name, operations, concurrency: workers, rounds: 3 };
        bench.measure(scenario, || judge_aloud(Checker::Linearizable(Named::CasRegister), &history, &limits));
    }
}

fn short(bench: &mut Bench) {
    let shape = simulated::Shape { operations: 3_000, keys: 5, workers: 10, reads: 50, lost: 10 };
    let fold = |history: &mut History| {
        for event in &mut history.events {
            let fold = |value: &serde_json::Value| value.as_u64().map_or(serde_json::Value::Null, |it| (it % 7).into());
            event.value = match &event.value {
                serde_json::Value::Array(pair) => pair.iter().map(fold).collect(),
                value => fold(value),
            };
        }
    };
    for (name, is_folded) in [("short, unique values", false), ("short, few values", true)] {
        if !bench.wants(name) {
            continue;
        }
        let histories: Vec<History> = (0..50)
            .map(|seed| {
                let mut history = simulated::registers(&mut ChaCha8Rng::seed_from_u64(seed), shape);
                if is_folded {
                    fold(&mut history);
                }
                history
            })
            .collect();
        let scenario = Scenario { name, operations: 50 * shape.operations, concurrency: shape.workers, rounds: 5 };
        bench.measure(scenario, || {
            let checker = Checker::Linearizable(Named::CasRegister);
            histories.iter().all(|history| checker.check(history, &Limits::default()).name() == "valid")
        });
    }
}

fn recorded(bench: &mut Bench) {
    let name = "recorded, in sum";
    let Some(folder) = std::env::var_os("GRUDGE_HISTORIES").filter(|_| bench.wants(name)) else { return };
    let folder = std::path::PathBuf::from(folder).join("etcd");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder that can be read").path())
        .collect();
    files.sort();
    let histories: Vec<History> =
        files.iter().map(|file| csv::read(std::fs::File::open(file).expect("it is there")).0).collect();
    let operations = histories.iter().map(|history| history.operations().map_or(0, |all| all.len())).sum();
    let scenario = Scenario { name, operations, concurrency: 0, rounds: 5 };
    bench.measure(scenario, || {
        histories
            .iter()
            .fold(grudge_checkers::verdict::Verdict::Valid, |worst, history| worst.worst(judge(history).verdict))
    });
}
