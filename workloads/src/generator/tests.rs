use std::time::Duration;

use grudge_checkers::history::{History, Kind, Process};
use proptest::prelude::*;
use serde_json::Value;

use super::simulate::simulate;
use super::*;
use crate::operation::{Invocation, Outcome};

const MS: Duration = Duration::from_millis(1);

/// Runs a generator against a system that answers everything with ok after `latency`.
fn run(mut generator: Boxed<Invocation>, workers: usize, latency: Duration) -> History {
    simulate(&mut *generator, workers, |_, _, _| (latency, Outcome::ok(Value::Null, None)))
}

fn op(f: &'static str) -> Invocation {
    Invocation::new(f)
}

/// Who invoked what, when: `at ms, worker, f`.
fn invocations(history: &History) -> Vec<(u64, u64, String)> {
    let invoked = history.events.iter().filter(|event| event.kind == Kind::Invoke);
    invoked
        .map(|event| match event.process {
            Process::Client(process) => (event.time / 1_000_000, process, event.f.clone()),
            Process::Nemesis => unreachable!("the simulator has no nemesis"),
        })
        .collect()
}

fn names(history: &History) -> Vec<String> {
    invocations(history).into_iter().map(|(_, _, f)| f).collect()
}

#[test]
fn limit_counts_over_all_workers() {
    let history = run(Repeat(op("read")).limit(7).boxed(), 3, MS);
    assert_eq!(invocations(&history).len(), 7);
}

#[test]
fn sequence_gives_each_item_once_in_order() {
    let history = run(Sequence::new([op("a"), op("b"), op("c")]).boxed(), 2, MS);
    assert_eq!(names(&history), ["a", "b", "c"]);
}

#[test]
fn per_worker_gives_each_worker_its_own_sequence() {
    let history = run(PerWorker::new(|_| Sequence::new([op("a"), op("b")]).boxed()).boxed(), 2, MS);
    let expected = [(0, 0, "a"), (0, 1, "a"), (1, 0, "b"), (1, 1, "b")];
    assert_eq!(invocations(&history), expected.map(|(at, worker, f)| (at, worker, f.to_owned())));
}

#[test]
fn a_fixed_rate_spaces_operations_over_all_workers() {
    let history = run(Repeat(op("read")).paced(Pace::rate(100.0)).limit(5).boxed(), 4, MS);
    let times: Vec<u64> = invocations(&history).iter().map(|(at, _, _)| *at).collect();
    assert_eq!(times, [0, 10, 20, 30, 40]);
}

#[test]
fn a_stall_is_not_caught_up_with_a_burst() {
    let mut paced = Repeat("read").paced(Pace::rate(100.0));
    assert_eq!(paced.next(Duration::ZERO, Worker(0)), Next::Op("read"));
    assert_eq!(paced.next(1000 * MS, Worker(0)), Next::Op("read"));
    assert_eq!(paced.next(1000 * MS, Worker(0)), Next::Op("read"));
    assert_eq!(paced.next(1000 * MS, Worker(0)), Next::At(1010 * MS));
}

#[test]
fn time_limit_ends_what_waits() {
    let mut limited = Repeat("read").paced(Pace::Fixed(100 * MS)).time_limit(30 * MS);
    assert_eq!(limited.next(Duration::ZERO, Worker(0)), Next::Op("read"));
    assert_eq!(limited.next(MS, Worker(0)), Next::At(30 * MS));
    assert_eq!(limited.next(30 * MS, Worker(0)), Next::Done);
}

#[test]
fn time_limit_counts_from_the_first_question() {
    let history = run(Sleep::new(50 * MS).boxed().then(Repeat(op("read")).time_limit(3 * MS)).boxed(), 1, MS);
    let times: Vec<u64> = invocations(&history).iter().map(|(at, _, _)| *at).collect();
    assert_eq!(times, [50, 51, 52]);
}

#[test]
fn until_ends_with_the_event() {
    let work = Sequence::new([op("a"), op("b"), op("c")]).until(|event| event.f == "b" && event.kind == Kind::Ok);
    assert_eq!(names(&run(work.boxed(), 1, MS)), ["a", "b"]);
}

