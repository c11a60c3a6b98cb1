//! Small random histories, judged by the checker and by one that tries every order.

mod common;

use std::time::Duration;

use common::replay::Replay;
use common::{brute, random};
use grudge_checkers::history::{Event, History, Kind, Outcome, csv};
use grudge_checkers::linearizability::{self, Limits};
use grudge_checkers::model::{CasRegister, FencedMutex, Model, Mutex, Register};
use grudge_checkers::verdict::Verdict;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

const CASES: u64 = 10_000;

/// How many were found valid and invalid.
#[derive(Debug, Default)]
struct Tally {
    valid: u64,
    invalid: u64,
}

fn fuzz<M: Model + Replay>(model: &M) {
    let first: u64 = std::env::var("GRUDGE_SEED").map_or(1, |seed| seed.parse().expect("GRUDGE_SEED is a number"));
    let cases = if std::env::var("GRUDGE_SEED").is_ok() { 1 } else { CASES };
    let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
    let mut tally = Tally::default();
    for seed in first..first + cases {
        let history = random::history(&mut ChaCha8Rng::seed_from_u64(seed), model.name());
        let rerun = format!(
            "seed {seed}; again with: GRUDGE_SEED={seed} cargo test -p grudge-checkers --test fuzz_linearizability {}\n{}",
            model.name().replace('-', "_"),
            text(&history)
        );
        let expected = brute::is_linearizable(model, &history);
        let judgement = linearizability::judge(&history, model, &limits);
        match judgement.verdict {
            Verdict::Valid => {
                assert!(expected, "the checker accepts what no order explains; {rerun}");
                common::replay::check(model, &history, &judgement.orders)
                    .unwrap_or_else(|error| panic!("{error}; {rerun}"));
                tally.valid += 1;
            }
            Verdict::Invalid { witness } => {
                assert!(!expected, "the checker rejects what some order explains: {}; {rerun}", witness.reason);
                let part = forget_what_is_outside(&history, &witness.events);
                assert!(!brute::is_linearizable(model, &part), "the witness proves nothing: {witness}; {rerun}");
                tally.invalid += 1;
            }
            other => panic!("no answer: {other:?}; {rerun}"),
        }
    }
    if cases > 1 {
        assert!(tally.valid > cases / 10 && tally.invalid > cases / 10, "one-sided histories prove little: {tally:?}");
    }
}

/// The witness as a history. A compare-and-set only counts as a write in it if what it found can have come from outside.
fn forget_what_is_outside(history: &History, events: &[Event]) -> History {
    let mut part = History { events: events.to_vec() };
    let makes = |history: &History, value: &Value, before: u64| {
        let operations = history.operations().expect("it pairs");
        operations.iter().filter(|operation| operation.outcome() != Outcome::Fail).any(|operation| {
            let argument = &operation.invoke.value;
            let made = if operation.f() == "cas" { &argument[1] } else { argument };
            operation.f() != "read" && made == value && operation.invoke.index < before
        })
    };
    // What was called after the last return cannot have mattered.
    let last = events.last().map_or(0, |event| event.index);
    for event in events.iter().filter(|event| event.f == "cas") {
        let (old, new) = (&event.value[0], &event.value[1]);
        let same = |other: &&Event| other.process == event.process && other.index > event.index;
        let end = events.iter().find(same).map_or(last, |end| end.index);
        let before = if event.kind == Kind::Invoke { end } else { event.index };
        if makes(history, old, before) && !makes(&History { events: events.to_vec() }, old, u64::MAX) {
            let forgotten = part.events.iter_mut().find(|other| other.index == event.index).expect("it is there");
            (forgotten.f, forgotten.value) = ("write".to_owned(), new.clone());
        }
    }
    part
}

fn text(history: &History) -> String {
    let mut bytes = Vec::new();
    csv::write(&mut bytes, history).expect("memory takes everything");
    String::from_utf8(bytes).expect("a history is UTF-8")
}

#[test]
fn register() {
    fuzz(&Register::default());
}

#[test]
fn cas_register() {
    fuzz(&CasRegister::default());
}

#[test]
fn mutex() {
    fuzz(&Mutex);
}

#[test]
fn fenced_mutex() {
    fuzz(&FencedMutex);
}
