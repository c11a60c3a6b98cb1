//! Counters: what the checker calls invalid has no legal order, and a wrong sum in the quiet is found.

use grudge_checkers::counter;
use grudge_checkers::history::{History, Operation, Outcome};
use grudge_checkers::verdict::Verdict;
use grudge_checkers::verify::{Replay, is_linearizable};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::common::fuzz::balanced;
use crate::common::random::{self, Answer, Knobs, Object};

struct Counter;

impl Replay for Counter {
    type Memory = i64;

    fn start(&self) -> i64 {
        0
    }

    fn apply(&self, sum: &mut i64, operation: &Operation<'_>) -> bool {
        let found = operation.completion.filter(|_| operation.outcome() == Outcome::Ok);
        match operation.f() {
            "read" => return found.is_none_or(|completion| completion.value == json!(*sum)),
            _ => *sum += operation.invoke.value.as_i64().unwrap_or(1),
        }
        true
    }
}

#[derive(Default)]
struct Sum {
    sum: i64,
    subtracts: bool,
}

impl Object for Sum {
    fn call(&mut self, rng: &mut ChaCha8Rng, knobs: &Knobs) -> (&'static str, Value) {
        let from = if self.subtracts { -3 } else { 0 };
        match rng.random_range(0..2) {
            0 => ("read", Value::Null),
            _ => ("add", json!(rng.random_range(from..=knobs.values as i64))),
        }
    }

    fn apply(&mut self, _: &mut ChaCha8Rng, f: &str, argument: &Value) -> Option<Answer> {
        match f {
            "read" => return Some(json!(self.sum).into()),
            _ => self.sum += argument.as_i64().unwrap_or(1),
        }
        Some(argument.clone().into())
    }

    fn lie(&mut self, rng: &mut ChaCha8Rng, _: &Knobs, f: &str, argument: &Value) -> Answer {
        if f == "read" { json!(self.sum + rng.random_range(-3..=3)).into() } else { argument.clone().into() }
    }
}

/// Whether no two operations are open at once and each is answered.
fn is_sequential(history: &History) -> bool {
    let operations = history.operations().expect("it pairs");
    operations.windows(2).all(|two| two[0].ret.is_some_and(|ret| ret < two[1].call))
        && operations.iter().all(|operation| operation.outcome() != Outcome::Info)
}

#[test]
fn counters() {
    balanced(10_000, &["valid", "invalid"], |rng| {
        let knobs = Knobs::small(rng);
        let subtracts = rng.random_ratio(1, 2);
        let history = random::history(rng, &knobs, |_| Sum { subtracts, ..Sum::default() });
        let verdict = counter::check(&history);
        let expected = is_linearizable(&Counter, &history, u64::MAX).expect("it pairs").expect("there is no end");
        match &verdict {
            Verdict::Invalid { witness } => assert!(!expected, "{}: {history:?}", witness.reason),
            Verdict::Valid => assert!(expected || !is_sequential(&history), "{history:?}"),
            Verdict::Unknown { .. } => {}
        }
        verdict.name()
    });
}
