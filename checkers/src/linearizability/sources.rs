//! From which operations an observer could have what it observed.

use rustc_hash::FxHashMap;

use super::problem::Call;
use crate::model::{Datum, Family, Model};

/// For each call, those that must go if it goes: the observers that could have its product, and of calls that come
/// in pairs the other one.
pub(super) fn needed_by<M: Model>(model: &M, calls: &[Call<M::Op>]) -> Vec<Vec<usize>> {
    let mut needed_by = vec![Vec::new(); calls.len()];
    let sources = Sources::new(model, calls);
    for (observer, call) in calls.iter().enumerate() {
        for source in model.observes(&call.op).map_or_else(Vec::new, |datum| sources.of(calls, observer, datum)) {
            needed_by[source].push(observer);
        }
        for source in model.excludes(&call.op).map_or_else(Vec::new, |datum| sources.of_others(calls, observer, datum))
        {
            needed_by[source].push(observer);
        }
    }
    if model.is_paired() {
        for (one, other) in pairs(model, calls) {
            needed_by[one].push(other);
            needed_by[other].push(one);
        }
    }
    needed_by
}

/// Calls of one process that belong together, as acquire and release do, one pair inside another.
pub(super) fn pairs<M: Model>(model: &M, calls: &[Call<M::Op>]) -> Vec<(usize, usize)> {
    let mut open: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
    let mut pairs = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let open = open.entry(call.who).or_default();
        match open.pop_if(|before| model.are_a_pair(&calls[*before].op, &call.op)) {
            Some(before) => pairs.push((before, at)),
            None => open.push(at),
        }
    }
    pairs
}

/// The latest start of a producer, and the latest of one with another product.
type Latest = [Option<(u32, Datum)>; 2];

/// Producers by what they produced, and when products were surely replaced.
struct Sources {
    producers: FxHashMap<Datum, Vec<usize>>,
    /// By return: the latest start of a producer that had returned by then, and of one of another product.
    replaced: Vec<(u32, Latest)>,
    is_register: bool,
}

impl Sources {
    fn new<M: Model>(model: &M, calls: &[Call<M::Op>]) -> Self {
        let mut producers: FxHashMap<Datum, Vec<usize>> = FxHashMap::default();
        let mut returned: Vec<(u32, u32, Datum)> = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            let Some(datum) = model.produces(&call.op) else { continue };
            producers.entry(datum).or_default().push(at);
            if call.must {
                returned.push((call.end, call.start, datum));
            }
        }
        returned.sort_unstable();
        let mut latest: Latest = [None, None];
        let replaced = returned.into_iter().map(|(end, start, datum)| {
            latest = match latest {
                [Some((first, same)), second] if same == datum => [Some((first.max(start), datum)), second],
                [first, _] if first.is_none_or(|(first, _)| first < start) => [Some((start, datum)), first],
                [first, second] if second.is_none_or(|(second, _)| second < start) => [first, Some((start, datum))],
                kept => kept,
            };
            (end, latest)
        });
        Sources { replaced: replaced.collect(), producers, is_register: model.family() == Family::Register }
    }

    /// The producers from which the observer could have it. One that called after the observer returned is none; nor,
    /// of a register, one that returned before another product was put in its place, and that before the observer
    /// called. If none is left the observer contradicts them all, and the last of them shows it.
    fn of<Op>(&self, calls: &[Call<Op>], observer: usize, datum: Datum) -> Vec<usize> {
        let Call { start, end, .. } = calls[observer];
        let before = self.replaced.partition_point(|(returned, _)| *returned < start);
        let latest = before.checked_sub(1).map_or([None, None], |at| self.replaced[at].1);
        let other = latest.into_iter().flatten().find(|(_, other)| *other != datum).map(|(start, _)| start);
        let cut = other.filter(|_| self.is_register);
        let all = self.producers.get(&datum).map_or(&[][..], Vec::as_slice);
        let begun = all.iter().copied().filter(|&source| source != observer && calls[source].start < end);
        let fits = |source: &usize| !calls[*source].must || cut.is_none_or(|cut| calls[*source].end >= cut);
        let fitting: Vec<usize> = begun.clone().filter(fits).collect();
        if fitting.is_empty() { begun.max_by_key(|&source| calls[source].end).into_iter().collect() } else { fitting }
    }

    /// The producers of anything but this that can have been the last before the observer: it was called before the
    /// observer returned, and it had not returned before another that returned before the observer was called.
    fn of_others<Op>(&self, calls: &[Call<Op>], observer: usize, datum: Datum) -> Vec<usize> {
        let Call { start, end, .. } = calls[observer];
        let before = self.replaced.partition_point(|(returned, _)| *returned < start);
        let latest = before.checked_sub(1).and_then(|at| self.replaced[at].1[0]);
        let cut = latest.map_or(0, |(start, _)| start);
        let others = self.producers.iter().filter(|(other, _)| **other != datum).flat_map(|(_, sources)| sources);
        let fits = |source: &usize| {
            let source = &calls[*source];
            source.start < end && (!source.must || source.end >= cut)
        };
        let mut others: Vec<usize> = others.copied().filter(fits).collect();
        others.sort_unstable();
        others
    }
}
