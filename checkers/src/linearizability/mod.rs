//! Linearizability: each operation seems to happen at one moment between its call and its return (Herlihy and Wing,
//! "Linearizability: a correctness condition for concurrent objects", 1990).
//!
//! The property is local: a history is linearizable if and only if the part of each key is. So the history is split
//! by key, and the keys are judged in parallel: without a search where every value was written once, and by the
//! search of Wing, Gong and Lowe otherwise. A part that has no legal order is shrunk to a few operations, and these
//! are explained.

mod explain;
mod problem;
mod search;
mod shrink;
mod sources;
mod unique;

use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::history::{History, Operation, by_key};
use crate::model::Model;
use crate::verdict::{Verdict, Witness};
use problem::{Call, Problem};
use search::{Budget, Found};
use unique::Judged;

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
    let many = operations.len() >= WORTH_THREADS;
    let keys = by_key(operations);
    let judge = |(key, operations)| one_key(key, operations, model, Budget::new(deadline, limits.configurations));
    let answers: Vec<Answer<'_, M>> = match many {
        true => keys.into_par_iter().map(judge).collect(),
        false => keys.into_iter().map(judge).collect(),
    };

    let mut orders = Vec::with_capacity(answers.len());
    let mut gave_up = None;
    let mut broken: Option<Box<Broken<'_, M>>> = None;
    for answer in answers {
        match answer {
            Answer::Order(order) => orders.push(order),
            Answer::GaveUp(reason) => gave_up = gave_up.or(Some(reason)),
            Answer::Broken(found) if broken.as_ref().is_none_or(|first| found.at < first.at) => broken = Some(found),
            Answer::Broken(_) => {}
        }
    }
    match (broken, gave_up) {
        (Some(broken), _) => Err(Verdict::Invalid { witness: broken.witness(history, model, deadline) }),
        (None, Some(reason)) => Err(unknown(reason)),
        (None, None) => Ok(orders),
    }
}

/// From so many operations on, the keys are judged by several threads. Fewer cost less than handing them over, and
/// whoever judges many short histories has put a thread to each already.
const WORTH_THREADS: usize = 20_000;

/// What was found out about one key.
enum Answer<'h, M: Model> {
    Order(Linearization),
    Broken(Box<Broken<'h, M>>),
    GaveUp(String),
}

/// A key whose operations have no legal order.
struct Broken<'h, M: Model> {
    key: Option<&'h str>,
    operations: Vec<Operation<'h>>,
    problem: Problem<M>,
    /// Some of its calls, that have none either.
    calls: Vec<Call<M::Op>>,
    /// The position in the history at which it shows.
    at: u32,
}

/// How long shrinking may go on after the deadline of the check, which has its answer already.
const GRACE: Duration = Duration::from_secs(2);

impl<M: Model> Broken<'_, M> {
    fn witness(self, history: &History, model: &M, deadline: Instant) -> Witness {
        let deadline = deadline.max(Instant::now() + GRACE);
        let processes: Vec<_> = self.operations.iter().map(Operation::process).collect();
        let calls = shrink::shrink(model, &self.problem, self.calls, &processes, deadline);
        let explanation = explain::explain(model, &self.problem, &calls, &self.operations);
        let mut positions: Vec<usize> = calls
            .iter()
            .map(|call| self.operations[call.operation])
            .chain(explanation.mentioned)
            .flat_map(|operation| std::iter::once(operation.call).chain(operation.ret))
            .collect();
        positions.sort_unstable();
        let events = positions.into_iter().map(|position| history.events[position].clone()).collect();
        Witness { key: self.key.map(str::to_owned), reason: explanation.reason, events }
    }
}

fn one_key<'h, M: Model>(
    key: Option<&'h str>,
    operations: Vec<Operation<'h>>,
    model: &M,
    mut budget: Budget,
) -> Answer<'h, M> {
    let problem = match Problem::new(model, &operations) {
        Ok(problem) => problem,
        Err(reason) => return Answer::GaveUp(reason),
    };
    let order = match unique::judge(model, &problem) {
        Judged::Order(order) => order,
        Judged::Refuted(refuted) => {
            let calls = problem.part(model, &refuted);
            let at = calls.iter().filter(|call| call.must).map(|call| call.end).max().unwrap_or(0);
            return Answer::Broken(Box::new(Broken { key, operations, problem, calls, at }));
        }
        Judged::NotUnique => match search::search(model, &problem.init, &problem.calls, &mut budget) {
            Found::Order(order) => order,
            Found::Stuck { blocker } => {
                let at = problem.calls[blocker].end;
                let calls = shrink::until(model, &problem.calls, at);
                return Answer::Broken(Box::new(Broken { key, operations, problem, calls, at }));
            }
            Found::GaveUp { reason } => {
                let key = key.map_or_else(String::new, |key| format!("key `{key}`: "));
                return Answer::GaveUp(format!("{key}{reason}"));
            }
        },
    };
    let order = order.into_iter().map(|call| operations[problem.calls[call].operation].call).collect();
    Answer::Order(Linearization { key: key.map(str::to_owned), order })
}

fn unknown(reason: String) -> Verdict {
    Verdict::Unknown { reason }
}
