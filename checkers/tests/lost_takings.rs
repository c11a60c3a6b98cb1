//! Long histories of queues and priority queues in which answers were lost: they are judged without a search.

mod common;

use std::time::Duration;

use common::vessel::{Shape, history};
use grudge_checkers::judgement::Decider;
use grudge_checkers::linearizability::{Limits, judge};
use grudge_checkers::model::{Model, Named, PriorityQueue, Queue};
use grudge_checkers::verdict::Verdict;
use grudge_checkers::verify::{Replay, verify_orders};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const LIMITS: Limits = Limits { time: Duration::from_secs(120), memory: 1 << 30 };

fn are_told<M: Model + Replay>(model: &M, named: Named, decider: Decider) {
    for (seed, lost) in (0..4).flat_map(|seed| [10, 50].map(|lost| (seed, lost))) {
        let shape = Shape { named, operations: 4_000, workers: 10, lost };
        let history = history(&mut ChaCha8Rng::seed_from_u64(seed), shape);
        let judgement = judge(&history, model, &LIMITS);
        assert_eq!(judgement.verdict, Verdict::Valid, "seed {seed}, {shape:?}");
        assert_eq!(judgement.deciders, [(decider, 1)].into(), "seed {seed}, {shape:?}");
        verify_orders(model, &history, &judgement.orders)
            .unwrap_or_else(|error| panic!("seed {seed}, {shape:?}: {error}"));
    }
}

#[test]
fn what_lost_dequeues_took_is_told() {
    are_told(&Queue, Named::Queue, Decider::Queue);
}

#[test]
fn what_lost_polls_took_is_told() {
    are_told(&PriorityQueue, Named::PriorityQueue, Decider::PriorityQueue);
}