#[test]
fn phases_wait_for_the_slowest_worker() {
    let slow = PerWorker::new(|worker| Repeat(op("slow")).limit(1 + 4 * worker.0).boxed());
    let mut phases = Phases::new(2, [slow.boxed(), Repeat(op("after")).limit(2).boxed()]);
    let history = simulate(&mut phases, 2, |_, _, _| (10 * MS, Outcome::ok(Value::Null, None)));
    let first_after = invocations(&history).iter().find(|(_, _, f)| f == "after").map(|(at, _, _)| *at);
    assert_eq!(first_after, Some(50), "worker 1 needs five operations of 10 ms");
    assert_eq!(names(&history).iter().filter(|f| *f == "after").count(), 2);
}

#[test]
fn chain_lets_each_worker_go_on_alone() {
    let slow = PerWorker::new(|worker| Repeat(op("slow")).limit(1 + 4 * worker.0).boxed());
    let history = run(slow.then(Repeat(op("after")).limit(1)).boxed(), 2, 10 * MS);
    let after: Vec<_> = invocations(&history).into_iter().filter(|(_, _, f)| f == "after").collect();
    assert_eq!(after, [(10, 0, "after".to_owned())]);
}

#[test]
fn cycle_begins_again() {
    let round = || Sequence::new([op("start"), op("stop")]).then(Sleep::new(8 * MS)).boxed();
    let history = run(Cycle::new(round).time_limit(25 * MS).boxed(), 1, MS);
    let expected = [(0, "start"), (1, "stop"), (10, "start"), (11, "stop"), (20, "start"), (21, "stop")];
    assert_eq!(invocations(&history), expected.map(|(at, f)| (at, 0, f.to_owned())));
}

#[test]
fn on_key_sets_the_key_and_sees_only_its_events() {
    let until_own = Repeat(op("a")).until(|event| event.kind == Kind::Ok);
    let mut on_x = OnKey::new("x", until_own);
    assert_eq!(on_x.next(Duration::ZERO, Worker(0)), Next::Op(op("a").on("x")));
    let other = run(Sequence::new([op("a").on("y")]).boxed(), 1, MS);
    let own = run(Sequence::new([op("a").on("x")]).boxed(), 1, MS);
    other.events.iter().for_each(|event| on_x.update(MS, Some(Worker(0)), event));
    assert_eq!(on_x.next(MS, Worker(0)), Next::Op(op("a").on("x")));
    own.events.iter().for_each(|event| on_x.update(MS, Some(Worker(0)), event));
    assert_eq!(on_x.next(MS, Worker(0)), Next::Done);
}

#[test]
fn map_makes_another_type() {
    let mut mapped = Sequence::new([1, 2]).map(|n| format!("step {n}"));
    assert_eq!(mapped.next(MS, Worker(0)), Next::Op("step 1".to_owned()));
}

#[test]
fn mix_forgets_a_part_that_is_done() {
    let parts = [(1_000_000, Repeat(op("few")).limit(2).boxed()), (1, Repeat(op("many")).limit(5).boxed())];
    let history = run(Mix::new(1, parts).boxed(), 2, MS);
    assert_eq!(names(&history).iter().filter(|f| *f == "few").count(), 2);
    assert_eq!(names(&history).iter().filter(|f| *f == "many").count(), 5);
}

fn mixed(seed: u64, weights: (u32, u32), pace: Pace) -> Boxed<Invocation> {
    let parts = [(weights.0, Repeat(op("a")).boxed()), (weights.1, Repeat(op("b")).boxed())];
    Mix::new(seed, parts).paced(pace).time_limit(2000 * MS).limit(3000).boxed()
}

#[test]
fn mix_keeps_its_weights() {
    let history = run(mixed(7, (3, 1), Pace::Fixed(MS)), 5, 3 * MS);
    let a = names(&history).iter().filter(|f| *f == "a").count();
    assert!((1400..=1600).contains(&a), "three quarters of 2000 were drawn as a, got {a}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_seed_gives_one_history(seed: u64, workers in 1usize..6, exponential: bool) {
        let pace = || match exponential {
            true => Pace::Exponential { mean: 5 * MS, seed },
            false => Pace::Uniform { mean: 5 * MS, seed },
        };
        let first = run(mixed(seed, (1, 1), pace()), workers, 2 * MS);
        let second = run(mixed(seed, (1, 1), pace()), workers, 2 * MS);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn drawn_gaps_have_their_mean(seed: u64, exponential: bool) {
        let pace = match exponential {
            true => Pace::Exponential { mean: 2 * MS, seed },
            false => Pace::Uniform { mean: 2 * MS, seed },
        };
        let count = invocations(&run(mixed(seed, (1, 1), pace), 8, MS)).len();
        prop_assert!((800..=1200).contains(&count), "about 1000 gaps of 2 ms fit into 2 s, got {}", count);
    }
}
