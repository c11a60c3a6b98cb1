//! Watches against the checks of the whole history, and what they remember.

use grudge_checkers::checker::Checker;
use grudge_checkers::history::{Event, History, Kind, Process, csv};
use grudge_checkers::judgement::Checking;
use grudge_checkers::linearizability::Limits;
use grudge_checkers::online::{Reads, Watch};
use grudge_checkers::verdict::Verdict;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use crate::common::fuzz;
use crate::common::random::{self, Knobs};
use crate::fenced::Lease;
use crate::register::Cell;

fn text(history: &History) -> String {
    let mut bytes = Vec::new();
    csv::write(&mut bytes, history).expect("memory takes everything");
    String::from_utf8(bytes).expect("a history is UTF-8")
}

/// What came of watching a history: the number of events after which a violation was seen, and the verdict at the end.
fn watched(checker: Checker, history: &History) -> (Option<usize>, Verdict) {
    let mut watch = checker.watch().expect("it can be watched");
    let mut seen = None;
    for (at, event) in history.events.iter().enumerate() {
        let witness = watch.push(event);
        if let Some(witness) = witness {
            assert!(seen.is_none(), "a watch speaks once");
            assert!(!witness.reason.is_empty() && !witness.events.is_empty(), "{witness}");
            assert!(witness.events.iter().all(|event| history.events[..=at].contains(event)), "{witness}");
            seen = Some(at + 1);
        }
    }
    (seen, watch.finish(history).verdict)
}

/// Whether the whole check says that the first so many events are invalid.
fn is_invalid(checker: Checker, history: &History, events: usize) -> bool {
    let part = History { events: history.events[..events].to_vec() };
    matches!(checker.check(&part, &Limits::default()), Verdict::Invalid { .. })
}

/// What is seen is so, at the moment at which it is; and nothing is overlooked unless it was said that it may be.
/// Answers with what was found.
fn agree(checker: &str, history: &History) -> &'static str {
    let checker: Checker = checker.parse().expect("a checker");
    let (seen, verdict) = watched(checker, history);
    let rerun = || text(history);
    match (&verdict, seen) {
        (Verdict::Invalid { witness }, Some(seen)) => {
            assert!(is_invalid(checker, history, seen), "{witness}: it is not; {}", rerun());
            let before = History { events: history.events[..seen - 1].to_vec() };
            let in_doubt = watched(checker, &before).1 != Verdict::Valid;
            assert!(in_doubt || !is_invalid(checker, history, seen - 1), "{witness}: overlooked before; {}", rerun());
        }
        // Only the end told that a call is never answered.
        (Verdict::Invalid { witness }, None) => {
            assert!(is_invalid(checker, history, history.events.len()), "{witness}: it is not; {}", rerun());
        }
        (Verdict::Valid, None) => {
            assert!(!is_invalid(checker, history, history.events.len()), "overlooked; {}", rerun());
        }
        (Verdict::Unknown { reason }, None) => assert!(!reason.is_empty()),
        other => panic!("{other:?}; {}", rerun()),
    }
    verdict.name()
}

const BOTH: &[&str] = &["valid", "invalid"];

/// Histories of objects that several clients use at once, small and large, with few lies and many.
fn knobs(rng: &mut ChaCha8Rng) -> Knobs {
    let operations = [6, 20, 60][rng.random_range(0..3)];
    let lies = [100, 400][rng.random_range(0..2)] / operations;
    Knobs { operations, lies, unique: true, ..Knobs::small(rng) }
}

#[test]
fn registers_are_watched_as_they_are_judged() {
    fuzz::balanced(3_000, BOTH, |rng| {
        let knobs = knobs(rng);
        agree("register", &random::history(rng, &knobs, |_| Cell::default()))
    });
}

#[test]
fn cas_registers_are_watched_as_they_are_judged() {
    fuzz::balanced(3_000, BOTH, |rng| {
        let knobs = knobs(rng);
        agree("cas-register", &random::history(rng, &knobs, |_| Cell::with_cas()))
    });
}

#[test]
fn fenced_mutexes_are_watched_as_they_are_judged() {
    fuzz::balanced(3_000, BOTH, |rng| {
        let knobs = knobs(rng);
        agree("fenced-mutex", &random::history(rng, &knobs, |_| Lease::default()))
    });
}

/// A client's call on a register.
struct Open {
    process: u64,
    f: &'static str,
    argument: Value,
    answer: Option<(Kind, Value)>,
}

/// How a long history of a register is.
#[derive(Clone, Copy)]
struct Shape {
    operations: usize,
    clients: u64,
    /// One of so many reads returns one of the last values instead of the present one; 0 for none.
    stale: u32,
    /// One of so many calls ends without an answer.
    lost: u32,
    /// Values are written again after so many; 0 for never.
    values: u64,
}

