//! The linearizability checker of `todc-utils` (Wing, Gong and Lowe, after Horn and Kroening) beside ours, on the same
//! histories in one run, with values written once and with five values that repeat.
//!
//! It copies a bit for each operation into each configuration that it remembers and takes an operation out of a vector of
//! the whole history, so that the sizes here are those at which it ends within seconds. It runs out of memory with
//! 200 operations at concurrency 50.

mod measure;

use grudge_checkers::history::{History, Outcome};
use grudge_checkers::linearizability::{Limits, judge};
use grudge_checkers::model::CasRegister;
use measure::{Bench, Scenario, say};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use simulated::{Shape, registers};
use todc_utils::specifications::Specification;
use todc_utils::{Action, WGLChecker};

#[path = "../tests/common/simulated.rs"]
mod simulated;

/// A register that is compared and set, for the peer.
struct Cas;

#[derive(Clone, Copy, Debug)]
enum Op {
    Read(u64),
    Write(u64),
    Cas(u64, u64),
    /// A compare-and-set of which nobody knows whether it happened.
    MayCas(u64, u64),
}

impl Specification for Cas {
    type State = u64;
    type Operation = Op;

    fn init() -> u64 {
        0
    }

    fn apply(op: &Op, state: &u64) -> (bool, u64) {
        match *op {
            Op::Read(value) => (value == *state, *state),
            Op::Write(new) => (true, new),
            Op::Cas(old, new) => (old == *state, new),
            Op::MayCas(old, new) => (true, if old == *state { new } else { *state }),
        }
    }
}

/// The history as the peer takes it: failed calls and lost reads are left out, and what may have happened returns at the
/// end.
fn for_the_peer(history: &History) -> Vec<(usize, Action<Op>)> {
    let operations = history.operations().expect("it pairs");
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let mut actions: Vec<(usize, usize, Action<Op>)> = Vec::new();
    for (number_of, operation) in operations.iter().enumerate() {
        let argument = &operation.invoke.value;
        let lost = operation.outcome() == Outcome::Info;
        let op = match operation.f() {
            _ if operation.outcome() == Outcome::Fail => continue,
            "read" if lost => continue,
            "read" => Op::Read(operation.completion.map_or(0, |completion| number(&completion.value))),
            "write" => Op::Write(number(argument)),
            _ if lost => Op::MayCas(number(&argument[0]), number(&argument[1])),
            _ => Op::Cas(number(&argument[0]), number(&argument[1])),
        };
        let end = operation.ret.filter(|_| !lost).unwrap_or(history.events.len() + number_of);
        actions.push((operation.call, number_of, Action::Call(op)));
        actions.push((end, number_of, Action::Response(op)));
    }
    actions.sort_by_key(|(at, ..)| *at);
    actions.into_iter().map(|(_, process, action)| (process, action)).collect()
}

struct Pairing {
    name: &'static str,
    operations: usize,
    workers: usize,
    lost: u32,
    /// How many values there are; 0 if each is written once.
    values: u64,
}

const PAIRINGS: [Pairing; 6] = [
    Pairing { name: "unique values", operations: 1_000, workers: 10, lost: 0, values: 0 },
    Pairing { name: "unique values", operations: 4_000, workers: 10, lost: 0, values: 0 },
    Pairing { name: "unique values, 1 % lost", operations: 400, workers: 10, lost: 10, values: 0 },
    Pairing { name: "five values", operations: 1_000, workers: 5, lost: 0, values: 5 },
    Pairing { name: "five values", operations: 2_000, workers: 10, lost: 0, values: 5 },
    Pairing { name: "five values, 2 % lost", operations: 400, workers: 5, lost: 20, values: 5 },
];

fn history(pairing: &Pairing) -> History {
    let Pairing { operations, workers, lost, values, .. } = *pairing;
    let shape = Shape { operations, keys: 1, workers, reads: 40, lost };
    let mut history = registers(&mut ChaCha8Rng::seed_from_u64(1), shape);
    let fold = |value: &Value| value.as_u64().map_or(Value::Null, |value| json!(1 + value % values));
    for event in history.events.iter_mut().filter(|_| values > 0) {
        event.version = None;
        event.value = match &event.value {
            Value::Array(pair) => pair.iter().map(fold).collect(),
            value => fold(value),
        };
    }
    history
}

fn main() {
    let mut bench = Bench::new();
    for pairing in PAIRINGS {
        let Pairing { name, operations, workers, .. } = pairing;
        let (ours, theirs) = (format!("{name}: grudge"), format!("{name}: todc-utils"));
        if !bench.wants(&ours) && !bench.wants(&theirs) {
            continue;
        }
        let history = history(&pairing);
        let scenario = |name, rounds| Scenario { name, operations, concurrency: workers, rounds };
        let ours = bench.measure(scenario(&ours, 5), || judge(&history, &CasRegister::default(), &Limits::default()));
        let actions = for_the_peer(&history);
        let theirs = bench.measure(scenario(&theirs, 3), || {
            WGLChecker::<Cas>::is_linearizable(todc_utils::History::from_actions(actions.clone()))
        });
        assert_eq!(ours.answer.verdict, theirs.answer.verdict, "{name}: the peers disagree");
        say(&format!("{name}: {:.0} times as fast", theirs.best.as_secs_f64() / ours.best.as_secs_f64()));
    }
}
