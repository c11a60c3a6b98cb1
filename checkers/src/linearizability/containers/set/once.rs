//! An element that was added at most once.
//!
//! Let the *certain* operations be the addition, those that found the element there, and the removal that says that it
//! removed it. All of them happen from the addition to the removal; what found the element absent, or says nothing of
//! what it removed, happens before the one or after the other. Let `first` be the first return of a certain operation and
//! `last` the last call of one.
//!
//! The addition has to be before `first`, and the later it is the better for all that has to be before it. The removal has to be
//! after `last`, and the earlier it is the better for all that has to be after it. If `first` comes before `last`, these are the
//! moments for both, independently of each other. If not, all certain operations can happen in one moment after `last`, and
//! any other operation can happen before or after that.
//!
//! If no operation says that it removed the element, one that does not say may have, unless it returned before `last`. Among
//! these the one that was called first is as good as any: it can be the removal at the later of its call and `last`,
//! another one not before that, and any other of them can follow. It is never worse than no removal.

use super::{Membership, Placed, Visit};

/// Judges the operations on one element, sorted by their calls. If they contradict each other, the answer is the return by which they do.
pub(super) fn judge(visits: &[Visit]) -> Result<Placed, u32> {
    let seen = |visit: &&Visit| matches!(visit.what, Membership::Present | Membership::Removed);
    let puts = visits.iter().find(|visit| visit.puts());
    let removals: Vec<&Visit> = visits.iter().filter(|visit| visit.what == Membership::Removed).collect();
    let shown = visits.iter().filter(seen).min_by_key(|visit| visit.end);
    let Some(put) = puts.filter(|put| put.must || shown.is_some()) else {
        // It was never there.
        return match shown {
            Some(shown) => Err(shown.end),
            None => Ok(super::in_time(visits.iter().filter(|visit| visit.must).copied())),
        };
    };
    if let [one, other, ..] = removals[..] {
        return Err(latest([put, one, other]));
    }
    let certain = visits.iter().filter(seen).chain([put]);
    let first = certain.clone().min_by_key(|visit| visit.finish()).unwrap_or(put);
    let last = certain.max_by_key(|visit| visit.begin()).unwrap_or(put);
    if first.finish() < put.begin() {
        return Err(latest([first]));
    }
    let may_remove = |visit: &&Visit| visit.what == Membership::Dropped && visit.finish() > last.begin();
    let removal = removals.first().copied().or_else(|| visits.iter().find(may_remove));
    if let Some(removal) = removal.filter(|removal| removal.finish() < last.begin()) {
        return Err(latest([put, removal, last]));
    }
    let there = There::new(put, first, last, removal);
    let mut placed = Vec::with_capacity(visits.len());
    for visit in visits {
        placed.push(there.place(visit)?);
    }
    placed.retain(|(_, _, visit)| {
        visit.must || visit.call == put.call || removal.is_some_and(|it| it.call == visit.call)
    });
    placed.sort_by_key(|&(moment, turn, _)| (moment, turn));
    Ok(placed.into_iter().map(|(moment, _, visit)| (moment, visit.call)).collect())
}

/// What comes first in one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Before,
    Put,
    Found,
    Removed,
    After,
}

/// From when to when the element was there.
struct There<'a> {
    put: &'a Visit,
    put_at: u64,
    removal: Option<&'a Visit>,
    removed_at: u64,
    /// What holds the two in place.
    first: &'a Visit,
    last: &'a Visit,
}

impl<'a> There<'a> {
    fn new(put: &'a Visit, first: &'a Visit, last: &'a Visit, removal: Option<&'a Visit>) -> There<'a> {
        let removed_at = removal.map_or(u64::MAX, |removal| last.begin().max(removal.begin()));
        let put_at = first.finish().min(removed_at);
        There { put, put_at, removal, removed_at, first, last }
    }

    fn place<'v>(&self, visit: &'v Visit) -> Result<(u64, Turn, &'v Visit), u32> {
        let removal = self.removal.is_some_and(|removal| removal.call == visit.call);
        Ok(match visit.what {
            _ if visit.call == self.put.call => (self.put_at, Turn::Put, visit),
            _ if removal => (self.removed_at, Turn::Removed, visit),
            Membership::Present => (visit.begin().max(self.put_at), Turn::Found, visit),
            _ if visit.begin() <= self.put_at => (visit.begin(), Turn::Before, visit),
            _ if visit.finish() >= self.removed_at => (visit.begin().max(self.removed_at), Turn::After, visit),
            _ => return Err(latest([self.put, self.first, self.last, visit].into_iter().chain(self.removal))),
        })
    }
}

/// The last return of these, of those that happened.
fn latest<'v>(visits: impl IntoIterator<Item = &'v Visit>) -> u32 {
    visits.into_iter().filter(|visit| visit.must).map(|visit| visit.end).max().unwrap_or(0)
}
