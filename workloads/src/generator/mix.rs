//! A weighted choice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grudge_checkers::history::Event;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Boxed, Generator, Next, Worker};

/// For each operation one of several generators, drawn by weight. A choice stands until it has given its operation,
/// so waiting for a part does not shift the weights; a part that is done is not drawn again.
pub struct Mix<T> {
    rng: ChaCha8Rng,
    parts: Vec<(u32, Boxed<T>)>,
    chosen: BTreeMap<Worker, usize>,
    done: BTreeSet<(Worker, usize)>,
}

impl<T> Mix<T> {
    /// A choice among these, each with its weight; a weight of 0 means never.
    pub fn new(seed: u64, parts: impl IntoIterator<Item = (u32, Boxed<T>)>) -> Self {
        let parts = parts.into_iter().filter(|(weight, _)| *weight > 0).collect();
        Mix { rng: ChaCha8Rng::seed_from_u64(seed), parts, chosen: BTreeMap::new(), done: BTreeSet::new() }
    }

    fn choose(&mut self, worker: Worker) -> Option<usize> {
        if let Some(&chosen) = self.chosen.get(&worker) {
            return Some(chosen);
        }
        let open = |i: usize| !self.done.contains(&(worker, i));
        let total: u64 =
            self.parts.iter().enumerate().filter(|(i, _)| open(*i)).map(|(_, (weight, _))| u64::from(*weight)).sum();
        if total == 0 {
            return None;
        }
        let mut ticket = self.rng.random_range(0..total);
        for (i, (weight, _)) in self.parts.iter().enumerate().filter(|(i, _)| open(*i)) {
            let weight = u64::from(*weight);
            if ticket < weight {
                self.chosen.insert(worker, i);
                return Some(i);
            }
            ticket -= weight;
        }
        None
    }
}

impl<T> Generator<T> for Mix<T> {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<T> {
        while let Some(i) = self.choose(worker) {
            match self.parts[i].1.next(now, worker) {
                Next::Done => {
                    self.chosen.remove(&worker);
                    self.done.insert((worker, i));
                }
                Next::Op(op) => {
                    self.chosen.remove(&worker);
                    return Next::Op(op);
                }
                waiting => return waiting,
            }
        }
        Next::Done
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        for (_, part) in &mut self.parts {
            part.update(now, worker, event);
        }
    }
}