/// A register that is played with at random moments.
fn register(rng: &mut ChaCha8Rng, shape: Shape, mut each: impl FnMut(Event)) {
    let mut open: Vec<Open> = Vec::new();
    let mut free: Vec<u64> = (0..shape.clients).collect();
    let mut past: Vec<Value> = vec![Value::Null];
    let (mut next_process, mut written, mut calls, mut index) = (shape.clients, 0, 0, 0);
    let mut emit = |process: u64, kind: Kind, f: &str, value: Value| {
        let (process, f) = (Process::Client(process), f.to_owned());
        let (key, node, error, version, extra) = (None, None, None, None, Vec::new());
        each(Event { index, time: index, process, kind, f, key, value, node, error, version, extra });
        index += 1;
    };
    while calls < shape.operations || !open.is_empty() {
        let present = past.last().expect("there is a value").clone();
        match rng.random_range(0..3) {
            0 if calls < shape.operations && !free.is_empty() => {
                calls += 1;
                let process = free.swap_remove(rng.random_range(0..free.len()));
                written += 1;
                let new = json!(if shape.values > 0 { written % shape.values } else { written });
                let (f, argument) = match rng.random_range(0..5) {
                    0 | 1 => ("read", Value::Null),
                    2 | 3 => ("write", new),
                    _ => ("cas", json!([if rng.random_ratio(4, 5) { present } else { json!(written / 2) }, new])),
                };
                emit(process, Kind::Invoke, f, argument.clone());
                open.push(Open { process, f, argument, answer: None });
            }
            1 if !open.is_empty() => {
                let at = rng.random_range(0..open.len());
                let call = &mut open[at];
                if call.answer.is_none() {
                    call.answer = Some(apply(rng, shape, &mut past, call.f, &call.argument));
                }
            }
            2 if !open.is_empty() => {
                let Open { process, f, argument, answer } = open.swap_remove(rng.random_range(0..open.len()));
                let lost = rng.random_ratio(1, shape.lost);
                let (kind, value) = match answer {
                    _ if lost => (Kind::Info, argument),
                    None if rng.random_ratio(1, 20) => (Kind::Fail, argument),
                    None => apply(rng, shape, &mut past, f, &argument),
                    Some(answer) => answer,
                };
                emit(process, kind, f, value);
                free.push(if lost { next_process } else { process });
                next_process += u64::from(lost);
            }
            _ => {}
        }
        let old = past.len().saturating_sub(8);
        past.drain(..old);
    }
}

fn apply(rng: &mut ChaCha8Rng, shape: Shape, past: &mut Vec<Value>, f: &str, argument: &Value) -> (Kind, Value) {
    let present = past.last().expect("there is a value").clone();
    let stale = shape.stale > 0 && rng.random_ratio(1, shape.stale);
    let found = if stale { past[rng.random_range(0..past.len())].clone() } else { present };
    match f {
        "read" => return (Kind::Ok, found),
        "write" => past.push(argument.clone()),
        _ if argument[0] == found => past.push(argument[1].clone()),
        _ => return (Kind::Fail, argument.clone()),
    }
    (Kind::Ok, argument.clone())
}

fn long(rng: &mut ChaCha8Rng, values: u64) -> History {
    let shape = Shape {
        operations: rng.random_range(20..160),
        clients: rng.random_range(1..6),
        stale: [0, 200, 60][rng.random_range(0..3)],
        lost: [10, 40, 1_000][rng.random_range(0..3)],
        values,
    };
    let mut history = History::default();
    register(rng, shape, |event| history.events.push(event));
    history
}

#[test]
fn long_histories_in_which_much_is_forgotten() {
    fuzz::balanced(2_000, BOTH, |rng| agree("cas-register", &long(rng, 0)));
}

/// Each value is written again later, when it may be forgotten or not: no watch may say of a legal history that it is not.
#[test]
fn values_that_come_again_mislead_nobody() {
    fuzz::balanced(2_000, &["valid", "unknown"], |rng| {
        let values = [12, 25, 60, 100][rng.random_range(0..4)];
        agree("cas-register", &long(rng, values))
    });
}

#[test]
fn what_is_remembered_does_not_grow_with_the_history() {
    let shape = Shape { operations: 1_000_000, clients: 20, stale: 0, lost: 10_000, values: 0 };
    let mut watch = Watch::registers(Reads::Judged);
    let (mut most, mut lost, mut events) = (0, 0, 0_u64);
    register(&mut ChaCha8Rng::seed_from_u64(7), shape, |event| {
        lost += usize::from(event.kind == Kind::Info);
        assert_eq!(watch.push(&event), None, "it is a register");
        events += 1;
        if events.is_multiple_of(100) {
            most = most.max(watch.remembers().saturating_sub(lost));
        }
    });
    assert!(most < 500, "{most} remembered besides {lost} lost calls");
    assert_eq!(Box::new(watch).finish(&History::default()).verdict, Verdict::Valid);
}

#[test]
fn sessions_are_watched_as_they_are_judged() {
    fuzz::balanced(3_000, BOTH, |rng| {
        let mut history = History::default();
        let (mut version, clients) = (0, rng.random_range(1..4));
        let care = rng.random_range(1..40);
        for at in 0..rng.random_range(2..40_u64) {
            let write = rng.random_ratio(1, 3);
            version += i64::from(write);
            let behind = if rng.random_ratio(1, care) { rng.random_range(0..3) } else { 0 };
            let known = (version - behind).max(1);
            let (process, f) = (Process::Client(rng.random_range(0..clients)), if write { "write" } else { "read" });
            let key = Some(["x", "y"][rng.random_range(0..2)].to_owned());
            for (half, kind) in [(0, Kind::Invoke), (1, Kind::Ok)] {
                history.events.push(Event {
                    index: 2 * at + half,
                    time: 2 * at + half,
                    process,
                    kind,
                    f: f.to_owned(),
                    key: key.clone(),
                    value: json!(known),
                    node: None,
                    error: None,
                    version: (kind == Kind::Ok).then_some(known),
                    extra: Vec::new(),
                });
            }
        }
        agree("session", &history)
    });
}

#[test]
fn reads_that_may_be_stale_are_not_watched() {
    let file = "process,type,f,value\n0,invoke,write,1\n0,ok,write,1\n1,invoke,read,\n1,ok,read,\n";
    let (history, _) = csv::read(file.as_bytes());
    for (reads, expected) in [(Reads::Judged, "invalid"), (Reads::Ignored, "valid")] {
        let mut watch = Watch::registers(reads);
        history.events.iter().for_each(|event| drop(watch.push(event)));
        assert_eq!(Box::new(watch).finish(&history).verdict.name(), expected);
    }
}
