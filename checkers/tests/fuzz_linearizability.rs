//! Small random histories, judged by the checker and by one that tries every order.

mod common;

use std::time::Duration;

use common::replay::Replay;
use common::{brute, random};
use grudge_checkers::history::{History, csv};
use grudge_checkers::linearizability::{self, Limits};
use grudge_checkers::model::{CasRegister, FencedMutex, Model, Mutex, Register};
use grudge_checkers::verdict::Verdict;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const CASES: u64 = 4_000;

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
        match linearizability::linearize(&history, model, &limits) {
            Ok(orders) => {
                assert!(expected, "the checker accepts what no order explains; {rerun}");
                common::replay::check(model, &history, &orders).unwrap_or_else(|error| panic!("{error}; {rerun}"));
                tally.valid += 1;
            }
            Err(Verdict::Invalid { witness }) => {
                assert!(!expected, "the checker rejects what some order explains: {}; {rerun}", witness.reason);
                let part = History { events: witness.events.clone() };
                assert!(!brute::is_linearizable(model, &part), "the witness proves nothing: {witness:?}; {rerun}");
                tally.invalid += 1;
            }
            Err(other) => panic!("no answer: {other:?}; {rerun}"),
        }
    }
    if cases > 1 {
        assert!(tally.valid > cases / 10 && tally.invalid > cases / 10, "one-sided histories prove little: {tally:?}");
    }
}

fn text(history: &History) -> String {
    let mut bytes = Vec::new();
    csv::write(&mut bytes, history).expect("memory takes everything");
    String::from_utf8(bytes).expect("a history is UTF-8")
}

#[test]
fn register() {
    fuzz(&Register);
}

#[test]
fn cas_register() {
    fuzz(&CasRegister);
}

#[test]
fn mutex() {
    fuzz(&Mutex);
}

#[test]
fn fenced_mutex() {
    fuzz(&FencedMutex);
}
