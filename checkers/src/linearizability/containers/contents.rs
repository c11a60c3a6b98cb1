//! What was put into a container and taken out of it, and when: the operations of a problem, value by value.
//!
//! Time is counted in *moments*: the events of the problem are numbered from 0, and moment m is the time between event m and
//! the next. An operation that was called at event s and returned at event e happened in one of the moments s to e - 1;
//! several operations may happen in one moment, one after another. After the last event comes moment `end`, for what
//! never happened: there, all that was left is taken out, whatever the order is that the container asks for.
//!
//! # Operations of unknown outcome
//!
//! All values of a legal order can be taken away from it, with all that was done with them, and it stays legal; so can
//! operations that found nothing. Therefore:
//!
//! - a value that may have been put in, and that is known to have been taken out, was put in, before it was taken;
//! - a value that may have been put in, and that nobody is known to have taken, can be left out: if it is in a legal order,
//!   then without it (and without the operation of unknown outcome that took it there, if one did) the order is legal;
//! - an operation that may have taken something matters only if something is left that it can have taken.

use std::ops::Range;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::super::budget::{Budget, Spent};
use super::super::problem::{NEVER, Problem};
use crate::model::{Access, Datum, Item, Model};

/// When an operation can have happened: from the first moment to the one before the last.
pub(super) type Span = Range<u32>;

/// A value that was put in once.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) item: Item,
    /// The call that put it in.
    pub(super) put_by: usize,
    /// When: before it was taken.
    pub(super) put: Span,
    /// The call that took it out, if one did.
    pub(super) taken_by: Option<usize>,
    /// When: after it was put in. If nobody took it, at the end of time.
    pub(super) taken: Span,
}

impl Content {
    /// The moments at which it was there for sure; empty if it can have been taken as soon as it was put in.
    pub(super) fn surely(&self) -> Span {
        self.put.end..self.taken.start.max(self.put.end)
    }

    /// The first moment at which it can be taken.
    pub(super) fn due(&self) -> u32 {
        self.taken.start
    }
}

/// An operation that found nothing.
#[derive(Clone, Debug)]
pub(super) struct Void {
    pub(super) call: usize,
    pub(super) span: Span,
}

/// An operation that may have taken something, at any time after its call; nobody knows what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) call: usize,
    /// The first moment at which it can have happened.
    pub(super) start: u32,
}

/// All that was in a container.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) values: Vec<Content>,
    pub(super) voids: Vec<Void>,
    /// None if nothing is left that they can have taken.
    pub(super) lost: Vec<Lost>,
    /// The last moment of all.
    pub(super) end: u32,
}

/// Why no contents can be told from the operations.
pub(super) enum Unclear {
    /// A value was put in twice, or the operations are not those of a container.
    NotUnique,
    /// These calls contradict each other: one took what was not there yet, or what another took.
    Refuted(Vec<usize>),
    Spent(Spent),
}

impl From<Spent> for Unclear {
    fn from(spent: Spent) -> Self {
        Unclear::Spent(spent)
    }
}

/// The operations on one value.
#[derive(Clone, Debug, Default)]
struct Calls {
    put: Option<usize>,
    /// One, unless something is wrong.
    takings: SmallVec<[usize; 2]>,
}

impl Contents {
    /// The contents of a problem in which each value was put in at most once.
    pub(super) fn new<M: Model>(model: &M, problem: &Problem<M>, budget: &mut Budget<'_>) -> Result<Contents, Unclear> {
        let mut places: FxHashMap<Datum, usize> = FxHashMap::default();
        let mut values: Vec<(Item, Calls)> = Vec::new();
        let (mut voids, mut lost): (Vec<usize>, Vec<usize>) = Default::default();
        for (at, call) in problem.calls.iter().enumerate() {
            budget.work(1)?;
            let mut calls = |item: Item| {
                let place = *places.entry(item.value).or_insert(values.len());
                if place == values.len() {
                    values.push((item, Calls::default()));
                }
                place
            };
            match model.container(&call.op) {
                Some(Access::Put(item)) => {
                    let place = calls(item);
                    if values[place].1.put.replace(at).is_some() {
                        return Err(Unclear::NotUnique);
                    }
                }
                Some(Access::Took(item)) if call.must => {
                    let place = calls(item);
                    values[place].1.takings.push(at);
                }
                Some(Access::Empty) if call.must => voids.push(at),
                Some(Access::TookSomething) if !call.must => lost.push(at),
                _ => return Err(Unclear::NotUnique),
            }
        }
        Moments::new(problem, budget)?.contents(&values, (&voids, &lost), budget)
    }

