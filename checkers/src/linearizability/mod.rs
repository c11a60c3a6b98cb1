//! Linearizability: each operation seems to happen at one moment between its call and its return (Herlihy and Wing,
//! "Linearizability: a correctness condition for concurrent objects", 1990).
//!
//! The property is local: a history is linearizable if and only if the part of each key is. So the history is split
//! by key, and the keys are judged in parallel: without a search where every value was written once, and by a search
//! otherwise. A part that has no legal order is shrunk to a few operations, and these are explained.

mod budget;
mod containers;
#[cfg(test)]
mod deadline;
mod explain;
mod minimal;
mod nearby;
mod problem;
mod registers;
mod search;
mod shrink;
mod sources;
mod told;

use std::time::{Duration, Instant};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::history::{Event, History, HistoryError, Operation, Pairing, Tape};
use crate::judgement::{Checking, Decider, Judgement, Linearization};
use crate::model::Model;
use crate::verdict::{Verdict, Witness};
use budget::{Allowance, Spent};
use containers::Contradiction;
use problem::{Call, Problem, Unjudged};
use registers::Judged;
use search::Found;
use told::Told;

/// When a check is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the judging may take. It begins when the last event was taken: how fast those come is up to who brings
    /// them. What was found by then is told within a tenth of a second: how far an order goes, or of what is invalid a
    /// contradiction that is perhaps not as small as it gets.
    pub time: Duration,
    /// How many bytes the configurations may take that a search remembers, of all keys together. What the allocator
    /// keeps of what was freed comes on top: some 15 MB were measured, whatever the limit.
    pub memory: usize,
}

impl Default for Limits {
    /// One minute, two gibibytes.
    fn default() -> Self {
        Limits { time: Duration::from_secs(60), memory: 2 << 30 }
    }
}

/// Whether the history is linearizable by the model.
///
/// A history that cannot be read by the model is `unknown`, and the reason names the event.
pub fn check<M: Model>(history: &History, model: &M, limits: &Limits) -> Verdict {
    judge(history, model, limits).verdict
}

/// As [`check`], with the legal orders of the keys that have one, and what decided.
pub fn judge<M: Model>(history: &History, model: &M, limits: &Limits) -> Judgement {
    let mut keys = Keys::default();
    match history.operations() {
        Ok(operations) => operations.iter().for_each(|operation| keys.push(model, operation)),
        Err(error) => return Judgement::bare(unknown(error.to_string()), 0),
    }
    keys.judge(model, history, limits)
}

/// A check that is fed event by event: it remembers each operation in a few bytes, and no event.
#[must_use]
pub fn begin<M: Model + Send + 'static>(model: M, limits: &Limits) -> Box<dyn Checking> {
    let (keys, pairing) = (Keys::default(), Pairing::default());
    Box::new(Linearizing { model, keys, pairing, error: None, limits: *limits })
}

struct Linearizing<M: Model> {
    model: M,
    keys: Keys<M>,
    pairing: Pairing,
    /// The first event that did not pair; nothing is taken after it.
    error: Option<HistoryError>,
    limits: Limits,
}

impl<M: Model + Send> Checking for Linearizing<M> {
    fn push(&mut self, event: &Event) -> Option<Witness> {
        if self.error.is_none() {
            let Linearizing { model, keys, .. } = self;
            self.error = self.pairing.push(event, |operation| keys.push(model, operation)).err();
        }
        None
    }

    fn finish(self: Box<Self>, tape: &dyn Tape) -> Judgement {
        let Linearizing { model, mut keys, pairing, error, limits } = *self;
        if let Some(error) = error {
            return Judgement::bare(unknown(error.to_string()), keys.operations);
        }
        pairing.finish(|operation| keys.push(&model, operation));
        keys.judge(&model, tape, &limits)
    }
}

/// The operations, split by key.
struct Keys<M: Model> {
    /// Where the problem of each key is; of the operations without a key, apart.
    places: FxHashMap<Box<str>, usize>,
    keyless: Option<usize>,
    problems: Vec<(Option<String>, Problem<M>)>,
    operations: usize,
}

impl<M: Model> Default for Keys<M> {
    fn default() -> Self {
        Keys { places: FxHashMap::default(), keyless: None, problems: Vec::new(), operations: 0 }
    }
}

