//! Tries whether a witness proves that its history has no legal order.
//!
//! A history that has a legal order has one at every moment: what had not returned by then may have happened or not. A
//! legal order stays one if operations are taken out of it, unless one of those that stay [depends](Replay::depends) on one
//! that went. So the operations of a witness prove something if there is a moment, one of the returns that it shows, at
//! which they have no legal order even after every one of them that depends on an operation outside was made to
//! [forget](Replay::forget) why, or was taken out as well. What began later is only mentioned.

use std::collections::{BTreeMap, BTreeSet};

use super::trial::has_legal_order;
use super::{Part, Replay};
use crate::history::{Event, History, Operation, Process};
use crate::verdict::Witness;

/// Tries whether these operations, part of those of the witness's key, have no legal order and the whole therefore has none.
///
/// # Errors
/// Why it is not proven, in words.
pub fn verify_witness<R: Replay>(object: &R, history: &History, witness: &Witness, steps: u64) -> Result<(), String> {
    Trial::new(object, history, witness, steps).map(drop)
}

/// The operation of a witness without which the others prove as much; nothing if the witness is as small as it gets, which
/// is what it is if taking out any operation, with what has to go with it, leaves a legal order. What the
/// reason only mentions does not count.
///
/// # Errors
/// The witness proves nothing even as a whole.
pub fn spare_operation<R: Replay>(
    object: &R,
    history: &History,
    witness: &Witness,
    steps: u64,
) -> Result<Option<Event>, String> {
    let trial = Trial::new(object, history, witness, steps)?;
    let mut shown = trial.inside.iter().copied().filter(|&number| !trial.is_only_mentioned(number));
    let spare = shown.find(|number| trial.has_legal_order(Some(*number), steps) == Some(false));
    Ok(spare.map(|number| trial.operations[number].0.invoke.clone()))
}

struct Trial<'a, R> {
    object: &'a R,
    /// All operations of the witness's key, with the part that each has.
    operations: Vec<(Operation<'a>, Part)>,
    /// Those that are taken out together, by their numbers.
    pairs: BTreeMap<usize, usize>,
    /// Those of the witness among them.
    inside: BTreeSet<usize>,
    /// Those of them that go with no operation of unknown outcome.
    settled: BTreeSet<usize>,
    /// The moment at which they have no legal order.
    now: usize,
}

impl<'a, R: Replay> Trial<'a, R> {
    fn new(object: &'a R, history: &'a History, witness: &Witness, steps: u64) -> Result<Self, String> {
        let operations = history.operations().map_err(|error| error.to_string())?;
        let of_key = operations.into_iter().filter(|operation| operation.key() == witness.key.as_deref());
        let operations: Vec<_> = of_key.map(|operation| (operation, object.part(&operation))).collect();
        let shown: BTreeSet<u64> = witness.events.iter().map(|event| event.index).collect();
        let is_shown = |number: &usize| shown.contains(&operations[*number].0.invoke.index);
        let inside: BTreeSet<usize> = (0..operations.len()).filter(is_shown).collect();
        let returned = inside
            .iter()
            .map(|&number| &operations[number])
            .filter(|(operation, _)| operation.completion.is_some_and(|completion| shown.contains(&completion.index)));
        let returns: BTreeSet<usize> = returned.filter_map(|(operation, part)| part.returned(operation)).collect();
        let pairs = pairs(object, &operations);
        let all = || operations.iter().filter(|(_, part)| *part != Part::Never).map(|(operation, _)| operation);
        let is_settled = |number: &usize| object.is_settled(&operations[*number].0, &mut all());
        let settled = inside.iter().copied().filter(is_settled).collect();
        let mut trial = Trial { object, operations, pairs, inside, settled, now: 0 };
        let mut tried_all = true;
        for now in returns {
            trial.now = now;
            match trial.has_legal_order(None, steps) {
                Some(false) => return Ok(trial),
                Some(true) => {}
                None => tried_all = false,
            }
        }
        let count = trial.inside.len();
        Err(match tried_all {
            true => format!("its {count} operations have a legal order by themselves"),
            false => format!("its {count} operations have too many orders to be tried"),
        })
    }

