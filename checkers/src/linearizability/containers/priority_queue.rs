//! Priority queues: the smallest out first.
//!
//! Given that nothing was taken that was not there or had been taken ([`Contents::new`] sees to that), what a legal order asks of a value is
//! that it be taken at a moment at which nothing smaller is there; of what found nothing, that nothing at all be there.
//! So a value only stands in the way of greater ones, and of those the less, the shorter it is there. From the
//! smallest on, each value is put in as late and taken as early as can be: taken at the first free moment at which it can be, put in at the last
//! moment at which it can be, or just before it is taken if that is earlier. It is then there at the moments
//! between, and whatever moment were chosen instead, it would be there at all of these, so nothing is lost by the choice.
//! If there is no free moment, there is no legal order.
//!
//! Within one moment first all is taken or found empty that had been put in earlier, from the smallest on, and values that come and go;
//! then all is put in that stays. All of it costs n log n, for sorting. (Decrease and conquer by priority, as in Lee and Mathur, 2024, arXiv
//! 2410.04581.)

use super::super::budget::Budget;
use super::Refused;
use super::contents::{Content, Contents, Part, Span};
use super::cover::{Cover, chain};

/// A legal order of the calls, or values and calls that have none.
pub(super) fn order(contents: &Contents, budget: &mut Budget<'_>) -> Result<Vec<usize>, Refused> {
    let mut by_priority: Vec<usize> = (0..contents.values.len()).collect();
    by_priority.sort_unstable_by_key(|&at| contents.values[at].item);
    let placed = Vec::with_capacity(2 * contents.values.len() + contents.voids.len());
    let mut placing = Placing { contents, cover: Cover::new(contents.end), placed };
    for value in by_priority {
        budget.work(1)?;
        placing.place(value).map_err(Refused::Parts)?;
    }
    for (at, void) in contents.voids.iter().enumerate() {
        let moment = placing.cover.free_from(void.span.start);
        if moment >= void.span.end {
            return Err(Refused::Parts(placing.refuted(Part::Void(at), &void.span, |_| true)));
        }
        budget.work(1)?;
        placing.placed.push((moment, Turn::Out, void.call));
    }
    placing.placed.sort_by_key(|&(moment, turn, _)| (moment, turn));
    Ok(placing.placed.into_iter().map(|(_, _, call)| call).collect())
}

/// What happens first in one moment. Within a turn, the smaller the value, the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Out,
    In,
}

struct Placing<'a> {
    contents: &'a Contents,
    /// When something smaller is there.
    cover: Cover,
    placed: Vec<(u32, Turn, usize)>,
}

impl Placing<'_> {
    fn place(&mut self, at: usize) -> Result<(), Vec<Part>> {
        let Content { item, put_by, put, taken_by, taken } = &self.contents.values[at];
        let moment = match taken_by {
            Some(_) => self.cover.free_from(taken.start),
            None => self.contents.end,
        };
        if moment >= taken.end {
            return Err(self.refuted(Part::Value(at), taken, |other| other.item < *item));
        }
        if moment >= put.end {
            self.placed.push((put.end - 1, Turn::In, *put_by));
            self.cover.add(put.end..moment);
        } else {
            self.placed.push((moment, Turn::Out, *put_by));
        }
        let taken_by = taken_by.filter(|_| moment < self.contents.end);
        self.placed.extend(taken_by.map(|call| (moment, Turn::Out, call)));
        Ok(())
    }

    /// What had no moment in its span, and the values in its way. They were there for sure: one that had to wait waited only
    /// while smaller ones were there.
    fn refuted(&self, part: Part, span: &Span, in_the_way: impl Fn(&Content) -> bool) -> Vec<Part> {
        let others = self.contents.values.iter().enumerate().filter(|(_, other)| in_the_way(other));
        let chain = chain(others.map(|(at, other)| (at, other.surely())), span);
        chain.into_iter().map(Part::Value).chain([part]).collect()
    }
}
