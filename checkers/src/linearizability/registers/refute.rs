//! The few calls that contradict each other where there is no legal order.
//!
//! A contradiction speaks of a run of a block: calls that have to be contiguous since each observes what the one before
//! produced. A run is as long as it must be and no longer: of all runs that contradict, a shortest is taken. Then
//! none of the calls inside it contradicts by itself, which means that they were open all at once, and so a run is
//! no longer than the concurrency (or than what was called while one call was open).
//!
//! The first of a run may be a compare-and-set of which the source is left out; then what it observed is forgotten, and
//! what is left still contradicts itself. To a reader belongs the producer of what it read, and to what may have
//! happened an observer that shows that it did.

use rustc_hash::FxHashSet;

use super::blocks::{Block, Broken};
use super::clusters::{Clusters, NONE};
use crate::model::Model;

/// A call in its block. Calls on a lower level come before those on a higher.
#[derive(Clone, Copy, Debug)]
struct Item {
    level: u32,
    /// None: that it was there in the beginning.
    call: u32,
    /// Moments, as in [`Block`].
    start: u32,
    end: u32,
}

impl<M: Model> Clusters<'_, M> {
    /// Calls that contradict each other, by their numbers and in their order.
    pub(super) fn refute(&self, broken: Broken) -> Vec<usize> {
        let refuted = match broken {
            Broken::FromNowhere(cluster) => vec![self.first_observers()[cluster]],
            Broken::TookTwice([one, other]) => {
                let producer = self.observed(one).map(|cluster| self.clusters[cluster].producer);
                producer.into_iter().filter(|&producer| producer != NONE).chain([one, other]).collect()
            }
            Broken::Inside(head) => in_wrong_order(&self.items(head)),
            Broken::Ring => self.ring(),
            Broken::Clash(one, other) => self.clash(one, other),
        };
        let mut refuted = self.with_proof(refuted);
        refuted.sort_unstable();
        refuted.dedup();
        refuted.into_iter().map(|call| call as usize).collect()
    }

    /// The calls of a block, by level.
    fn items(&self, head: usize) -> Vec<Item> {
        let mut levels = vec![NONE; self.clusters.len()];
        let mut items = vec![self.item(0, self.clusters[head].producer)];
        let (mut next, mut level) = (Some(head), 1);
        while let Some(number) = next {
            levels[number] = level;
            let taker = self.clusters[number].taker;
            if taker != NONE {
                items.push(self.item(level + 1, taker));
            }
            next = self.next(number);
            level += 2;
        }
        for call in 0..self.calls.len() as u32 {
            let level = self.observed(call).map_or(NONE, |cluster| levels[cluster]);
            if level != NONE && self.produced(call).is_none() {
                items.push(self.item(level, call));
            }
        }
        items.sort_by_key(|item| item.level);
        items
    }

    fn item(&self, level: u32, call: u32) -> Item {
        match call {
            NONE => Item { level, call, start: 0, end: 0 },
            _ => Item { level, call, start: self.start(call) + 1, end: self.end(call).saturating_add(1) },
        }
    }

    /// Of one ring of compare-and-sets, those that suffice. Gone round twice, each pair of them is there in both orders.
    /// If none returned before another was called, it takes the whole ring; they all were open at once.
    fn ring(&self) -> Vec<u32> {
        let mut reached = vec![false; self.clusters.len()];
        for head in (0..self.clusters.len()).filter(|&cluster| self.is_head(cluster)) {
            std::iter::successors(Some(head), |&cluster| self.next(cluster))
                .for_each(|cluster| reached[cluster] = true);
        }
        let in_ring = |cluster: &usize| !reached[*cluster] && self.clusters[*cluster].producer != NONE;
        let Some(first) = (0..self.clusters.len()).find(in_ring) else { return Vec::new() };
        let others = std::iter::successors(self.next(first), |&cluster| self.next(cluster));
        let ring: Vec<u32> = [first]
            .into_iter()
            .chain(others.take_while(|&cluster| cluster != first))
            .map(|cluster| self.clusters[cluster].taker)
            .collect();
        let twice: Vec<Item> =
            (0..).zip(ring.iter().chain(&ring)).map(|(place, &call)| self.item(2 * place, call)).collect();
        let part = in_wrong_order(&twice);
        if part.is_empty() { ring } else { part }
    }

    /// Of each of two blocks a run, so that the runs still have to come before each other.
    fn clash(&self, one: Block, other: Block) -> Vec<u32> {
        let (one, others) = (self.items(one.head as usize), (other.f, other.s));
        let Some((run, (f, s))) = shortest_run(&one, others) else { return Vec::new() };
        let items = self.items(other.head as usize);
        let Some((other, _)) = shortest_run(&items, (f, s)) else { return Vec::new() };
        [run, other].concat()
    }

    /// Adds, for each call that may never have happened, an observer which shows that it did, and for each reader the
    /// producer of what it read.
    fn with_proof(&self, mut refuted: Vec<u32>) -> Vec<u32> {
        let observers = self.first_observers();
        let mut inside: FxHashSet<u32> = refuted.iter().copied().collect();
        let mut at = 0;
        while let Some(&call) = refuted.get(at) {
            at += 1;
            let proof = match self.produced(call) {
                Some(cluster) if !self.call(call).must => observers[cluster],
                Some(_) => NONE,
                None => self.observed(call).map_or(NONE, |cluster| self.clusters[cluster].producer),
            };
            if proof != NONE && inside.insert(proof) {
                refuted.push(proof);
            }
        }
        refuted
    }

    /// For each value the observer that returned first.
    fn first_observers(&self) -> Vec<u32> {
        let mut observers = vec![NONE; self.clusters.len()];
        for call in 0..self.calls.len() as u32 {
            let Some(cluster) = self.observed(call) else { continue };
            let first = &mut observers[cluster];
            if *first == NONE || self.end(call) < self.end(*first) {
                *first = call;
            }
        }
        observers
    }
}

