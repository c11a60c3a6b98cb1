//! Small random histories, judged by a checker and by a trial of every order.

use std::time::Duration;

use grudge_checkers::history::{Event, History, Kind, Outcome, csv};
use grudge_checkers::linearizability::{self, Limits};
use grudge_checkers::model::Model;
use grudge_checkers::verdict::Verdict;
use grudge_checkers::verify::{self, Replay};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::fuzz;
use super::random::{self, Knobs, Object};

/// How many cases a model gets in a usual test run.
const CASES: u64 = 10_000;

/// Judges random histories of the object by the model and by trial: the verdicts agree, legal orders replay, and
/// witnesses have no legal order.
pub fn fuzz<M: Model + Replay, O: Object>(model: &M, object: impl Fn(&mut ChaCha8Rng) -> O) {
    fuzz::balanced(CASES, &["valid", "invalid"], |rng| {
        let knobs = Knobs::small(rng);
        let history = random::history(rng, &knobs, &object);
        agree(model, &history)
    });
}

/// Judges a history twice and answers with the verdict's name.
pub fn agree<M: Model + Replay>(model: &M, history: &History) -> &'static str {
    let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
    let expected = by_trial(model, history);
    let judgement = linearizability::judge(history, model, &limits);
    match &judgement.verdict {
        Verdict::Valid => {
            assert!(expected, "the checker accepts what no order explains\n{}", text(history));
            let replayed = verify::verify_orders(model, history, &judgement.orders);
            replayed.unwrap_or_else(|error| panic!("{error}\n{}", text(history)));
        }
        Verdict::Invalid { witness } => {
            let reason = &witness.reason;
            assert!(!expected, "the checker rejects what some order explains: {reason}\n{}", text(history));
            let whole = History { events: of_key(history, witness.key.as_deref()) };
            let part = forget_what_is_outside(&whole, &witness.events);
            assert!(!by_trial(model, &part), "the witness proves nothing: {witness}\n{}", text(history));
        }
        Verdict::Unknown { reason } => panic!("no answer: {reason}\n{}", text(history)),
    }
    judgement.verdict.name()
}

fn by_trial<M: Replay>(model: &M, history: &History) -> bool {
    let tried = verify::is_linearizable(model, history, u64::MAX).expect("the history pairs");
    tried.expect("there is no end to the steps")
}

fn of_key(history: &History, key: Option<&str>) -> Vec<Event> {
    history.events.iter().filter(|event| event.key.as_deref() == key).cloned().collect()
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
