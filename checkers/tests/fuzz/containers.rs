//! Queues, stacks, priority queues and sets.

use grudge_checkers::model::{Model, PriorityQueue, Queue, Set, Stack};
use grudge_checkers::verify::Replay;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::common::fuzz;
use crate::common::linearizable::{agree, fuzz};
use crate::common::random::{self, Answer, Knobs, Object};

/// Which value is due.
#[derive(Clone, Copy)]
enum Due {
    First,
    Last,
    Smallest,
}

/// A container that keeps its promise, or not quite.
struct Vessel {
    put: &'static str,
    take: &'static str,
    due: Due,
    values: Vec<i64>,
    /// How many values were used.
    used: i64,
    /// How often something is taken that is not due.
    sloppy: bool,
}

impl Vessel {
    fn new(rng: &mut ChaCha8Rng, put: &'static str, take: &'static str, due: Due) -> Vessel {
        Vessel { put, take, due, values: Vec::new(), used: 0, sloppy: rng.random_ratio(1, 4) }
    }
}

impl Object for Vessel {
    fn call(&mut self, rng: &mut ChaCha8Rng, knobs: &Knobs) -> (&'static str, Value) {
        if rng.random_ratio(1, 2) {
            return (self.take, Value::Null);
        }
        self.used += 1;
        // Sevenths are all different, and in no order.
        let value = if knobs.unique { self.used * 7 % 29 } else { rng.random_range(1..=knobs.values as i64) };
        (self.put, json!(value))
    }

    fn apply(&mut self, rng: &mut ChaCha8Rng, f: &str, argument: &Value) -> Option<Answer> {
        if f == self.put {
            self.values.push(argument.as_i64().expect("values are integers"));
            return Some(argument.clone().into());
        }
        if self.values.is_empty() || (self.sloppy && rng.random_ratio(1, 8)) {
            return Some(Value::Null.into());
        }
        let due = match self.due {
            _ if self.sloppy && rng.random_ratio(1, 3) => rng.random_range(0..self.values.len()),
            Due::First => 0,
            Due::Last => self.values.len() - 1,
            Due::Smallest => (0..self.values.len()).min_by_key(|&at| self.values[at]).expect("there is one"),
        };
        Some(json!(self.values.remove(due)).into())
    }

    fn lie(&mut self, rng: &mut ChaCha8Rng, knobs: &Knobs, f: &str, argument: &Value) -> Answer {
        if f == self.put {
            return argument.clone().into();
        }
        match rng.random_range(0..self.used.max(1) + 2) {
            0 => Value::Null.into(),
            some if knobs.unique => json!(some * 7 % 29).into(),
            _ => json!(rng.random_range(1..=knobs.values)).into(),
        }
    }
}

/// A set, and whether it says what it did.
struct Elements {
    elements: Vec<Value>,
    answers: u32,
    used: u64,
}

impl Object for Elements {
    fn call(&mut self, rng: &mut ChaCha8Rng, knobs: &Knobs) -> (&'static str, Value) {
        let some = json!(rng.random_range(1..=knobs.values.min(2)));
        match rng.random_range(0..5) {
            0 | 1 if knobs.unique => {
                self.used += 1;
                ("add", json!(self.used))
            }
            0 | 1 => ("add", some),
            2 => ("contains", some),
            _ => ("remove", some),
        }
    }

    fn apply(&mut self, rng: &mut ChaCha8Rng, f: &str, argument: &Value) -> Option<Answer> {
        let was_there = self.elements.contains(argument);
        match f {
            "add" if !was_there => self.elements.push(argument.clone()),
            "remove" => self.elements.retain(|element| element != argument),
            _ => {}
        }
        let answer = json!(was_there != (f == "add"));
        let silent = f != "contains" && rng.random_ratio(self.answers, 100);
        Some(if silent { Value::Null } else { answer }.into())
    }

    fn lie(&mut self, rng: &mut ChaCha8Rng, _: &Knobs, _: &str, _: &Value) -> Answer {
        json!(rng.random_ratio(1, 2)).into()
    }
}

/// Longer histories in which every value was used once, for the deciders that need no search.
fn fuzz_unique<M: Model + Replay, O: Object>(model: &M, object: impl Fn(&mut ChaCha8Rng) -> O) {
    fuzz::balanced(10_000, &["valid", "invalid"], |rng| {
        let (operations, crashed) = (rng.random_range(6..=11), [0, 0, 10][rng.random_range(0..3)]);
        let knobs =
            Knobs { operations, unique: true, crashed, lies: [0, 10][rng.random_range(0..2)], ..Knobs::small(rng) };
        let history = random::history(rng, &knobs, &object);
        agree(model, &history)
    });
}

/// Histories in which many answers were lost.
fn fuzz_lost<M: Model + Replay, O: Object>(model: &M, object: impl Fn(&mut ChaCha8Rng) -> O) {
    fuzz::balanced(10_000, &["valid", "invalid"], |rng| {
        let (operations, crashed) = (rng.random_range(5..=9), rng.random_range(20..=50));
        let lies = [0, 10, 20][rng.random_range(0..3)];
        let knobs = Knobs { operations, unique: true, crashed, lies, ..Knobs::small(rng) };
        let history = random::history(rng, &knobs, &object);
        agree(model, &history)
    });
}

#[test]
fn queue_with_lost_answers() {
    fuzz_lost(&Queue, |rng| Vessel::new(rng, "enqueue", "dequeue", Due::First));
}

#[test]
fn stack_with_lost_answers() {
    fuzz_lost(&Stack, |rng| Vessel::new(rng, "push", "pop", Due::Last));
}

#[test]
fn priority_queue_with_lost_answers() {
    fuzz_lost(&PriorityQueue, |rng| Vessel::new(rng, "insert", "poll", Due::Smallest));
}

#[test]
fn longer_queue_of_unique_values() {
    fuzz_unique(&Queue, |rng| Vessel::new(rng, "enqueue", "dequeue", Due::First));
}

#[test]
fn longer_stack_of_unique_values() {
    fuzz_unique(&Stack, |rng| Vessel::new(rng, "push", "pop", Due::Last));
}

#[test]
fn longer_priority_queue_of_unique_values() {
    fuzz_unique(&PriorityQueue, |rng| Vessel::new(rng, "insert", "poll", Due::Smallest));
}

#[test]
fn queue() {
    fuzz(&Queue, |rng| Vessel::new(rng, "enqueue", "dequeue", Due::First));
}

#[test]
fn stack() {
    fuzz(&Stack, |rng| Vessel::new(rng, "push", "pop", Due::Last));
}

#[test]
fn priority_queue() {
    fuzz(&PriorityQueue, |rng| Vessel::new(rng, "insert", "poll", Due::Smallest));
}

#[test]
fn set() {
    fuzz(&Set, |rng| Elements { elements: Vec::new(), answers: [0, 100, 50][rng.random_range(0..3)], used: 0 });
}
