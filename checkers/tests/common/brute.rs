//! The definition of linearizability, tried out: every order of every choice of what happened.
//!
//! It shares the replay's idea of each object with nothing in the crate, so that a mistake in a model shows.

use std::collections::BTreeMap;

use grudge_checkers::history::{History, Operation, Outcome};

use super::replay::Replay;

/// Whether each key has a legal order.
pub fn is_linearizable<M: Replay>(model: &M, history: &History) -> bool {
    let mut keys: BTreeMap<Option<&str>, Vec<Operation<'_>>> = BTreeMap::new();
    for operation in history.operations().expect("the history pairs") {
        if operation.outcome() != Outcome::Fail {
            keys.entry(operation.key()).or_default().push(operation);
        }
    }
    keys.values().all(|operations| extend(model, operations, &mut vec![false; operations.len()], model.start()))
}

fn extend<M: Replay>(model: &M, operations: &[Operation<'_>], done: &mut [bool], state: M::Memory) -> bool {
    let left = |done: &[bool]| operations.iter().enumerate().filter(|&(at, _)| !done[at]).map(|(at, _)| at).collect();
    let remaining: Vec<usize> = left(done);
    if remaining.iter().all(|&at| operations[at].outcome() == Outcome::Info) {
        return true;
    }
    for &at in &remaining {
        let must_wait = |&other: &usize| {
            let other = &operations[other];
            other.outcome() == Outcome::Ok && other.ret.expect("what is ok has returned") < operations[at].call
        };
        if remaining.iter().any(must_wait) {
            continue;
        }
        for next in model.outcomes(&state, &operations[at]) {
            done[at] = true;
            if extend(model, operations, done, next) {
                return true;
            }
            done[at] = false;
        }
    }
    false
}
