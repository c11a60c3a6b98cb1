//! Linearizability: each operation seems to happen at one moment between its call and its return (Herlihy and Wing,
//! "Linearizability: a correctness condition for concurrent objects", 1990).
//!
//! The property is local: a history is linearizable if and only if the part of each key is. So the history is split
//! by key, and the keys are [searched](search) in parallel. A part that has no legal order is [shrunk](shrink) to a
//! few operations, and these are [explained](explain).

mod explain;
mod problem;
mod search;
mod shrink;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::history::{History, Operation};
use crate::model::Model;
use crate::verdict::{Verdict, Witness};
use problem::Problem;
use search::{Budget, Found};

/// When a search is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the whole check may take.
    pub time: Duration,
    /// How many configurations may be remembered for one key; one takes roughly a hundred bytes.
    pub configurations: usize,
}

impl Default for Limits {
    /// One minute, ten million configurations.
    fn default() -> Self {
        Limits { time: Duration::from_secs(60), configurations: 10_000_000 }
    }
}

/// A legal order of one key's operations: the proof that they are linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linearization {
    /// The key, if the operations have one.
    pub key: Option<String>,
    /// The positions of the operations' calls among the history's events. Operations that did not happen, or of which it
    /// makes no difference, are left out.
    pub order: Vec<usize>,
}

/// Whether the history is linearizable by the model.
///
/// A history that cannot be read by the model is `unknown`, and the reason names the event.
pub fn check<M: Model>(history: &History, model: &M, limits: &Limits) -> Verdict {
    match linearize(history, model, limits) {
        Ok(_) => Verdict::Valid,
        Err(verdict) => verdict,
    }
}

/// As [`check`], and hands out the legal orders, one for each key.
///
/// # Errors
/// The verdict, if it is not `valid`.
pub fn linearize<M: Model>(history: &History, model: &M, limits: &Limits) -> Result<Vec<Linearization>, Verdict> {
    let deadline = Instant::now() + limits.time;
    let operations = history.operations().map_err(|error| unknown(error.to_string()))?;
    let keys: Vec<_> = split(operations).into_iter().collect();
    let searched: Vec<Result<Linearization, Failure<M>>> = keys
        .into_par_iter()
        .map(|(key, operations)| one_key(key, operations, model, Budget::new(deadline, limits.configurations)))
        .collect();

    let mut orders = Vec::with_capacity(searched.len());
    let mut gave_up = None;
    let mut broken: Option<Broken<'_, M>> = None;
    for result in searched {
        match result {
            Ok(order) => orders.push(order),
            Err(Failure::GaveUp(reason)) => gave_up = gave_up.or(Some(reason)),
            Err(Failure::Broken(found)) if broken.as_ref().is_none_or(|first| found.at < first.at) => {
                broken = Some(found);
            }
            Err(Failure::Broken(_)) => {}
        }
    }
    match (broken, gave_up) {
        (Some(broken), _) => Err(Verdict::Invalid { witness: broken.witness(history, model, deadline) }),
        (None, Some(reason)) => Err(unknown(reason)),
        (None, None) => Ok(orders),
    }
}

enum Failure<'h, M: Model> {
    GaveUp(String),
    Broken(Broken<'h, M>),
}

/// A key whose operations have no legal order.
struct Broken<'h, M: Model> {
    key: Option<&'h str>,
    operations: Vec<Operation<'h>>,
    problem: Problem<M>,
    /// The position of the first return that no order reaches.
    at: u32,
}

impl<M: Model> Broken<'_, M> {
    fn witness(self, history: &History, model: &M, deadline: Instant) -> Witness {
        let calls = shrink::shrink(model, &self.problem, self.at, deadline);
        let reason = explain::explain(model, &self.problem, &calls, &self.operations);
        let mut positions: Vec<usize> = calls
            .iter()
            .map(|call| &self.operations[call.operation])
            .flat_map(|operation| std::iter::once(operation.call).chain(operation.ret))
            .collect();
        positions.sort_unstable();
        let events = positions.into_iter().map(|position| history.events[position].clone()).collect();
        Witness { key: self.key.map(str::to_owned), reason, events }
    }
}

fn split(operations: Vec<Operation<'_>>) -> BTreeMap<Option<&str>, Vec<Operation<'_>>> {
    let mut keys: BTreeMap<Option<&str>, Vec<Operation<'_>>> = BTreeMap::new();
    for operation in operations {
        keys.entry(operation.key()).or_default().push(operation);
    }
    keys
}

fn one_key<'h, M: Model>(
    key: Option<&'h str>,
    operations: Vec<Operation<'h>>,
    model: &M,
    mut budget: Budget,
) -> Result<Linearization, Failure<'h, M>> {
    let problem = Problem::new(model, &operations).map_err(Failure::GaveUp)?;
    match search::search(model, &problem.init, &problem.calls, &mut budget) {
        Found::Order(order) => {
            let calls = order.into_iter().map(|call| operations[problem.calls[call].operation].call);
            Ok(Linearization { key: key.map(str::to_owned), order: calls.collect() })
        }
        Found::Stuck { blocker } => {
            let at = problem.calls[blocker].end;
            Err(Failure::Broken(Broken { key, operations, problem, at }))
        }
        Found::GaveUp { reason } => {
            let key = key.map_or_else(String::new, |key| format!("key `{key}`: "));
            Err(Failure::GaveUp(format!("{key}{reason}")))
        }
    }
}

fn unknown(reason: String) -> Verdict {
    Verdict::Unknown { reason }
}
