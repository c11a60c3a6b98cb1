//! Clusters linked to blocks, and blocks put in order.

use rayon::prelude::*;

use super::clusters::{Cluster, Clusters, NONE};
use crate::linearizability::budget::{Budget, Spent};
use crate::model::Model;

/// From when to when a contiguous part of the order is held in place. Moments are positions plus one, so that what is
/// there in the beginning is at 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The lesser of f and s: no two blocks have the same.
    low: u32,
    /// Its first cluster.
    pub(super) head: u32,
    /// The earliest return.
    pub(super) f: u32,
    /// The latest call.
    pub(super) s: u32,
}

/// Why there is no legal order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Broken {
    /// What was observed in this cluster was never there.
    FromNowhere(usize),
    /// Both took the same value away.
    TookTwice([u32; 2]),
    /// Of the block that begins with this cluster, a later part returned before an earlier one was called.
    Inside(usize),
    /// Compare-and-sets that took their values from each other in a ring, and no block reaches them.
    Ring,
    /// Two blocks that have to come before each other.
    Clash(Block, Block),
}

/// Why no legal order was found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unordered {
    /// There is none.
    Broken(Broken),
    Spent(Spent),
}

impl From<Broken> for Unordered {
    fn from(broken: Broken) -> Self {
        Unordered::Broken(broken)
    }
}

impl From<Spent> for Unordered {
    fn from(spent: Spent) -> Self {
        Unordered::Spent(spent)
    }
}

/// From so many on, blocks are sorted by several threads.
const WORTH_THREADS: usize = 100_000;

impl<M: Model> Clusters<'_, M> {
    /// The blocks, in a legal order.
    pub(super) fn blocks(&self, budget: &mut Budget<'_>) -> Result<Vec<Block>, Unordered> {
        if let Some(both) = self.took_twice {
            return Err(Broken::TookTwice(both).into());
        }
        let mut blocks: Vec<Block> = Vec::new();
        let (mut there, mut linked) = (0, 0);
        for (number, cluster) in self.clusters.iter().enumerate() {
            budget.work(1)?;
            if cluster.producer == NONE && number != self.initial {
                if cluster.is_observed() {
                    return Err(Broken::FromNowhere(number).into());
                }
                continue;
            }
            there += 1;
            if self.is_head(number) {
                let (block, clusters) = self.block(number, budget)?;
                linked += clusters;
                blocks.push(block);
            }
        }
        if linked < there {
            return Err(Broken::Ring.into());
        }
        budget.look()?;
        match blocks.len() {
            WORTH_THREADS.. => blocks.par_sort_unstable_by_key(|block| block.low),
            _ => blocks.sort_unstable_by_key(|block| block.low),
        }
        clash(&blocks).map_or(Ok(blocks), |(one, other)| Err(Broken::Clash(one, other).into()))
    }

    /// The block that begins with this cluster, and how many clusters it has. Nothing in it may return before something
    /// on an earlier place was called.
    fn block(&self, head: usize, budget: &mut Budget<'_>) -> Result<(Block, usize), Unordered> {
        let (mut f, mut s) = (u32::MAX, 0);
        let mut take = |end: u32, start: u32| {
            let late = end < s;
            (f, s) = (f.min(end), s.max(start));
            if late { Err(Broken::Inside(head)) } else { Ok(()) }
        };
        let moment = |position: u32| position.saturating_add(1);
        match self.clusters[head].producer {
            NONE => take(0, 0)?,
            producer => take(moment(self.end(producer)), moment(self.start(producer)))?,
        }
        let mut clusters = 0;
        let mut next = Some(head);
        while let Some(number) = next {
            budget.work(1)?;
            let Cluster { taker, readers, first_end, last_start, .. } = self.clusters[number];
            if readers > 0 {
                take(moment(first_end), moment(last_start))?;
            }
            if taker != NONE {
                take(moment(self.end(taker)), moment(self.start(taker)))?;
            }
            next = self.next(number);
            clusters += 1;
        }
        Ok((Block { low: f.min(s), head: head as u32, f, s }, clusters))
    }

    /// The calls in the order of their blocks, and in each the readers of a value by their calls.
    pub(super) fn order(&self, blocks: &[Block], budget: &mut Budget<'_>) -> Result<Vec<usize>, Spent> {
        let mut order = vec![0; self.calls.len()];
        let mut places: Vec<u32> = vec![0; self.clusters.len()];
        let mut place = 0;
        for block in blocks {
            let mut next = Some(block.head as usize);
            let producer = self.clusters[block.head as usize].producer;
            if producer != NONE {
                order[place] = producer as usize;
                place += 1;
            }
            while let Some(number) = next {
                budget.work(1)?;
                let Cluster { taker, readers, .. } = self.clusters[number];
                places[number] = place as u32;
                place += readers as usize;
                if taker != NONE {
                    order[place] = taker as usize;
                    place += 1;
                }
                next = self.next(number);
            }
        }
        for (number, call) in self.calls.iter().enumerate() {
            budget.work(1)?;
            let (observed, produced) = (self.model.observes(&call.op), self.model.produces(&call.op));
            if let (Some(observed), None) = (observed, produced) {
                let place = &mut places[observed.index()];
                order[*place as usize] = number;
                *place += 1;
            }
        }
        Ok(order)
    }
}

/// Two blocks that have to come before each other: f₁ < s₂ and f₂ < s₁. They are sorted by the lesser of f and s.
///
/// If f ≥ s in both, f₁ < s₂ ≤ f₂ < s₁ ≤ f₁ would follow: they do not clash. So one of them, say 1, has f₁ < s₁. Is f₂ < s₂
/// as well, and f₁ < f₂, they clash if f₂ < s₁. Is f₂ ≥ s₂, they clash if f₁ < s₂ and f₂ < s₁. In both cases 1 is first in
/// this order, and it is enough to know of those before 2 the latest s of one with f < s.
fn clash(blocks: &[Block]) -> Option<(Block, Block)> {
    let mut before: Option<&Block> = None;
    for block in blocks {
        if let Some(before) = before.filter(|before| block.f < before.s) {
            return Some((*before, *block));
        }
        if block.f < block.s {
            before = Some(block);
        }
    }
    None
}
