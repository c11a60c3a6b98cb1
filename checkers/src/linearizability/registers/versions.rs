//! Registers of which the system told the versions: its own order is tried before any other.
//!
//! A system that numbers its writes (zxid, mod revision) and says with each answer which number it wrote or saw has an
//! order to offer: by version, the write before those who saw it. That it is legal and respects real time is checked
//! step by step; then it proves that the operations are linearizable, however the numbers came about. If it is not, that
//! proves nothing about the values, since another order may be legal: then nothing is said, and others decide.
//!
//! What may have happened has no version. It is put where an observer needs it, and as little of it as will do. Of equal
//! calls the one that was called first is taken, which can stand in for the others; compare-and-sets that fit are taken
//! before writes, which fit everywhere.
//!
//! Precondition: whatever happened has a version, save what found the beginning. Cost: n log n.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::linearizability::budget::{Budget, Spent};
use crate::linearizability::problem::{Call, NEVER, Problem};
use crate::model::{Datum, Family, Model};

/// The order of the versions, if they give a legal one.
pub(super) fn order<M: Model>(
    model: &M,
    problem: &Problem<M>,
    budget: &mut Budget<'_>,
) -> Result<Option<Vec<usize>>, Spent> {
    if model.family() != Family::Register || problem.versions.is_empty() {
        return Ok(None);
    }
    let spare = spare(model, problem, budget)?;
    let Some(by_version) = by_version(model, problem, budget)? else { return Ok(None) };
    let mut trial = Trial { model, calls: &problem.calls, spare, order: Vec::new(), latest: 0 };
    let mut state = problem.init.clone();
    for call in by_version {
        budget.work(1)?;
        state = match trial.go_on(&state, call) {
            Some(next) => next,
            None => return Ok(None),
        };
    }
    Ok(Some(trial.order))
}

/// The calls that happened by their versions. None if one has no version and did not find what was there in the beginning.
fn by_version<M: Model>(model: &M, problem: &Problem<M>, budget: &mut Budget<'_>) -> Result<Option<Vec<usize>>, Spent> {
    let initially = model.initially(&problem.init);
    let mut versions = problem.versions.iter().copied().peekable();
    let mut sorted: Vec<(i64, bool, u32)> = Vec::with_capacity(problem.calls.len());
    for (number, call) in (0..).zip(&problem.calls).filter(|(_, call)| call.must) {
        budget.work(1)?;
        while versions.next_if(|(start, _)| *start < call.start).is_some() {}
        let version = versions.next_if(|(start, _)| *start == call.start).map(|(_, version)| version);
        let found_the_beginning = model.is_pure(&call.op) && model.observes(&call.op) == initially;
        let Some(version) = version.or(found_the_beginning.then_some(i64::MIN)) else { return Ok(None) };
        sorted.push((version, model.is_pure(&call.op), number));
    }
    budget.look()?;
    sorted.sort_unstable();
    Ok(Some(sorted.into_iter().map(|(_, _, number)| number as usize).collect()))
}

/// Equal calls that may have happened, in the order in which they were called.
struct Spare {
    observed: Option<Datum>,
    calls: VecDeque<usize>,
}

/// What may have happened, by its product; of one product what observes before what does not.
fn spare<M: Model>(
    model: &M,
    problem: &Problem<M>,
    budget: &mut Budget<'_>,
) -> Result<FxHashMap<Datum, Vec<Spare>>, Spent> {
    let mut spare: FxHashMap<Datum, Vec<Spare>> = FxHashMap::default();
    for (number, call) in problem.calls.iter().enumerate().filter(|(_, call)| !call.must) {
        budget.work(1)?;
        let Some(produced) = model.produces(&call.op) else { continue };
        let observed = model.observes(&call.op);
        let kinds = spare.entry(produced).or_default();
        match kinds.iter_mut().find(|kind| kind.observed == observed) {
            Some(kind) => kind.calls.push_back(number),
            None => kinds.push(Spare { observed, calls: [number].into() }),
        }
    }
    spare.values_mut().for_each(|kinds| kinds.sort_by_key(|kind| kind.observed.is_none()));
    Ok(spare)
}

struct Trial<'p, M: Model> {
    model: &'p M,
    calls: &'p [Call<M::Op>],
    spare: FxHashMap<Datum, Vec<Spare>>,
    order: Vec<usize>,
    /// The latest call in the order.
    latest: u32,
}

/// On the way back from what an observer found: a product, and the kind of call that takes it on to the next.
struct Step {
    product: Datum,
    /// Place of the step after it, and which kind of call leads there.
    next: Option<(usize, usize)>,
}

impl<M: Model> Trial<'_, M> {
    /// Puts a call next, if need be after others that lead to what it found. The answer is the state after it.
    fn go_on(&mut self, state: &M::State, number: usize) -> Option<M::State> {
        let op = &self.calls[number].op;
        let next = match self.model.step(state, op) {
            Some(next) => next,
            None => self.model.step(&self.bring_about(state, number)?, op)?,
        };
        self.put(number)?;
        Some(next)
    }

    /// Puts a call next, if it did not return before one that is in the order was called.
    fn put(&mut self, number: usize) -> Option<()> {
        let Call { start, end, must, .. } = self.calls[number];
        let end = if must { end } else { NEVER };
        self.latest = self.latest.max(start);
        self.order.push(number);
        (end >= self.latest).then_some(())
    }

    /// The state after the fewest calls that may have happened and lead to what this call found.
    fn bring_about(&mut self, state: &M::State, call: usize) -> Option<M::State> {
        let found = self.model.observes(&self.calls[call].op)?;
        let mut steps = vec![Step { product: found, next: None }];
        let mut at = 0;
        loop {
            let product = steps.get(at)?.product;
            for (kind, Spare { observed, calls }) in self.spare.get(&product).into_iter().flatten().enumerate() {
                let Some(&first) = calls.front().filter(|&&first| self.calls[first].start < self.calls[call].end)
                else {
                    continue;
                };
                if self.model.step(state, &self.calls[first].op).is_some() {
                    return self.follow(state.clone(), &steps, (at, kind));
                }
                let product = observed.filter(|observed| steps.iter().all(|step| step.product != *observed));
                steps.extend(product.map(|product| Step { product, next: Some((at, kind)) }));
            }
            at += 1;
        }
    }

    fn follow(&mut self, mut state: M::State, steps: &[Step], from: (usize, usize)) -> Option<M::State> {
        let mut next = Some(from);
        while let Some((at, kind)) = next {
            let source = self.spare.get_mut(&steps[at].product)?[kind].calls.pop_front()?;
            state = self.model.step(&state, &self.calls[source].op)?;
            self.put(source)?;
            next = steps[at].next;
        }
        Some(state)
    }
}