impl<M: Model> Keys<M> {
    fn push(&mut self, model: &M, operation: &Operation<'_>) {
        let key = operation.key();
        self.operations += 1;
        let known = key.map_or(self.keyless, |key| self.places.get(key).copied());
        let place = known.unwrap_or_else(|| {
            let place = self.problems.len();
            match key {
                Some(key) => drop(self.places.insert(key.into(), place)),
                None => self.keyless = Some(place),
            }
            self.problems.push((key.map(str::to_owned), Problem::new(model)));
            place
        });
        self.problems[place].1.push(model, operation);
    }

    fn judge(mut self, model: &M, tape: &dyn Tape, limits: &Limits) -> Judgement {
        let deadline = Instant::now() + limits.time;
        self.problems.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let allowance = Allowance::new(deadline, limits.memory);
        let judge = |(key, problem)| one_key(key, problem, model, &allowance, limits);
        let answers: Vec<Answer<M>> = match self.operations >= WORTH_THREADS {
            true => self.problems.into_par_iter().map(judge).collect(),
            false => self.problems.into_iter().map(judge).collect(),
        };
        let mut judgement = Judgement::bare(Verdict::Valid, self.operations);
        let mut gave_up = None;
        let mut broken: Option<Box<Broken<M>>> = None;
        for Answer { decider, found } in answers {
            *judgement.deciders.entry(decider).or_default() += 1;
            match found {
                Finding::Order(order) => judgement.orders.push(order),
                Finding::GaveUp { reason, prefix } => gave_up = gave_up.or(Some((reason, prefix))),
                Finding::Broken(found) if broken.as_ref().is_none_or(|first| found.at < first.at) => {
                    broken = Some(found);
                }
                Finding::Broken(_) => {}
            }
        }
        judgement.verdict = match (broken, gave_up) {
            (Some(broken), _) => Verdict::Invalid { witness: broken.witness(tape, model, &allowance.with_grace()) },
            (None, Some((reason, prefix))) => {
                judgement.prefix = prefix;
                unknown(reason)
            }
            (None, None) => Verdict::Valid,
        };
        judgement
    }
}

/// From so many operations on, the keys are judged by several threads. Fewer cost less than handing them over, and
/// whoever judges many short histories has put a thread to each already.
const WORTH_THREADS: usize = 20_000;

/// What was found out about one key, and by what.
struct Answer<M: Model> {
    decider: Decider,
    found: Finding<M>,
}

enum Finding<M: Model> {
    Order(Linearization),
    Broken(Box<Broken<M>>),
    GaveUp { reason: String, prefix: Option<Linearization> },
}

/// A key whose operations have no legal order.
struct Broken<M: Model> {
    key: Option<String>,
    problem: Problem<M>,
    /// Some of its calls, that have none either.
    calls: Vec<Call<M::Op>>,
    /// Why, if that is known already; the calls are then few enough.
    contradiction: Option<Contradiction>,
    /// The position in the history at which it shows.
    at: u32,
}

impl<M: Model> Broken<M> {
    fn by_contradiction(key: Option<String>, problem: Problem<M>, contradiction: Contradiction) -> Self {
        let calls: Vec<Call<M::Op>> =
            contradiction.calls().into_iter().map(|call| problem.calls[call].clone()).collect();
        let at = problem::last_return(&calls).unwrap_or(0);
        Broken { key, problem, calls, contradiction: Some(contradiction), at }
    }

    fn witness(self, tape: &dyn Tape, model: &M, allowance: &Allowance) -> Witness {
        let deadline = allowance.deadline();
        let calls = match self.contradiction {
            Some(_) => self.calls,
            None if model.family().is_container() => containers::shrink(model, &self.problem, self.calls, deadline),
            None => {
                let calls = nearby::nearby(model, &self.problem, self.calls, allowance);
                let calls = shrink::shrink(model, &self.problem, calls, deadline);
                minimal::minimal(model, &self.problem, calls, deadline)
            }
        };
        let positions = explain::positions(model, &self.problem, &calls);
        let told = match Told::pick(tape, positions.into_iter()) {
            Ok(told) => told,
            Err(error) => {
                let reason = format!("its operations have no legal order, but cannot be shown: {error}");
                return Witness { key: self.key, reason, events: Vec::new() };
            }
        };
        let explanation = match &self.contradiction {
            Some(contradiction) => containers::explain(model, &self.problem, contradiction, &told),
            None => explain::explain(model, &self.problem, &calls, &told),
        };
        // What returned after all that matters had, returned too late to prove anything.
        let last = problem::last_return(&calls).map_or(usize::MAX, |last| last as usize);
        let proof = calls.iter().filter_map(|call| told.operation(call)).flat_map(|operation| {
            let in_time = operation.ret.is_some_and(|ret| ret <= last);
            [Some(operation.invoke), operation.completion.filter(|_| in_time)]
        });
        let mentioned = explanation.mentioned.iter().flat_map(|beside| [Some(beside.invoke), beside.completion]);
        let mut events: Vec<Event> = proof.chain(mentioned).flatten().cloned().collect();
        events.sort_by_key(|event| event.index);
        events.dedup_by_key(|event| event.index);
        Witness { key: self.key, reason: explanation.reason, events }
    }
}

