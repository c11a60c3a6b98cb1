//! Small random histories, judged by a checker and by a trial of every order.

use std::time::Duration;

use grudge_checkers::history::{History, csv};
use grudge_checkers::linearizability::{self, Limits};
use grudge_checkers::model::Model;
use grudge_checkers::verdict::Verdict;
use grudge_checkers::verify::{self, Replay};
use rand_chacha::ChaCha8Rng;

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
            let spare = verify::spare_operation(model, history, witness, u64::MAX);
            let spare = spare.unwrap_or_else(|error| panic!("{error}: {witness}\n{}", text(history)));
            assert_eq!(spare, None, "can be spared: {witness}\n{}", text(history));
        }
        Verdict::Unknown { reason } => panic!("no answer: {reason}\n{}", text(history)),
    }
    judgement.verdict.name()
}

fn by_trial<M: Replay>(model: &M, history: &History) -> bool {
    let tried = verify::is_linearizable(model, history, u64::MAX).expect("the history pairs");
    tried.expect("there is no end to the steps")
}

fn text(history: &History) -> String {
    let mut bytes = Vec::new();
    csv::write(&mut bytes, history).expect("memory takes everything");
    String::from_utf8(bytes).expect("a history is UTF-8")
}
