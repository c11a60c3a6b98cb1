//! Isolation levels as they are defined, tried out: every choice of what happened, in every order.

use std::collections::BTreeMap;

use grudge_checkers::history::{History, Operation, Outcome};
use serde_json::Value;

/// Which orders of transactions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// All.
    Any,
    /// Those in which each process goes forward.
    Sessions,
    /// Those that agree with real time.
    RealTime,
}

type State<'h> = BTreeMap<String, Vec<&'h Value>>;

/// The micro-operations of a transaction, those of the completion if it is `ok`.
fn micros<'h>(operation: &Operation<'h>) -> &'h [Value] {
    let known = operation.completion.filter(|_| operation.outcome() == Outcome::Ok).unwrap_or(operation.invoke);
    known.value.as_array().expect("a list of micro-operations")
}

/// The state after a transaction; none if it cannot have read what it did.
fn run<'h>(operation: &Operation<'h>, mut state: State<'h>) -> Option<State<'h>> {
    for micro in micros(operation) {
        let held = state.entry(micro[1].to_string()).or_default();
        match micro[0].as_str() {
            Some("r") if operation.outcome() != Outcome::Ok => {}
            Some("r") => {
                let fits = match &micro[2] {
                    Value::Array(list) => list.iter().eq(held.iter().copied()),
                    value => value == held.last().copied().unwrap_or(&Value::Null),
                };
                if !fits {
                    return None;
                }
            }
            _ => held.push(&micro[2]),
        }
    }
    Some(state)
}

fn before(order: Order, one: &Operation<'_>, other: &Operation<'_>) -> bool {
    let returned = one.ret.filter(|_| one.outcome() == Outcome::Ok).is_some_and(|ret| ret < other.call);
    match order {
        Order::Any => false,
        Order::Sessions => returned && one.process() == other.process(),
        Order::RealTime => returned,
    }
}

/// Whether running the transactions one after another in some order explains all reads.
pub fn is_serializable(history: &History, order: Order) -> bool {
    let operations = history.operations().expect("the history pairs");
    let open: Vec<Operation<'_>> = operations.into_iter().filter(|op| op.outcome() != Outcome::Fail).collect();
    extend(&open, &mut vec![false; open.len()], &State::new(), order)
}

fn extend<'h>(operations: &[Operation<'h>], done: &mut [bool], state: &State<'h>, order: Order) -> bool {
    let left: Vec<usize> = (0..operations.len()).filter(|&at| !done[at]).collect();
    if left.iter().all(|&at| operations[at].outcome() != Outcome::Ok) {
        return true;
    }
    for &at in &left {
        if left.iter().any(|&other| before(order, &operations[other], &operations[at])) {
            continue;
        }
        let Some(next) = run(&operations[at], state.clone()) else { continue };
        done[at] = true;
        if extend(operations, done, &next, order) {
            return true;
        }
        done[at] = false;
    }
    false
}

/// Whether the replay of this order, given as the positions of calls, explains all reads and agrees with real time.
pub fn replays(history: &History, order: &[usize]) -> bool {
    let operations = history.operations().expect("the history pairs");
    let chosen: Vec<&Operation<'_>> =
        order.iter().map(|call| operations.iter().find(|op| op.call == *call).expect("a call")).collect();
    let all_there = operations.iter().filter(|op| op.outcome() == Outcome::Ok).all(|op| order.contains(&op.call));
    let in_time = chosen.iter().enumerate().all(|(at, one)| {
        chosen[..at].iter().all(|earlier| !before(Order::RealTime, one, earlier) && earlier.call != one.call)
    });
    let state = chosen.iter().try_fold(State::new(), |state, operation| run(operation, state));
    all_there && in_time && state.is_some()
}

/// Whether it is a history of snapshot isolation: there is an order of commits in which each transaction reads the state
/// after some beginning of it, and nobody who commits between writes what it writes.
pub fn is_snapshot_isolated(history: &History) -> bool {
    let operations = history.operations().expect("the history pairs");
    let open: Vec<Operation<'_>> = operations.into_iter().filter(|op| op.outcome() != Outcome::Fail).collect();
    commit(&open, &mut vec![false; open.len()], &mut vec![State::new()], &mut Vec::new())
}

fn commit<'h>(
    operations: &[Operation<'h>],
    done: &mut [bool],
    states: &mut Vec<State<'h>>,
    order: &mut Vec<usize>,
) -> bool {
    let left: Vec<usize> = (0..operations.len()).filter(|&at| !done[at]).collect();
    if left.iter().all(|&at| operations[at].outcome() != Outcome::Ok) {
        return true;
    }
    for &at in &left {
        for snapshot in (0..states.len()).rev() {
            let between = order[snapshot..].iter().flat_map(|&other| written(&operations[other]));
            if between.into_iter().any(|key| written(&operations[at]).contains(&key)) {
                break;
            }
            if run(&operations[at], states[snapshot].clone()).is_none() {
                continue;
            }
            let mut next = states.last().expect("the first state is there").clone();
            for micro in micros(&operations[at]).iter().filter(|micro| micro[0] != "r") {
                next.entry(micro[1].to_string()).or_default().push(&micro[2]);
            }
            done[at] = true;
            states.push(next);
            order.push(at);
            if commit(operations, done, states, order) {
                return true;
            }
            order.pop();
            states.pop();
            done[at] = false;
            // A later snapshot that fits leads to the same states.
            break;
        }
    }
    false
}

fn written(operation: &Operation<'_>) -> Vec<String> {
    micros(operation).iter().filter(|micro| micro[0] != "r").map(|micro| micro[1].to_string()).collect()
}

/// Whether each write of what happened is in some read of its key.
pub fn all_read(history: &History) -> bool {
    let operations = history.operations().expect("the history pairs");
    let reads: Vec<String> = operations
        .iter()
        .filter(|op| op.outcome() == Outcome::Ok)
        .flat_map(|op| micros(op).iter().filter(|micro| micro[0] == "r").filter_map(|micro| micro[2].as_array()))
        .flatten()
        .map(Value::to_string)
        .collect();
    let happened = operations.iter().filter(|op| op.outcome() != Outcome::Fail);
    happened
        .flat_map(|op| micros(op).iter().filter(|micro| micro[0] != "r"))
        .all(|micro| reads.contains(&micro[2].to_string()))
}