fn one_key<M: Model>(
    key: Option<String>,
    mut problem: Problem<M>,
    model: &M,
    allowance: &Allowance,
    limits: &Limits,
) -> Answer<M> {
    let answer = |decider, found| Answer { decider, found };
    match problem.close(model, &mut allowance.share()) {
        Ok(()) => {}
        Err(Unjudged::Unreadable(reason)) => {
            return answer(Decider::Search, Finding::GaveUp { reason, prefix: None });
        }
        Err(Unjudged::Spent(spent)) => {
            return answer(Decider::Search, gave_up(key, &problem, (spent, Vec::new()), limits));
        }
    }
    let (decider, judged) = containers::judge(model, &problem, allowance);
    match judged {
        containers::Judged::Order(order) => {
            return answer(decider, Finding::Order(linearization(&problem, key, order)));
        }
        containers::Judged::Refuted(contradiction) => {
            return answer(decider, Finding::Broken(Box::new(Broken::by_contradiction(key, problem, contradiction))));
        }
        containers::Judged::GaveUp(spent) => {
            return answer(decider, gave_up(key, &problem, (spent, Vec::new()), limits));
        }
        containers::Judged::NotOfThisKind => {}
    }
    let judged = match registers::judge(model, &problem, &mut allowance.share()) {
        Ok(judged) => judged,
        Err(spent) => return answer(Decider::UniqueValues, gave_up(key, &problem, (spent, Vec::new()), limits)),
    };
    match judged {
        Judged::Order(order, decider) => answer(decider, Finding::Order(linearization(&problem, key, order))),
        Judged::Refuted(refuted, decider) => {
            let calls = problem.part(model, &refuted);
            problem.restore_expired();
            let at = problem::last_return(&calls).unwrap_or(0);
            answer(decider, Finding::Broken(Box::new(Broken { key, problem, calls, contradiction: None, at })))
        }
        Judged::Undecided => answer(Decider::Search, by_search(key, problem, model, allowance, limits)),
    }
}

fn by_search<M: Model>(
    key: Option<String>,
    mut problem: Problem<M>,
    model: &M,
    allowance: &Allowance,
    limits: &Limits,
) -> Finding<M> {
    match search::search(model, &problem.init, &problem.calls, allowance) {
        Found::Order(order) => Finding::Order(linearization(&problem, key, order)),
        Found::Stuck { blocker } => {
            let at = problem.calls[blocker].end;
            problem.restore_expired();
            let calls = shrink::until(model, &problem.calls, at);
            Finding::Broken(Box::new(Broken { key, problem, calls, contradiction: None, at }))
        }
        Found::GaveUp { spent, prefix } => gave_up(key, &problem, (spent, prefix), limits),
    }
}

/// That this ran out when these calls were in order.
fn gave_up<M: Model>(
    key: Option<String>,
    problem: &Problem<M>,
    (spent, prefix): (Spent, Vec<usize>),
    limits: &Limits,
) -> Finding<M> {
    let ran_out = match spent {
        Spent::Time => format!("out of time ({:?})", limits.time),
        Spent::Memory => format!("out of memory ({} bytes)", limits.memory),
    };
    let named = key.as_ref().map_or_else(String::new, |key| format!("key `{key}`: "));
    let (ordered, all) = (prefix.len(), problem.calls.len());
    let reason = format!("{named}{ran_out} after {ordered} of {all} operations were put in order");
    Finding::GaveUp { reason, prefix: Some(linearization(problem, key, prefix)) }
}

/// An order of calls as positions in the history.
fn linearization<M: Model>(problem: &Problem<M>, key: Option<String>, order: Vec<usize>) -> Linearization {
    Linearization { key, order: order.into_iter().map(|call| problem.calls[call].start as usize).collect() }
}

fn unknown(reason: String) -> Verdict {
    Verdict::Unknown { reason }
}
