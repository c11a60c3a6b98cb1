//! The few operations on an element that contradict each other.
//!
//! What is taken out of a legal order of one element leaves a legal order, if with what may have added the element all go that found it
//! there, and with what may have removed it all that found it absent: for one that found it there, what
//! had added it last is still before it, and as nothing removed it in between before, nothing does now. So operations
//! that are closed in this way and have no legal order prove that the whole has none; and they are taken out, many at a time and then one by
//! one, as long as the rest has none.

use std::time::Instant;

use super::super::super::budget::Allowance;
use super::super::patience;
use super::{Membership, Refusal, Visit, judge_element};

/// The calls of those that contradict each other by this position, with none to spare.
pub(super) fn minimal(visits: &[Visit], now: u32, allowance: &Allowance) -> Vec<usize> {
    let (deadline, allowance) = (patience(allowance), &allowance.with_grace());
    let begun = visits.iter().filter(|visit| visit.start < now);
    let mut kept: Vec<Visit> = begun.filter_map(|visit| as_of(visit, now)).collect();
    let is_refuted = |rest: &[Visit]| matches!(judge_element(rest, allowance), Err(Refusal::By(_)));
    let mut size = kept.len().div_ceil(2);
    while Instant::now() <= deadline {
        let before = kept.len();
        let mut from = 0;
        while from < kept.len() && Instant::now() <= deadline {
            let gone = &kept[from..kept.len().min(from + size)];
            let rest = without(&kept, gone);
            if is_refuted(&rest) {
                let stayed = kept[..from].iter().filter(|one| rest.iter().any(|other| other.call == one.call)).count();
                (kept, from) = (rest, stayed);
            } else {
                from += size;
            }
        }
        if size == 1 && kept.len() == before {
            break;
        }
        size = size.div_ceil(2);
    }
    kept.into_iter().map(|visit| visit.call).collect()
}

/// What had not returned by then may have happened, if it changes anything; what it was answered is of no consequence.
fn as_of(visit: &Visit, now: u32) -> Option<Visit> {
    if !visit.must || visit.end <= now {
        return Some(*visit);
    }
    let what = match visit.what {
        Membership::Added | Membership::Ensured => Membership::Ensured,
        Membership::Removed | Membership::Dropped => Membership::Dropped,
        Membership::Present | Membership::Absent => return None,
    };
    Some(Visit { what, must: false, ..*visit })
}

/// What is left without these, and without what depends on them, and so on.
fn without(visits: &[Visit], gone: &[Visit]) -> Vec<Visit> {
    let is_gone = |visit: &Visit| gone.iter().any(|gone| gone.call == visit.call);
    let (mut gone, mut rest): (Vec<Visit>, Vec<Visit>) = visits.iter().partition(|visit| is_gone(visit));
    while !gone.is_empty() {
        let first =
            |changes: fn(&Visit) -> bool| gone.iter().filter(|visit| changes(visit)).map(|visit| visit.start).min();
        let (put, taken) = (first(Visit::puts), first(Visit::takes));
        let depends = |visit: &Visit| {
            let on = match visit.what {
                Membership::Present | Membership::Removed => put,
                Membership::Absent | Membership::Added => taken,
                Membership::Ensured | Membership::Dropped => None,
            };
            on.is_some_and(|on| on < visit.end)
        };
        (gone, rest) = rest.into_iter().partition(depends);
    }
    rest
}
