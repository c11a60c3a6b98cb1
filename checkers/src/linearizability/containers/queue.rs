//! Queues: first in, first out.
//!
//! After Henzinger, Sezgin and Vafeiadis ("Aspect-oriented linearizability proofs", CONCUR 2013, section 4): if nothing was
//! taken that was not there or had been taken ([`Contents::new`] sees to that), a queue has a legal order unless
//!
//! - a value *overtook* another: it was put in only after the other had been, and taken although the other was taken only
//!   afterwards, or never; or
//! - something was found empty although at each moment some value was there for sure.
//!
//! They prove that it is enough to look for these; here is how a legal order is made, and with it the proof.
//!
//! **Where it was empty.** Each operation that found nothing gets a moment at which no value was there for sure
//! ([`place_voids`]). These moments cut the time into *epochs*. A value belongs to the first epoch in which it can
//! be both put in and taken: the one of moment m, the first at which it can be taken. Let t be the moment at which
//! that epoch begins, so that t < m. The value can be put in at t or later, else it would have been put in before t and
//! taken after t for sure. So each epoch can hold all that is done with its values.
//!
//! **The order in an epoch.** Value a is before b if a was put in before the putting in of b began, or taken before the
//! taking of b began; and neither runs from a later epoch to an earlier one: if b is due (m) at or before t and a only
//! after it, then a, being put in before b was, was there for sure at t; and if a was taken before the taking of b
//! began, a was due before b. Both relations are interval orders. Repeatedly a value is taken that nothing left is
//! before. If there is none, let a be the value left whose putting in ended first, and b the one whose taking did:
//! nothing left was put in before a, so something was taken before it, so b was; nothing left was taken before b,
//! so something was put in before it, so a was: b overtook a. In the order thus found, each operation happens as early
//! as the order allows, and that is not too late: it waits for operations that began before it ended.
//!
//! All of it costs n log n, for sorting.

use super::super::budget::Budget;
use super::Refused;
use super::contents::{Content, Contents, Part, Span};
use super::cover::place_voids;

/// A legal order of the calls, or a few values and calls that have none.
pub(super) fn order(contents: &Contents, budget: &mut Budget<'_>) -> Result<Vec<usize>, Refused> {
    let places = place_voids(contents, budget)?;
    let mut voids: Vec<(u32, usize)> =
        places.into_iter().zip(&contents.voids).map(|(moment, void)| (moment, void.call)).collect();
    voids.sort_unstable();
    let values = &contents.values;
    let mut by_epoch: Vec<usize> = (0..values.len()).collect();
    by_epoch.sort_unstable_by_key(|&at| values[at].due());
    let mut rest = &by_epoch[..];
    let mut order = Vec::with_capacity(2 * values.len() + voids.len());
    let mut begin = 0;
    for same in voids.chunk_by(|one, other| one.0 == other.0) {
        let end = same[0].0;
        let epoch;
        (epoch, rest) = rest.split_at(rest.partition_point(|&at| values[at].due() <= end));
        order.extend(Epoch::new(values, epoch).order(begin..contents.end, budget)?);
        order.extend(same.iter().map(|(_, call)| *call));
        begin = end;
    }
    order.extend(Epoch::new(values, rest).order(begin..contents.end, budget)?);
    Ok(order)
}

/// The values of one epoch, each known by its place, and which of them are in order yet.
struct Epoch<'a> {
    values: Vec<(usize, &'a Content)>,
    done: Vec<bool>,
}

/// Values that wait for what is before them in one of the two relations.
struct Waiting {
    /// By the beginning of their spans.
    begins: Vec<(u32, u32)>,
    begun: usize,
    /// By the end.
    ends: Vec<(u32, u32)>,
    ended: usize,
}

impl Waiting {
    fn new(spans: impl Iterator<Item = (u32, u32)>) -> Waiting {
        let (mut begins, mut ends): (Vec<_>, Vec<_>) =
            (0..).zip(spans).map(|(at, (begin, end))| ((begin, at), (end, at))).unzip();
        begins.sort_unstable();
        ends.sort_unstable();
        Waiting { begins, begun: 0, ends, ended: 0 }
    }

    /// The value left whose span ends first.
    fn first(&mut self, done: &[bool]) -> Option<usize> {
        while self.ends.get(self.ended).is_some_and(|&(_, at)| done[at as usize]) {
            self.ended += 1;
        }
        self.ends.get(self.ended).map(|&(_, at)| at as usize)
    }

    /// The next value that nothing left is before.
    fn ready(&mut self) -> Option<usize> {
        let &(begin, at) = self.begins.get(self.begun)?;
        let free = self.ends.get(self.ended).is_some_and(|&(end, _)| begin < end);
        free.then(|| {
            self.begun += 1;
            at as usize
        })
    }
}

impl<'a> Epoch<'a> {
    fn new(values: &'a [Content], epoch: &[usize]) -> Epoch<'a> {
        Epoch { values: epoch.iter().map(|&at| (at, &values[at])).collect(), done: vec![false; epoch.len()] }
    }

    /// The calls of the epoch, from the moment at which it begins; what is not taken before the end of time is left there.
    fn order(mut self, time: Span, budget: &mut Budget<'_>) -> Result<Vec<usize>, Refused> {
        let line = self.line(budget)?;
        let (mut put_at, mut taken_at) = (time.start, time.start);
        let (mut puts, mut takes) = (Vec::with_capacity(line.len()), Vec::with_capacity(line.len()));
        for at in line {
            budget.work(1)?;
            let value = self.values[at].1;
            put_at = put_at.max(value.put.start);
            taken_at = taken_at.max(value.taken.start).max(put_at);
            puts.push((put_at, value.put_by));
            takes.extend(value.taken_by.filter(|_| taken_at < time.end).map(|call| (taken_at, call)));
        }
        let mut order = Vec::with_capacity(puts.len() + takes.len());
        let mut takes = takes.into_iter().peekable();
        for (moment, put) in puts {
            budget.work(1)?;
            while let Some((_, take)) = takes.next_if(|(taken_at, _)| *taken_at < moment) {
                order.push(take);
            }
            order.push(put);
        }
        order.extend(takes.map(|(_, take)| take));
        Ok(order)
    }

    /// The values in the order in which they stand in the queue.
    fn line(&mut self, budget: &mut Budget<'_>) -> Result<Vec<usize>, Refused> {
        let mut puts = Waiting::new(self.values.iter().map(|(_, value)| (value.put.start, value.put.end)));
        let mut takes = Waiting::new(self.values.iter().map(|(_, value)| (value.taken.start, value.taken.end)));
        let mut in_one = vec![false; self.values.len()];
        let mut ready: Vec<usize> = Vec::new();
        let mut line = Vec::with_capacity(self.values.len());
        budget.look()?;
        loop {
            budget.work(1)?;
            let (first_put, first_taken) = (puts.first(&self.done), takes.first(&self.done));
            let both = |at: &usize| std::mem::replace(&mut in_one[*at], true);
            let more = std::iter::from_fn(|| puts.ready()).chain(std::iter::from_fn(|| takes.ready()));
            ready.extend(more.filter(both));
            match (ready.pop(), first_put, first_taken) {
                (Some(at), ..) => {
                    self.done[at] = true;
                    line.push(at);
                }
                (None, Some(overtaken), Some(overtaking)) => {
                    let parts = [overtaken, overtaking].map(|at| Part::Value(self.values[at].0));
                    return Err(Refused::Parts(parts.to_vec()));
                }
                _ => return Ok(line),
            }
        }
    }
}
