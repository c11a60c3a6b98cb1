//! Stacks: last in, first out.
//!
//! The problem is made smaller step by step, as in Lee and Mathur ("Efficient decrease-and-conquer linearizability
//! monitoring", 2024, arXiv 2410.04581) and in Abdulla et al. ("Efficient linearizability monitoring", 2025, arXiv 2509.17795). Given that
//! nothing was taken that was not there or had been taken ([`Contents::new`] sees to that), the steps and their
//! proofs are these.
//!
//! **A value that was never there for sure** is put in and taken at once, at the first moment at which it can be: wherever that
//! is, the stack is the same before and after. So only the others matter.
//!
//! **Where the stack can have been empty.** Let t be a moment at which no value was there for sure. Then there is a legal order,
//! if there is any, in which the stack is empty at t. Of those that lay there at t, each can have been taken by t or
//! can be put in at t or later. Take the former away just before t, from the top down, and put the others there again
//! just after t, in the order in which they lay; what lies above or below is not touched by that, and is legal still. As values are there for a
//! shorter time than before, this can be done for all such moments. So operations that found nothing are placed there
//! ([`place_voids`]), and the stretches between can be judged one by one.
//!
//! **A stretch**, moments l to r - 1 at each of which some value was there for sure, and none in the moments around it. The
//! stack is never empty within it, so one value lies at the bottom from its begin to its end: it was put in by
//! moment l - 1, and taken at moment r or later. If no value can have been, there is no legal order. Otherwise take any that can
//! have been: if the stretch has a legal order, then it has one without this value, and since that one can be had
//! within the stretch, the value can be put beneath it. So the value is put at the bottom and the others are
//! judged without it, in stretches again.
//!
//! Each value is taken away once and each moment becomes free once. What can lie at the bottom of a stretch can
//! lie at the bottom of the smaller ones that it falls into, as they begin no earlier and end no later; so each value is
//! found to be so once. With trees over time all of it costs n log n.

use std::collections::BTreeSet;
use std::ops::Range;

use super::super::budget::Budget;
use super::Refused;
use super::contents::{Contents, Part, Span};
use super::cover::{chain, place_voids};
use super::tree::{OUT, Tree};

/// A legal order of the calls, or a few values and calls that have none.
pub(super) fn order(contents: &Contents, budget: &mut Budget<'_>) -> Result<Vec<usize>, Refused> {
    let places = place_voids(contents, budget)?;
    let mut order = Order { placed: Vec::with_capacity(2 * contents.values.len()), end: contents.end };
    for (moment, void) in places.into_iter().zip(&contents.voids) {
        order.placed.push((moment, Turn::Between, void.call));
    }
    let fleeting = contents.values.iter().filter(|value| value.surely().is_empty());
    for value in fleeting {
        budget.work(1)?;
        // Both sort alike, and the sort is stable.
        order.placed.push((value.due(), Turn::Fleeting(value.put_by), value.put_by));
        order.placed.extend(value.taken_by.map(|call| (value.due(), Turn::Fleeting(value.put_by), call)));
    }
    budget.look()?;
    let stretches = Stretches::new(contents);
    budget.look()?;
    stretches.judge(&mut order, budget)?;
    order.placed.sort_by_key(|&(moment, turn, _)| (moment, turn));
    Ok(order.placed.into_iter().map(|(_, _, call)| call).collect())
}

/// What happens in one moment: stretches end, from the inside out; values come and go at once; others begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// A value is taken from the bottom of its stretch; the deeper the stretch, the smaller the number.
    Taken(i64),
    /// A value comes and goes.
    Fleeting(usize),
    /// Something finds nothing: a moment like this is in no stretch.
    Between,
    /// A value is put at the bottom of its stretch; the deeper the stretch, the greater the number.
    Put(i64),
}

/// Of the trees, to find its bottom and to split it.
const STEPS_PER_STRETCH: usize = 8;

struct Order {
    placed: Vec<(u32, Turn, usize)>,
    end: u32,
}

/// The values that were there for sure, in the order in which their putting in ended, and time.
struct Stretches<'a> {
    contents: &'a Contents,
    values: Vec<usize>,
    /// The end of each value's putting in.
    ends: Vec<u32>,
    /// How many values were there for sure at each moment.
    present: Tree,
    /// The begin of each value's putting in, and how long before all ends the end of its taking is. Those known to be
    /// early or late enough are out.
    early: Tree,
    late: Tree,
    /// Those that are one of the two.
    half: Vec<bool>,
    /// Those that can lie at the bottom of the stretch in which they are.
    bottoms: BTreeSet<usize>,
    /// Those that were put at the bottom of one.
    below: Vec<bool>,
}

