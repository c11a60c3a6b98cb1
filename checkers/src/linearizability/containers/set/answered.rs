//! An element that was added several times, and every operation says what it found.
//!
//! The operations are followed in time. An operation that only looks happens as soon as it can. Those that change something are
//! put in order only when an operation returns that cannot happen without: then one that makes the change that is
//! needed, and of these the one that returns first.
//!
//! Nothing is lost by waiting: whatever an order did before, and this one did not, has not returned yet, or it would have been
//! done; so it can be done now, in the same order, and what looks can look in between. And of two open operations that make the same
//! change, that which returns first can take the place of the other, which can take its.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Membership, Placed, Visit};

/// Judges the operations on one element, sorted by their calls. If they contradict each other, the answer is the return by which they do.
pub(super) fn judge(visits: &[Visit]) -> Result<Placed, u32> {
    let mut events: Vec<(u64, usize)> =
        visits.iter().enumerate().flat_map(|(at, visit)| [(visit.begin(), at), (visit.finish(), at)]).collect();
    events.sort_unstable();
    let mut course = Course {
        visits,
        present: false,
        open: Default::default(),
        done: vec![false; visits.len()],
        placed: Vec::new(),
    };
    for (moment, at) in events {
        if moment == visits[at].begin() {
            course.begin(moment, at);
        } else {
            course.finish(moment, at).ok_or(visits[at].end)?;
        }
    }
    Ok(course.placed)
}

/// By when each is over.
type Open = BinaryHeap<Reverse<(u64, usize)>>;

struct Course<'a> {
    visits: &'a [Visit],
    present: bool,
    /// Those that have begun and may not be done: that need it absent, and that need it present.
    open: [Half; 2],
    done: Vec<bool>,
    placed: Placed,
}

#[derive(Default)]
struct Half {
    changing: Open,
    looking: Vec<usize>,
}

impl Course<'_> {
    fn begin(&mut self, moment: u64, at: usize) {
        let visit = &self.visits[at];
        let needs = needs(visit.what);
        if matches!(visit.what, Membership::Added | Membership::Removed) {
            self.open[usize::from(needs)].changing.push(Reverse((visit.finish(), at)));
        } else if needs == self.present {
            self.place(moment, at);
        } else {
            self.open[usize::from(needs)].looking.push(at);
        }
    }

    fn finish(&mut self, moment: u64, at: usize) -> Option<()> {
        if self.done[at] {
            return Some(());
        }
        if needs(self.visits[at].what) != self.present {
            self.change(moment)?;
        }
        if !self.done[at] {
            // It changes something, and is that which returns first.
            self.change(moment)?;
        }
        self.done[at].then_some(())
    }

    /// Puts the open operation in order that makes the change that can be made, and then all that look.
    fn change(&mut self, moment: u64) -> Option<()> {
        let half = &mut self.open[usize::from(self.present)];
        let Reverse((_, at)) = half.changing.pop()?;
        self.place(moment, at);
        self.present = !self.present;
        for at in std::mem::take(&mut self.open[usize::from(self.present)].looking) {
            self.place(moment, at);
        }
        Some(())
    }

    fn place(&mut self, moment: u64, at: usize) {
        self.done[at] = true;
        self.placed.push((moment, self.visits[at].call));
    }
}

/// Whether the element has to be there for it.
fn needs(what: Membership) -> bool {
    matches!(what, Membership::Present | Membership::Removed | Membership::Dropped)
}
