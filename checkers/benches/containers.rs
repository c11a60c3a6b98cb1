//! Queues, stacks, priority queues and sets of unique values: `cargo bench -p grudge-checkers --bench containers -- WORD…`.
//!
//! Workers call without pause, so that as many calls are open as there are workers. What is in a container grows and
//! shrinks by turns, so that it is empty now and then and holds hundreds of values at other times.

mod measure;
#[path = "../tests/common/vessel.rs"]
mod vessel;

use std::time::Duration;

use grudge_checkers::checker::Checker;
use grudge_checkers::history::{Event, History, Kind};
use grudge_checkers::linearizability::Limits;
use grudge_checkers::model::Named;
use measure::{Bench, Scenario, judge_aloud};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use vessel::Shape;

/// If it takes a search to judge lost answers in a long history, it seldom comes to an end.
const GIVEN_UP: Duration = Duration::from_secs(5);
/// No decider comes to an end with a long history by then.
const AT_ONCE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    /// Two answers change places.
    Swapped,
    /// An answer is given once more.
    Duplicated,
    /// An answer is that nothing was there.
    Lost,
}

fn simulate(shape: Shape) -> History {
    vessel::history(&mut ChaCha8Rng::seed_from_u64(1), shape)
}

/// Changes one answer late in the history, or two.
fn lie(mut history: History, lie: Lie) -> History {
    let tells = |event: &Event| {
        let taken = matches!(event.f.as_str(), "dequeue" | "pop" | "poll") && !event.value.is_null();
        event.kind == Kind::Ok && (taken || event.f == "contains")
    };
    let answers: Vec<usize> = (0..history.events.len()).filter(|&at| tells(&history.events[at])).collect();
    let (one, other) = (answers[answers.len() * 3 / 4], answers[answers.len() * 3 / 4 + 400]);
    let [first, second] = [one, other].map(|at| history.events[at].value.clone());
    match (lie, &first) {
        (Lie::None, _) => {}
        (_, Value::Bool(found)) => history.events[one].value = json!(!found),
        (Lie::Swapped, _) => (history.events[one].value, history.events[other].value) = (second, first),
        (Lie::Duplicated, _) => history.events[other].value = first,
        (Lie::Lost, _) => history.events[one].value = Value::Null,
    }
    history
}

fn main() {
    let mut bench = Bench::new();
    let models = [Named::Queue, Named::Stack, Named::PriorityQueue, Named::Set];
    for (operations, rounds) in [(100_000, 5), (1_000_000, 2)] {
        for named in models {
            for workers in [10, 50] {
                for (what, told) in [
                    ("valid", Lie::None),
                    ("swapped", Lie::Swapped),
                    ("duplicated", Lie::Duplicated),
                    ("lost", Lie::Lost),
                ] {
                    // Of a set there is but one lie.
                    if named == Named::Set && matches!(told, Lie::Swapped | Lie::Duplicated) {
                        continue;
                    }
                    let shape = Shape { named, operations, workers, lost: 0 };
                    run(&mut bench, &format!("{operations} {}, {what}", named.name()), shape, told, rounds);
                }
            }
            let shape = Shape { named, operations, workers: 10, lost: 10 };
            let name = format!("{operations} {}, 1% crashed", named.name());
            give_up(&mut bench, &name, shape, GIVEN_UP);
            let shape = Shape { lost: 0, ..shape };
            give_up(&mut bench, &format!("{operations} {}, given up at once", named.name()), shape, AT_ONCE);
        }
    }
}

/// How far beyond its deadline a check goes that cannot end within it.
fn give_up(bench: &mut Bench, name: &str, shape: Shape, time: Duration) {
    if !bench.wants(name) {
        return;
    }
    let history = simulate(shape);
    let scenario = Scenario { name, operations: shape.operations, concurrency: shape.workers, rounds: 1 };
    let limits = Limits { time, ..Limits::default() };
    bench.measure(scenario, || judge_aloud(Checker::Linearizable(shape.named), &history, &limits));
}

fn run(bench: &mut Bench, name: &str, shape: Shape, told: Lie, rounds: usize) {
    if !bench.wants(name) {
        return;
    }
    let history = lie(simulate(shape), told);
    let checker = Checker::Linearizable(shape.named);
    let scenario = Scenario { name, operations: shape.operations, concurrency: shape.workers, rounds };
    bench.measure(scenario, || checker.judge(&history, &Limits::default()));
}
