//! Histories as long as a run makes them are judged right, with a small witness, and long before anybody gets
//! impatient: in a tenth of a second each. The limit leaves room for a loaded machine.

mod common;

use std::time::Duration;

use common::simulated::{Shape, registers};
use grudge_checkers::history::{History, Kind};
use grudge_checkers::judgement::Decider;
use grudge_checkers::linearizability::{Limits, judge};
use grudge_checkers::model::{CasRegister, Named};
use grudge_checkers::verdict::Verdict;
use grudge_checkers::verify::verify_orders;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

const LIMITS: Limits = Limits { time: Duration::from_secs(120), memory: 2 << 30 };

const SHAPES: [Shape; 4] = [
    Shape { operations: 20_000, keys: 5, workers: 10, reads: 50, lost: 10 },
    Shape { operations: 20_000, keys: 5, workers: 10, reads: 20, lost: 30 },
    Shape { operations: 20_000, keys: 1, workers: 10, reads: 10, lost: 30 },
    Shape { operations: 20_000, keys: 5, workers: 50, reads: 30, lost: 30 },
];

fn history(seed: u64, shape: Shape) -> History {
    registers(&mut ChaCha8Rng::seed_from_u64(seed), shape)
}

#[test]
fn a_valid_history_has_an_order_that_replays() {
    for shape in SHAPES {
        let history = history(1, shape);
        history.check().expect("it is a history");
        let judgement = judge(&history, &CasRegister::default(), &LIMITS);
        assert_eq!(judgement.verdict, Verdict::Valid, "{shape:?}");
        verify_orders(&CasRegister::default(), &history, &judgement.orders)
            .unwrap_or_else(|error| panic!("{shape:?}: {error}"));
    }
}

#[test]
fn one_stale_read_among_many_is_found_and_shown() {
    for shape in SHAPES {
        let mut history = history(2, shape);
        let middle = history.events.len() / 2;
        let ok =
            |history: &History, f: &str, at: usize| history.events[at].kind == Kind::Ok && history.events[at].f == f;
        let late = (middle * 3 / 2..history.events.len()).find(|&at| ok(&history, "read", at)).expect("a late read");
        let key = history.events[late].key.clone();
        let early = (0..middle).rev().find(|&at| ok(&history, "write", at) && history.events[at].key == key);
        history.events[late].value = history.events[early.expect("an early write")].value.clone();
        let index = history.events[late].index;
        match Named::CasRegister.check(&history, &LIMITS) {
            Verdict::Invalid { witness } => {
                assert_eq!(witness.key, key, "{shape:?}");
                assert!(witness.events.iter().any(|event| event.index == index), "{shape:?}: {witness}");
                assert!(witness.events.len() <= 8, "{shape:?}: {witness}");
            }
            other => panic!("{shape:?}: {other}"),
        }
    }
}

/// The same with values that repeat, which takes a search.
fn with_repeated_values(mut history: History) -> History {
    let fold = |value: &Value| value.as_u64().map_or(Value::Null, |value| json!(value % 7));
    for event in &mut history.events {
        event.value = match &event.value {
            Value::Array(pair) => pair.iter().map(fold).collect(),
            value => fold(value),
        };
    }
    history
}

/// The same without the versions.
fn without_versions(mut history: History) -> History {
    history.events.iter_mut().for_each(|event| event.version = None);
    history
}

#[test]
fn repeated_values_with_versions_need_no_search() {
    for shape in SHAPES {
        let history = with_repeated_values(history(5, shape));
        let judgement = judge(&history, &CasRegister::default(), &LIMITS);
        assert_eq!(judgement.verdict, Verdict::Valid, "{shape:?}");
        assert_eq!(judgement.deciders, [(Decider::Versions, shape.keys)].into(), "{shape:?}");
        verify_orders(&CasRegister::default(), &history, &judgement.orders)
            .unwrap_or_else(|error| panic!("{shape:?}: {error}"));
    }
}

#[test]
fn repeated_values_are_searched() {
    let shape = Shape { operations: 5_000, keys: 1, workers: 5, reads: 50, lost: 10 };
    let history = without_versions(with_repeated_values(history(3, shape)));
    let judgement = judge(&history, &CasRegister::default(), &LIMITS);
    assert_eq!(judgement.verdict, Verdict::Valid);
    verify_orders(&CasRegister::default(), &history, &judgement.orders).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_search_that_is_too_long_is_given_up() {
    let shape = Shape { operations: 5_000, keys: 1, workers: 5, reads: 50, lost: 10 };
    let history = without_versions(with_repeated_values(history(4, shape)));
    let verdict = Named::CasRegister.check(&history, &Limits { memory: 1_000, ..LIMITS });
    let reason = "unknown: key `r0`: out of memory (1000 bytes) after 0 of ";
    assert!(verdict.to_string().starts_with(reason), "{verdict}");
    let verdict = Named::CasRegister.check(&history, &Limits { time: Duration::ZERO, ..LIMITS });
    assert!(verdict.to_string().starts_with("unknown: key `r0`: out of time (0ns) after "), "{verdict}");
}