    /// Some of the values and of the operations that found nothing, by themselves.
    pub(super) fn part(&self, parts: &[Part]) -> Contents {
        let mut part = Contents { end: self.end, ..Contents::default() };
        for piece in parts {
            match *piece {
                Part::Value(value) => part.values.push(self.values[value].clone()),
                Part::Void(void) => part.voids.push(self.voids[void].clone()),
            }
        }
        part
    }
}

/// What can be left out of contents that have a legal order, so that they still have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// A value, with the call that put it in and that which took it.
    Value(usize),
    /// A call that found nothing.
    Void(usize),
}

impl Part {
    /// The value, if it is one.
    pub(super) fn value(&self) -> Option<usize> {
        match *self {
            Part::Value(value) => Some(value),
            Part::Void(_) => None,
        }
    }
}

/// The moments at which the calls of a problem begin and end.
struct Moments {
    spans: Vec<Span>,
    end: u32,
}

impl Moments {
    fn new<M: Model>(problem: &Problem<M>, budget: &mut Budget<'_>) -> Result<Moments, Spent> {
        let mut events: Vec<(u32, u32)> = Vec::with_capacity(2 * problem.calls.len());
        for (at, call) in (0u32..).zip(&problem.calls) {
            events.push((call.start, 2 * at));
            if call.must && call.end != NEVER {
                events.push((call.end, 2 * at + 1));
            }
        }
        budget.look()?;
        events.sort_unstable();
        budget.look()?;
        let end = events.len() as u32;
        let mut spans = vec![0..end; problem.calls.len()];
        for (moment, (_, event)) in (0u32..).zip(events) {
            let span = &mut spans[event as usize / 2];
            *(if event % 2 == 0 { &mut span.start } else { &mut span.end }) = moment;
            budget.work(1)?;
        }
        Ok(Moments { spans, end })
    }

    fn contents(
        self,
        values: &[(Item, Calls)],
        (voids, lost): (&[usize], &[usize]),
        budget: &mut Budget<'_>,
    ) -> Result<Contents, Unclear> {
        let Moments { spans, end } = self;
        let mut refuted: Option<(u32, Vec<usize>)> = None;
        for (_, calls) in values {
            budget.work(1)?;
            refuted = impossible(&spans, calls).into_iter().chain(refuted).min();
        }
        if let Some((_, refuted)) = refuted {
            return Err(Unclear::Refuted(refuted));
        }
        let content = |(item, calls): &(Item, Calls)| {
            let (item, taken_by) = (*item, calls.takings.first().copied());
            let put_by = calls.put?;
            let put = spans[put_by].clone();
            let Some(taken_by) = taken_by else {
                let left = Content { item, put_by, put, taken_by: None, taken: end..end + 1 };
                // Nobody knows whether it was ever there.
                return (left.put.end < end).then_some(left);
            };
            let taken = spans[taken_by].start.max(put.start)..spans[taken_by].end;
            let put = put.start..put.end.min(taken.end);
            Some(Content { item, put_by, put, taken_by: Some(taken_by), taken })
        };
        let mut contents: Vec<Content> = Vec::with_capacity(values.len());
        for calls in values {
            budget.work(1)?;
            contents.extend(content(calls));
        }
        let values = contents;
        let voids = voids.iter().map(|&call| Void { call, span: spans[call].clone() }).collect();
        let left = values.iter().any(|value| value.taken_by.is_none());
        let lost = lost.iter().filter(|_| left).map(|&call| Lost { call, start: spans[call].start }).collect();
        Ok(Contents { values, voids, lost, end })
    }
}

/// The calls on one value, if they contradict each other by themselves, and the moment by which they do.
fn impossible(spans: &[Span], calls: &Calls) -> Option<(u32, Vec<usize>)> {
    let was_there = |taking: usize| calls.put.is_some_and(|put| spans[put].start < spans[taking].end);
    if let Some(&early) = calls.takings.iter().find(|&&taking| !was_there(taking)) {
        return Some((spans[early].end, vec![early]));
    }
    let mut by_end = calls.takings.clone();
    by_end.sort_unstable_by_key(|&taking| spans[taking].end);
    let second = spans[*by_end.get(1)?].end;
    let begun = by_end.into_iter().filter(|&taking| spans[taking].start < second);
    Some((second, calls.put.into_iter().chain(begun).collect()))
}
