//! Queues, stacks, priority queues and sets of unique values: `cargo bench -p grudge-checkers --bench containers -- WORD…`.
//!
//! Workers call without pause, so that as many calls are open as there are workers. What is in a container grows and
//! shrinks by turns, so that it is empty now and then and holds hundreds of values at other times.

mod measure;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use grudge_checkers::checker::Checker;
use grudge_checkers::history::{Event, History, Kind, Process};
use grudge_checkers::linearizability::Limits;
use grudge_checkers::model::Named;
use measure::{Bench, Scenario, judge_aloud};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

/// A search takes the long histories with lost answers, and seldom comes to an end.
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

/// What is simulated.
#[derive(Clone, Copy, Debug)]
struct Shape {
    named: Named,
    operations: usize,
    workers: usize,
    /// Of a thousand operations, how many lose their answer; half of them happened.
    lost: u32,
}

/// A container that keeps its promise.
#[derive(Default)]
struct Vessel {
    line: VecDeque<u64>,
    sorted: BTreeSet<u64>,
    used: u64,
}

impl Vessel {
    /// A call: its name and its argument. A container grows for some time, and then it shrinks.
    fn call(&mut self, rng: &mut ChaCha8Rng, shape: Shape, done: usize) -> (&'static str, Value) {
        let puts = rng.random_range(0..100) < if (done / 4096).is_multiple_of(2) { 55 } else { 40 };
        let [put, take] = match shape.named {
            Named::Queue => ["enqueue", "dequeue"],
            Named::Stack => ["push", "pop"],
            Named::PriorityQueue => ["insert", "poll"],
            _ => ["add", if rng.random_ratio(1, 3) { "contains" } else { "remove" }],
        };
        if !puts {
            let recent = self.used.saturating_sub(rng.random_range(0..100));
            return (take, if matches!(shape.named, Named::Set) { json!(recent) } else { Value::Null });
        }
        self.used += 1;
        // Different for each of the first 2^31, and in no order.
        let scattered = self.used * 1_103_515_245 % (1 << 31);
        (put, json!(if matches!(shape.named, Named::PriorityQueue) { scattered } else { self.used }))
    }

    fn apply(&mut self, f: &str, argument: &Value) -> Value {
        let value = argument.as_u64().unwrap_or_default();
        let taken = match f {
            "enqueue" | "push" => {
                self.line.push_back(value);
                return argument.clone();
            }
            "insert" => {
                self.sorted.insert(value);
                return argument.clone();
            }
            "add" => return json!(self.sorted.insert(value)),
            "remove" => return json!(self.sorted.remove(&value)),
            "contains" => return json!(self.sorted.contains(&value)),
            "dequeue" => self.line.pop_front(),
            "pop" => self.line.pop_back(),
            _ => self.sorted.pop_first(),
        };
        taken.map_or(Value::Null, |taken| json!(taken))
    }
}

fn simulate(shape: Shape) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut vessel = Vessel::default();
    let mut events: Vec<Event> = Vec::with_capacity(2 * shape.operations);
    let mut processes: Vec<u64> = (0..shape.workers as u64).collect();
    let mut open: Vec<Option<(usize, Option<Value>)>> = vec![None; shape.workers];
    let mut called = 0;
    while called < shape.operations || open.iter().any(Option::is_some) {
        let worker = rng.random_range(0..shape.workers);
        let Some((call, answer)) = &mut open[worker] else {
            if called < shape.operations {
                let (f, argument) = vessel.call(&mut rng, shape, called);
                open[worker] = Some((events.len(), None));
                events.push(event(events.len(), processes[worker], Kind::Invoke, f.to_owned(), argument));
                called += 1;
            }
            continue;
        };
        let Event { f, value, .. } = &events[*call];
        let lost = rng.random_ratio(shape.lost, 2000);
        match answer.take() {
            None if !lost => *answer = Some(vessel.apply(f, value)),
            answer => {
                let (f, kind) = (f.clone(), if lost { Kind::Info } else { Kind::Ok });
                let value = answer.filter(|_| !lost).unwrap_or_else(|| value.clone());
                events.push(event(events.len(), processes[worker], kind, f, value));
                processes[worker] += if lost { shape.workers as u64 } else { 0 };
                open[worker] = None;
            }
        }
    }
    History { events }
}

fn event(index: usize, process: u64, kind: Kind, f: String, value: Value) -> Event {
    let (index, time, process) = (index as u64, index as u64, Process::Client(process));
    Event { index, time, process, kind, f, key: None, value, node: None, error: None, version: None, extra: vec![] }
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
