//! One register with few values and many hands: what takes a search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use grudge_checkers::history::{Event, History, Kind, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// What is simulated. Workers call without pause, so that as many calls are open as there are workers.
#[derive(Clone, Copy, Debug)]
pub struct Contended {
    pub operations: usize,
    pub workers: usize,
    /// Values are numbers below this; the register starts empty.
    pub values: u64,
    /// Of a thousand operations, how many are lost: half of them take effect, at once or long after.
    pub lost: u32,
    /// How a compare-and-set chooses what it expects.
    pub expects: Expects,
}

/// What a compare-and-set expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// Any value: most of them fail.
    Anything,
    /// What is there when it is called: many of them succeed.
    Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Call,
    Effect,
    Return,
}

struct Open {
    process: u64,
    f: &'static str,
    argument: Value,
    /// Its effect, once it had one.
    answer: Option<(Kind, Value)>,
    is_lost: bool,
}

/// A linearizable history: reads, writes and compare-and-sets by thirds.
pub fn history(rng: &mut ChaCha8Rng, shape: Contended) -> History {
    let mut events: Vec<Event> = Vec::new();
    let mut value = Value::Null;
    let mut calls: Vec<Open> = Vec::new();
    let mut processes: Vec<u64> = (0..shape.workers as u64).collect();
    // When, what, by which worker, of which call.
    let mut agenda: BinaryHeap<Reverse<(u64, Step, usize, usize)>> =
        (0..shape.workers).map(|worker| Reverse((worker as u64, Step::Call, worker, 0))).collect();
    while let Some(Reverse((now, step, worker, call))) = agenda.pop() {
        match step {
            Step::Call if calls.len() == shape.operations => {}
            Step::Call => {
                let some = |rng: &mut ChaCha8Rng| json!(rng.random_range(0..shape.values));
                let (f, argument) = match rng.random_range(0..3) {
                    0 => ("read", Value::Null),
                    1 => ("write", some(rng)),
                    _ if shape.expects == Expects::Seen => ("cas", json!([value, some(rng)])),
                    _ => ("cas", json!([some(rng), some(rng)])),
                };
                let is_lost = rng.random_ratio(shape.lost, 1000);
                let length = rng.random_range(1_000..20_000);
                let effect = match (is_lost, rng.random_range(0..4)) {
                    (false, _) | (true, 0) => Some(rng.random_range(1..length)),
                    (true, 1) => Some(length + rng.random_range(1..400_000)),
                    (true, _) => None,
                };
                let (process, number) = (processes[worker], calls.len());
                events.push(event(events.len(), process, Kind::Invoke, f, argument.clone()));
                calls.push(Open { process, f, argument, answer: None, is_lost });
                agenda.extend(effect.map(|effect| Reverse((now + effect, Step::Effect, worker, number))));
                agenda.push(Reverse((now + length, Step::Return, worker, number)));
            }
            Step::Effect => {
                let Open { f, argument, answer, .. } = &mut calls[call];
                *answer = Some(match *f {
                    "read" => (Kind::Ok, value.clone()),
                    "cas" if argument[0] != value => (Kind::Fail, argument.clone()),
                    "cas" => {
                        value = argument[1].clone();
                        (Kind::Ok, argument.clone())
                    }
                    _ => {
                        value = argument.clone();
                        (Kind::Ok, argument.clone())
                    }
                });
            }
            Step::Return => {
                let Open { process, f, argument, answer, is_lost } = &mut calls[call];
                let (kind, value) = match answer.take() {
                    Some(answer) if !*is_lost => answer,
                    _ => (Kind::Info, argument.clone()),
                };
                events.push(event(events.len(), *process, kind, f, value));
                if kind == Kind::Info {
                    processes[worker] += shape.workers as u64;
                }
                agenda.push(Reverse((now + rng.random_range(1..100), Step::Call, worker, 0)));
            }
        }
    }
    History { events }
}

/// Alters what one read returned, somewhere from this part of a hundred on.
pub fn alter_a_read(rng: &mut ChaCha8Rng, history: &mut History, values: u64, from: usize) {
    let from = history.events.len() * from / 100;
    let reads: Vec<usize> = (from..history.events.len())
        .filter(|&at| history.events[at].f == "read" && history.events[at].kind == Kind::Ok)
        .collect();
    let read = &mut history.events[reads[rng.random_range(0..reads.len())]];
    let other = (read.value.as_u64().unwrap_or(0) + rng.random_range(1..values)) % values;
    read.value = json!(other);
}

fn event(index: usize, process: u64, kind: Kind, f: &str, value: Value) -> Event {
    Event {
        index: index as u64,
        time: index as u64 * 1000,
        process: Process::Client(process),
        kind,
        f: f.to_owned(),
        value,
        ..Event::empty()
    }
}
