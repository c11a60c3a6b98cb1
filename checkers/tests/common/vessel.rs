//! Long histories of a queue, stack, priority queue or set of unique values. What is in it grows and shrinks by turns, so
//! that it is empty now and then and holds hundreds of values at other times.

use std::collections::{BTreeSet, VecDeque};

use grudge_checkers::history::{Event, History, Kind, Process};
use grudge_checkers::model::Named;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub named: Named,
    pub operations: usize,
    pub workers: usize,
    /// Of a thousand operations, how many lose their answer; half of them happened.
    pub lost: u32,
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

/// Workers call without pause, so that as many calls are open as there are workers.
pub fn history(rng: &mut ChaCha8Rng, shape: Shape) -> History {
    let mut vessel = Vessel::default();
    let mut events: Vec<Event> = Vec::with_capacity(2 * shape.operations);
    let mut processes: Vec<u64> = (0..shape.workers as u64).collect();
    let mut open: Vec<Option<(usize, Option<Value>)>> = vec![None; shape.workers];
    let mut called = 0;
    while called < shape.operations || open.iter().any(Option::is_some) {
        let worker = rng.random_range(0..shape.workers);
        let Some((call, answer)) = &mut open[worker] else {
            if called < shape.operations {
                let (f, argument) = vessel.call(rng, shape, called);
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
    Event { index, time, process, kind, f, value, ..Event::empty() }
}