impl<'a> Stretches<'a> {
    fn new(contents: &'a Contents) -> Stretches<'a> {
        let mut values: Vec<usize> = (0..contents.values.len()).collect();
        values.retain(|&at| !contents.values[at].surely().is_empty());
        values.sort_unstable_by_key(|&at| contents.values[at].put.end);
        let ends = values.iter().map(|&at| contents.values[at].put.end).collect();
        let mut changes = vec![0; contents.end as usize + 2];
        for &at in &values {
            let surely = contents.values[at].surely();
            changes[surely.start as usize] += 1;
            changes[surely.end as usize] -= 1;
        }
        let mut now = 0;
        changes.iter_mut().for_each(|change| {
            now += *change;
            *change = if now == 0 { OUT } else { now };
        });
        let early = Tree::new(values.iter().map(|&at| contents.values[at].put.start as i32));
        let late = Tree::new(values.iter().map(|&at| (contents.end + 1 - contents.values[at].taken.end) as i32));
        let half = vec![false; values.len()];
        let (bottoms, below) = (BTreeSet::new(), vec![false; values.len()]);
        Stretches { contents, values, ends, present: Tree::new(changes.into_iter()), early, late, half, bottoms, below }
    }

    fn judge(mut self, order: &mut Order, budget: &mut Budget<'_>) -> Result<(), Refused> {
        let mut left = self.all();
        let mut depth = 0;
        while let Some(stretch) = left.pop() {
            budget.work(STEPS_PER_STRETCH)?;
            let Some(bottom) = self.bottom(&stretch) else {
                let left = (0..self.values.len()).filter(|&at| !self.below[at]).map(|at| self.values[at]);
                let spans = left.map(|value| (value, self.contents.values[value].surely()));
                return Err(Refused::Parts(chain(spans, &stretch).into_iter().map(Part::Value).collect()));
            };
            depth += 1;
            let value = &self.contents.values[self.values[bottom]];
            order.placed.push((stretch.start - 1, Turn::Put(depth), value.put_by));
            if stretch.end < order.end {
                order.placed.extend(value.taken_by.map(|call| (stretch.end, Turn::Taken(-depth), call)));
            }
            self.present.raise(places(&value.surely()), -1);
            left.extend(self.split(stretch));
        }
        Ok(())
    }

    /// The stretches in the beginning.
    fn all(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = self.values.iter().map(|&at| self.contents.values[at].surely()).collect();
        spans.dedup_by(|next, stretch| {
            let joins = next.start <= stretch.end;
            if joins {
                stretch.end = stretch.end.max(next.end);
            }
            joins
        });
        spans
    }

    /// A value that can lie at the bottom of the stretch.
    fn bottom(&mut self, stretch: &Span) -> Option<usize> {
        let within =
            self.ends.partition_point(|&end| end < stretch.start)..self.ends.partition_point(|&end| end < stretch.end);
        let (by, from) = (stretch.start as i32, (self.contents.end + 1 - stretch.end) as i32);
        for (tree, bound) in [(&mut self.early, by), (&mut self.late, from)] {
            while let Some(at) = tree.first_below(within.clone(), bound) {
                tree.raise(at..at + 1, OUT);
                if std::mem::replace(&mut self.half[at], true) {
                    self.bottoms.insert(at);
                }
            }
        }
        let bottom = *self.bottoms.range(within).next()?;
        self.bottoms.remove(&bottom);
        self.below[bottom] = true;
        Some(bottom)
    }

    /// The stretches into which one falls that lost its bottom.
    fn split(&mut self, stretch: Span) -> Vec<Span> {
        let mut parts = Vec::new();
        let mut begin = stretch.start;
        while begin < stretch.end {
            let free = self.present.first_below(places(&(begin..stretch.end)), 1);
            let end = free.map_or(stretch.end, |free| free as u32);
            if begin < end {
                parts.push(begin..end);
            }
            if let Some(free) = free {
                self.present.raise(free..free + 1, OUT);
            }
            begin = end + 1;
        }
        parts
    }
}

fn places(span: &Span) -> Range<usize> {
    span.start as usize..span.end as usize
}