/// The run from a call to the first on a higher level that returned before it; of several such calls, from the nearest.
/// Nothing in between returned before it was called, else that would be the first; and nothing in between was called
/// after the end of the run, else that would be the nearest.
fn in_wrong_order(items: &[Item]) -> Vec<u32> {
    let (mut latest, mut level, mut in_level) = (0, 0, 0);
    for (to, late) in items.iter().enumerate() {
        if late.level > level {
            (latest, level) = (in_level.max(latest), late.level);
        }
        in_level = in_level.max(late.start);
        if late.end < latest {
            let before = items[..to].iter().rposition(|item| item.level < late.level && item.start > late.end);
            return before.map_or_else(Vec::new, |from| run(items, from, to));
        }
    }
    Vec::new()
}

/// The shortest run of a block that has a return before s and a call after f, with the moments of that return and that
/// call.
fn shortest_run(items: &[Item], (f, s): (u32, u32)) -> Option<(Vec<u32>, (u32, u32))> {
    let (mut returned, mut called): (Option<usize>, Option<usize>) = (None, None);
    let mut shortest: Option<(u32, usize, usize)> = None;
    for (at, item) in items.iter().enumerate() {
        if item.end < s {
            returned = Some(at);
        }
        if item.start > f {
            called = Some(at);
        }
        let (Some(returned), Some(called)) = (returned, called) else { continue };
        let length = items[returned].level.abs_diff(items[called].level);
        if shortest.is_none_or(|(shortest, ..)| length < shortest) {
            shortest = Some((length, returned, called));
        }
    }
    let (_, returned, called) = shortest?;
    let run = run(items, returned.min(called), returned.max(called));
    Some((run, (items[returned].end, items[called].start)))
}

/// The two calls, and the compare-and-sets that link them.
fn run(items: &[Item], from: usize, to: usize) -> Vec<u32> {
    let between = |item: &&Item| item.level > items[from].level && item.level < items[to].level;
    let links = items[from..=to].iter().filter(between).filter(|item| item.level % 2 == 0);
    [&items[from], &items[to]].into_iter().chain(links).map(|item| item.call).filter(|&call| call != NONE).collect()
}