    /// It has no part in an order, or began after that moment.
    fn is_only_mentioned(&self, number: usize) -> bool {
        let (operation, part) = &self.operations[number];
        *part == Part::Never || operation.call > self.now
    }

    /// Whether the operations, without the one that is gone, have a legal order.
    fn has_legal_order(&self, gone: Option<usize>, steps: u64) -> Option<bool> {
        let began = |number: &usize| self.operations[*number].0.call < self.now;
        let stays = |number: &usize| began(number) && Some(*number) != gone;
        let mut kept: BTreeSet<usize> = self.inside.iter().copied().filter(stays).collect();
        let mut outside: Vec<usize> =
            (0..self.operations.len()).filter(began).filter(|number| !kept.contains(number)).collect();
        let mut forgot: BTreeMap<usize, Event> = BTreeMap::new();
        let halved = |number: &usize, kept: &BTreeSet<usize>| {
            let other = self.pairs.get(number);
            other.is_some_and(|other| Some(*other) == gone || (began(other) && !kept.contains(other)))
        };
        loop {
            let loose = |number: &usize| {
                let depends = || outside.iter().any(|&other| self.depends(*number, other, &kept));
                halved(number, &kept) || (!forgot.contains_key(number) && depends())
            };
            let Some(number) = kept.iter().copied().find(loose) else { break };
            match self.object.forget(&self.operations[number].0) {
                Some(event) => drop(forgot.insert(number, event)),
                None => {
                    kept.remove(&number);
                    outside.push(number);
                }
            }
        }
        let operations = kept.iter().map(|&number| {
            let (operation, part) = self.operations[number];
            let invoke = forgot.get(&number).unwrap_or(operation.invoke);
            // What came of it later is known, and whether it had happened by now is not.
            let open = part.returned(&operation).is_some_and(|ret| ret > self.now);
            (Operation { invoke, ..operation }, if open { Part::May } else { part })
        });
        has_legal_order(self.object, &operations.collect::<Vec<_>>(), steps)
    }

    fn depends(&self, number: usize, other: usize, kept: &BTreeSet<usize>) -> bool {
        let ((operation, own), (on, part)) = (&self.operations[number], &self.operations[other]);
        if *part == Part::Never {
            return false;
        }
        let settled = || *part == Part::May && self.settled.contains(&number);
        if self.object.goes_with(operation, on) && !settled() {
            return true;
        }
        let end = own.returned(operation).map_or(self.now, |ret| ret.min(self.now));
        // Of what is shown it is of consequence that it was overwritten.
        let overwritten = || !self.inside.contains(&other) && self.is_overwritten(number, other, kept);
        on.call < end && self.object.depends(operation, on) && !overwritten()
    }

    /// Whether one of those that are kept overwrote what the other had left, before this one was called.
    fn is_overwritten(&self, number: usize, other: usize, kept: &BTreeSet<usize>) -> bool {
        let ((operation, _), (on, part)) = (&self.operations[number], &self.operations[other]);
        let Some(left) = part.returned(on) else { return false };
        kept.iter().map(|&number| &self.operations[number]).any(|(between, part)| {
            let ret = part.returned(between).filter(|ret| *ret < operation.call);
            ret.is_some() && left < between.call && self.object.overwrites(between)
        })
    }
}

/// Operations of one process, paired from the first on, one pair inside another.
fn pairs<R: Replay>(object: &R, operations: &[(Operation<'_>, Part)]) -> BTreeMap<usize, usize> {
    let mut pairs = BTreeMap::new();
    let mut alone: BTreeMap<Process, Vec<usize>> = BTreeMap::new();
    for (number, (operation, _)) in operations.iter().enumerate().filter(|(_, (_, part))| *part != Part::Never) {
        let alone = alone.entry(operation.process()).or_default();
        match alone.pop_if(|before| object.are_a_pair(&operations[*before].0, operation)) {
            Some(before) => pairs.extend([(before, number), (number, before)]),
            None => alone.push(number),
        }
    }
    pairs
}
