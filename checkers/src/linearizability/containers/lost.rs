//! Takings whose answer was lost: which of the values that nobody is known to have taken they took.
//!
//! A value that is left has to be gone by its *deadline*, if something happens that cannot happen beside it: of a queue, that a
//! value is taken that was put in after it; of a stack, that one is taken that lies beneath it; of a priority queue, that a
//! greater one is taken; of any, that nothing is found. It was gone by then if a taking of unknown outcome took it that
//! had been called by then. Such a taking can happen at any time after its call, so that one that was called earlier can stand in
//! for a later one: there are enough for all if the first to be called is enough for the first deadline, the second for the
//! second, and so on. What is so taken may itself be something that cannot happen beside another value that is left,
//! and then this one has a deadline, too.
//!
//! What comes out is a guess: whether all of it together has a legal order is for the deciders to say. If it has, that is
//! a legal order of the operations. If not, nothing follows: of stacks the guess is often wrong, as where a value lies
//! beneath another hangs on more than two of them.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::super::budget::{Budget, Spent};
use super::contents::{Content, Contents, Part, Span};
use crate::model::Family;

/// So often values may get a deadline because others got one.
const ROUNDS: usize = 16;

/// What is guessed of the values that are left.
pub(super) struct Settling<'a> {
    family: Family,
    contents: &'a Contents,
    /// Places of the values that nobody is known to have taken.
    left: Vec<usize>,
    /// Deadlines that contradictions have shown.
    shown: FxHashMap<usize, u32>,
}

impl<'a> Settling<'a> {
    pub(super) fn new(family: Family, contents: &'a Contents) -> Settling<'a> {
        let left = (0..contents.values.len()).filter(|&at| contents.values[at].taken_by.is_none()).collect();
        Settling { family, contents, left, shown: FxHashMap::default() }
    }

    /// The same contents with the values that have to be gone taken by operations whose answer was lost, if there are
    /// enough.
    pub(super) fn settle(&self, budget: &mut Budget<'_>) -> Result<Option<Contents>, Spent> {
        let mut settled = self.contents.clone();
        settled.lost.sort_unstable_by_key(|lost| lost.start);
        let mut before = Vec::new();
        for _ in 0..ROUNDS {
            let mut due = self.deadlines(&settled, budget)?;
            due.sort_unstable();
            if due == before {
                return Ok(Some(settled));
            }
            if due.len() > settled.lost.len() {
                return Ok(None);
            }
            self.left.iter().for_each(|&at| settled.values[at] = self.contents.values[at].clone());
            for (&(deadline, value), lost) in due.iter().zip(&settled.lost) {
                let value = &mut settled.values[value];
                let taken = lost.start.max(value.put.start)..deadline;
                if taken.is_empty() {
                    return Ok(None);
                }
                (value.taken_by, value.taken) = (Some(lost.call), taken);
            }
            before = due;
        }
        Ok(None)
    }

    /// Learns from parts of what was settled that contradict each other: a value that is left must be gone before the last
    /// of the others is, else it contradicts them as if it had stayed for ever. False if that is nothing new.
    pub(super) fn learn(&mut self, settled: &Contents, parts: &[Part]) -> bool {
        let mut learnt = false;
        for value in parts.iter().filter_map(Part::value).filter(|value| self.left.binary_search(value).is_ok()) {
            let others = parts.iter().filter(|part| **part != Part::Value(value)).map(|part| match *part {
                Part::Value(other) => settled.values[other].taken.end,
                Part::Void(void) => settled.voids[void].span.end,
            });
            let deadline = others.max().unwrap_or(u32::MAX);
            if deadline < settled.values[value].taken.end {
                learnt |= self.shown.insert(value, deadline).is_none_or(|before| deadline < before);
            }
        }
        learnt
    }

    /// Which values have to be gone, and by which moment.
    fn deadlines(&self, contents: &Contents, budget: &mut Budget<'_>) -> Result<Vec<(u32, usize)>, Spent> {
        let taken = contents.values.iter().filter(|value| value.taken_by.is_some());
        let takings = taken.map(|value| (takes(self.family, value), &value.taken));
        let voids = contents.voids.iter().map(|void| (ANY, &void.span));
        let mut events: Vec<(Rank, &Span)> = takings.chain(voids).collect();
        budget.look()?;
        events.sort_unstable_by_key(|(rank, _)| Reverse(*rank));
        let minds = |&at: &usize| (minds(self.family, &contents.values[at]), at);
        let mut left: Vec<(Rank, usize)> = self.left.iter().map(minds).collect();
        left.sort_unstable_by_key(|(rank, _)| Reverse(*rank));
        budget.look()?;
        let mut events = events.into_iter().peekable();
        let mut earliest = Earliest::new(contents.end);
        let mut deadlines = Vec::new();
        for (rank, at) in left {
            while let Some((_, span)) = events.next_if(|(event, _)| *event >= rank) {
                budget.work(1)?;
                earliest.add(span);
            }
            let deadline = earliest.from(contents.values[at].put.end);
            let deadline = deadline.into_iter().chain(self.shown.get(&at).copied()).min();
            deadlines.extend(deadline.map(|deadline| (deadline, at)));
        }
        Ok(deadlines)
    }
}

/// What cannot happen beside a value is what has its rank or a higher one.
type Rank = (i64, u64);

/// Cannot happen beside any value.
const ANY: Rank = (i64::MAX, u64::MAX);

/// The rank of taking a value.
fn takes(family: Family, value: &Content) -> Rank {
    match family {
        Family::Queue => (value.put.start.into(), 0),
        Family::Stack => (-i64::from(value.put.end), 0),
        _ => (value.item.priority, value.item.value.index() as u64),
    }
}

/// The rank from which on nothing can happen beside a value.
fn minds(family: Family, value: &Content) -> Rank {
    match family {
        Family::Queue => (value.put.end.into(), 0),
        Family::Stack => (-i64::from(value.put.start), 0),
        _ => takes(family, value),
    }
}

/// Of spans that begin at a moment or later, the earliest end: a Fenwick tree of least numbers.
struct Earliest {
    ends: Vec<u32>,
}

impl Earliest {
    fn new(end: u32) -> Earliest {
        Earliest { ends: vec![u32::MAX; end as usize + 3] }
    }

    /// From its last place on down, the tree counts from 1.
    fn place(&self, moment: u32) -> usize {
        self.ends.len() - 1 - moment as usize
    }

    fn add(&mut self, span: &Span) {
        let mut at = self.place(span.start);
        while let Some(end) = self.ends.get_mut(at) {
            *end = span.end.min(*end);
            at += at & at.wrapping_neg();
        }
    }

    fn from(&self, moment: u32) -> Option<u32> {
        let (mut at, mut earliest) = (self.place(moment), u32::MAX);
        while at > 0 {
            earliest = earliest.min(self.ends[at]);
            at -= at & at.wrapping_neg();
        }
        (earliest != u32::MAX).then_some(earliest)
    }
}
