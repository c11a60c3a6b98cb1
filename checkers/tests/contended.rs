//! Registers with few values: what takes a search, with lost answers and windows of every width.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::contended::{Contended, Expects, alter_a_read, history};
use grudge_checkers::history::{History, Operation, Outcome};
use grudge_checkers::judgement::Judgement;
use grudge_checkers::linearizability::{Limits, judge};
use grudge_checkers::model::CasRegister;
use grudge_checkers::verdict::Verdict;
use grudge_checkers::verify;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

const LIMITS: Limits = Limits { time: Duration::from_secs(120), memory: 1 << 30 };
const USUAL: Contended = Contended { operations: 2_000, workers: 10, values: 5, lost: 0, expects: Expects::Seen };

fn judged(history: &History, limits: &Limits) -> Judgement {
    judge(history, &CasRegister::default(), limits)
}

#[test]
fn valid_histories_have_orders_that_replay() {
    let shapes = [
        USUAL,
        Contended { values: 2, ..USUAL },
        Contended { workers: 30, expects: Expects::Anything, ..USUAL },
        Contended { lost: 20, ..USUAL },
        Contended { operations: 1_000, lost: 60, ..USUAL },
        // More than 64, 128 and 256 calls are pending.
        Contended { operations: 3_000, workers: 20, lost: 35, expects: Expects::Anything, ..USUAL },
        Contended { operations: 3_000, workers: 20, lost: 70, expects: Expects::Anything, ..USUAL },
        Contended { operations: 4_000, workers: 5, lost: 120, expects: Expects::Anything, ..USUAL },
    ];
    for (seed, shape) in (0..3).flat_map(|seed| shapes.map(|shape| (seed, shape))) {
        let history = history(&mut ChaCha8Rng::seed_from_u64(seed), shape);
        let judgement = judged(&history, &LIMITS);
        assert_eq!(judgement.verdict, Verdict::Valid, "seed {seed}, {shape:?}");
        let replayed = verify::verify_orders(&CasRegister::default(), &history, &judgement.orders);
        replayed.unwrap_or_else(|error| panic!("seed {seed}, {shape:?}: {error}"));
    }
}

#[test]
fn lost_answers_and_an_altered_read_are_decided() {
    let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..60 {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let (operations, workers) = (rng.random_range(100..=1_000), rng.random_range(5..=20));
        let shape = Contended { operations, workers, lost: rng.random_range(20..=100), ..USUAL };
        let mut history = history(rng, shape);
        alter_a_read(rng, &mut history, shape.values, 0);
        let judgement = judged(&history, &LIMITS);
        *verdicts.entry(judgement.verdict.name()).or_default() += 1;
        match &judgement.verdict {
            Verdict::Valid => verify::verify_orders(&CasRegister::default(), &history, &judgement.orders)
                .unwrap_or_else(|error| panic!("seed {seed}: {error}")),
            Verdict::Invalid { witness } => {
                assert!(witness.events.len() <= 60, "seed {seed}: {} events", witness.events.len());
            }
            Verdict::Unknown { reason } => panic!("seed {seed}: {reason}"),
        }
    }
    assert!(verdicts["valid"] >= 3 && verdicts["invalid"] >= 3, "{verdicts:?}");
}

/// What is given up comes with an order that is legal as far as it goes.
#[test]
fn a_prefix_is_legal() {
    let mut longest = 0;
    for (seed, memory) in (0..8).flat_map(|seed| [200_000, 260_000, 320_000].map(|memory| (seed, memory))) {
        let shape = Contended { operations: 4_000, workers: 20, lost: 10, ..USUAL };
        let history = history(&mut ChaCha8Rng::seed_from_u64(seed), shape);
        let judgement = judged(&history, &Limits { memory, ..LIMITS });
        let Verdict::Unknown { reason } = &judgement.verdict else { continue };
        let prefix = judgement.prefix.expect("a search that was given up says how far it came");
        assert!(reason.contains(&format!("after {} of ", prefix.order.len())), "{reason}");
        replays(&history, &prefix.order).unwrap_or_else(|error| panic!("seed {seed}, {memory} bytes: {error}"));
        longest = longest.max(prefix.order.len());
    }
    assert!(longest > 300, "a search that ends at once shows nothing: {longest}");
}

/// Replays calls, in this order and in real time.
fn replays(history: &History, order: &[usize]) -> Result<(), String> {
    let operations = history.operations().map_err(|error| error.to_string())?;
    let by_call: BTreeMap<usize, &Operation<'_>> = operations.iter().map(|one| (one.call, one)).collect();
    let (mut value, mut latest) = (Value::Null, 0);
    for call in order {
        let operation = by_call[call];
        let argument = &operation.invoke.value;
        if operation.outcome() == Outcome::Ok && operation.ret.is_some_and(|ret| ret < latest) {
            return Err(format!("{} is too late", operation.events()));
        }
        latest = latest.max(*call);
        match operation.f() {
            "read" if operation.completion.is_some_and(|completion| completion.value == value) => {}
            "write" => value = argument.clone(),
            "cas" if argument[0] == value => value = argument[1].clone(),
            _ => return Err(format!("{} finds {value}", operation.events())),
        }
    }
    Ok(())
}
