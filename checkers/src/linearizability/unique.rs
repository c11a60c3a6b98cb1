//! Registers whose every value was produced once: judged without a search, in n log n.
//!
//! If no value is written twice, each observer has one possible source. All operations on one value form a *cluster*;
//! in a legal order a cluster is contiguous: its producer, then its readers, then the compare-and-set, if any, that
//! takes the value away. Compare-and-sets link clusters into *blocks*, which are contiguous too. For a block let f be
//! its earliest return and s its latest call: block 1 has to come before block 2 if f₁ < s₂. There is a legal order if
//! and only if each block is in order inside and no two blocks have to come before each other; then ordering them by
//! min(f, s) is legal. For plain registers these are the zones of Gibbons and Korach ("Testing shared memories",
//! 1997, section 4).
//!
//! What refutes the history is always a handful of operations, which makes the best start for a witness.

use rustc_hash::{FxHashMap, FxHashSet};

use super::problem::Problem;
use crate::model::{Datum, Family, Model};

/// What was found.
#[derive(Debug)]
pub(super) enum Judged {
    /// A legal order of the calls, by their numbers.
    Order(Vec<usize>),
    /// These calls contradict each other.
    Refuted(Vec<usize>),
    /// This is not for here: a value was produced twice, or the object is no register.
    NotUnique,
}

/// Judges a problem, if it is of this kind.
pub(super) fn judge<M: Model>(model: &M, problem: &Problem<M>) -> Judged {
    let Some(clusters) = Clusters::new(model, problem) else { return Judged::NotUnique };
    match clusters.judge() {
        Ok(order) => Judged::Order(order),
        Err(refuted) => {
            let mut refuted = clusters.with_proof(refuted);
            refuted.sort_unstable();
            refuted.dedup();
            Judged::Refuted(refuted)
        }
    }
}

/// When a call can have happened: after its start, before its end.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: i64,
    end: i64,
}

/// The operations on one value.
#[derive(Debug, Default)]
struct Cluster {
    /// Nobody, for the value in the beginning.
    producer: Option<usize>,
    readers: Vec<usize>,
    /// Those that took the value away: at most one can have done so.
    takers: Vec<usize>,
}

struct Clusters {
    spans: Vec<Span>,
    clusters: Vec<Cluster>,
    /// For each call that takes a value, the cluster that it produced.
    produced: FxHashMap<usize, usize>,
    /// The cluster of the value in the beginning.
    initial: usize,
}

/// Part of a legal order, contiguous: calls with their level. Calls of one level are in no order yet.
type Block = Vec<(usize, usize)>;

/// Calls that contradict each other.
type Refuted = Vec<usize>;

impl Clusters {
    fn new<M: Model>(model: &M, problem: &Problem<M>) -> Option<Clusters> {
        let initially = model.initially(&problem.init).filter(|_| model.family() == Family::Register)?;
        let mut numbers: FxHashMap<Datum, usize> = FxHashMap::default();
        let mut clusters: Vec<Cluster> = Vec::new();
        let mut number = |datum: Datum, clusters: &mut Vec<Cluster>| {
            *numbers.entry(datum).or_insert_with(|| {
                clusters.push(Cluster::default());
                clusters.len() - 1
            })
        };
        let initial = number(initially, &mut clusters);
        let mut produced = FxHashMap::default();
        for (at, call) in problem.calls.iter().enumerate() {
            let Some(datum) = model.produces(&call.op) else { continue };
            let cluster = number(datum, &mut clusters);
            if cluster == initial || clusters[cluster].producer.replace(at).is_some() {
                return None;
            }
            produced.insert(at, cluster);
        }
        for (at, call) in problem.calls.iter().enumerate() {
            let Some(datum) = model.observes(&call.op) else { continue };
            let cluster = number(datum, &mut clusters);
            match produced.get(&at) {
                Some(own) if *own == cluster => return None,
                Some(_) => clusters[cluster].takers.push(at),
                None => clusters[cluster].readers.push(at),
            }
        }
        let end = |end: u32, must: bool| if must { i64::from(end) } else { i64::MAX };
        let spans =
            problem.calls.iter().map(|call| Span { start: i64::from(call.start), end: end(call.end, call.must) });
        Some(Clusters { spans: spans.collect(), clusters, produced, initial })
    }

    fn judge(&self) -> Result<Vec<usize>, Refuted> {
        for cluster in 0..self.clusters.len() {
            self.check_source(cluster)?;
        }
        let zones: Vec<Zone> = (0..self.clusters.len()).filter_map(|cluster| self.cluster_zone(cluster)).collect();
        if let Some((one, other)) = clash(&zones) {
            return Err([one.calls(), other.calls()].concat());
        }
        let takers = self.clusters.iter().find(|cluster| cluster.takers.len() > 1);
        if let Some(Cluster { producer, takers, .. }) = takers {
            return Err(producer.iter().chain(&takers[..2]).copied().collect());
        }
        self.in_blocks()
    }

    /// What is observed was produced, and not only after it was observed.
    fn check_source(&self, number: usize) -> Result<(), Refuted> {
        let cluster = &self.clusters[number];
        let mut observers = cluster.readers.iter().chain(&cluster.takers).copied();
        match cluster.producer {
            Some(producer) => {
                let early = observers.find(|&observer| self.spans[observer].end < self.spans[producer].start);
                early.map_or(Ok(()), |early| Err(vec![producer, early]))
            }
            None if number == self.initial => Ok(()),
            None => observers.min_by_key(|&observer| self.spans[observer].end).map_or(Ok(()), |first| Err(vec![first])),
        }
    }

    /// The zone of a cluster by itself.
    fn cluster_zone(&self, number: usize) -> Option<Zone> {
        let Cluster { producer, readers, takers } = &self.clusters[number];
        let calls = producer.iter().chain(readers).chain(takers).copied();
        self.zone(calls, *producer, number == self.initial)
    }

    fn zone(&self, calls: impl Iterator<Item = usize> + Clone, needs: Option<usize>, initial: bool) -> Option<Zone> {
        let first = calls.clone().min_by_key(|&call| self.spans[call].end)?;
        let last = calls.max_by_key(|&call| self.spans[call].start)?;
        let f = if initial { -1 } else { self.spans[first].end };
        Some(Zone { f, s: self.spans[last].start, first, last, needs })
    }

    /// Adds, for each call that may never have happened, an observer which shows that it did, and for each reader the
    /// producer of what it read.
    fn with_proof(&self, mut refuted: Refuted) -> Refuted {
        let sources: FxHashMap<usize, usize> = self
            .clusters
            .iter()
            .filter_map(|cluster| Some((cluster.producer?, &cluster.readers)))
            .flat_map(|(producer, readers)| readers.iter().map(move |reader| (*reader, producer)))
            .collect();
        let mut at = 0;
        while let Some(&call) = refuted.get(at) {
            at += 1;
            let lost = self.spans[call].end == i64::MAX;
            let proof = self.produced.get(&call).filter(|_| lost).and_then(|&cluster| {
                let Cluster { readers, takers, .. } = &self.clusters[cluster];
                readers.iter().chain(takers).copied().min_by_key(|&observer| self.spans[observer].end)
            });
            for more in [proof, sources.get(&call).copied()].into_iter().flatten() {
                if !refuted.contains(&more) {
                    refuted.push(more);
                }
            }
        }
        refuted
    }

    fn in_blocks(&self) -> Result<Vec<usize>, Refuted> {
        let mut blocks: Vec<(Block, bool)> = Vec::new();
        let mut linked = 0;
        let takers: FxHashSet<usize> =
            self.clusters.iter().flat_map(|cluster| cluster.takers.iter().copied()).collect();
        for (number, cluster) in self.clusters.iter().enumerate() {
            let begins = cluster.producer.is_none_or(|producer| !takers.contains(&producer));
            if begins {
                let (block, clusters) = self.block(number);
                linked += clusters;
                self.check_block(&block)?;
                blocks.push((block, number == self.initial));
            }
        }
        if linked < self.clusters.len() {
            // Compare-and-sets that took their values from each other in a ring: none can have been the first.
            let reached: FxHashSet<usize> =
                blocks.iter().flat_map(|(block, _)| block.iter().map(|item| item.0)).collect();
            return Err(takers.into_iter().filter(|taker| !reached.contains(taker)).collect());
        }
        let mut zones: Vec<(Zone, usize)> = Vec::new();
        for (at, (block, initial)) in blocks.iter().enumerate() {
            zones.extend(self.zone(block.iter().map(|item| item.0), None, *initial).map(|zone| (zone, at)));
        }
        let bare: Vec<Zone> = zones.iter().map(|(zone, _)| *zone).collect();
        if let Some((one, other)) = clash(&bare) {
            let of =
                |zone: &Zone| zones.iter().find(|(other, _)| other.first == zone.first).map(|(_, at)| &blocks[*at].0);
            return Err([one, other].iter().filter_map(of).flatten().map(|item| item.0).collect());
        }
        zones.sort_by_key(|(zone, _)| zone.f.min(zone.s));
        Ok(zones.iter().flat_map(|(_, at)| blocks[*at].0.iter().map(|item| item.0)).collect())
    }

    /// The block that begins with this cluster, and how many clusters it has.
    fn block(&self, first: usize) -> (Block, usize) {
        let mut block = Block::new();
        let mut clusters = 0;
        let mut next = Some(first);
        while let Some(number) = next {
            let Cluster { producer, readers, takers } = &self.clusters[number];
            if clusters == 0 {
                block.extend(producer.map(|producer| (producer, 0)));
            }
            let level = 2 * clusters + 1;
            let mut readers = readers.clone();
            readers.sort_by_key(|&reader| self.spans[reader].start);
            block.extend(readers.into_iter().map(|reader| (reader, level)));
            block.extend(takers.first().map(|&taker| (taker, level + 1)));
            next = takers.first().map(|taker| self.produced[taker]);
            clusters += 1;
        }
        (block, clusters)
    }

    /// No call of a later level returned before one of an earlier level began.
    fn check_block(&self, block: &Block) -> Result<(), Refuted> {
        let mut earliest: Option<(usize, usize)> = None;
        let mut levels = block.iter().rev().copied().peekable();
        let mut pending: Vec<(usize, usize)> = Vec::new();
        while let Some((call, level)) = levels.next() {
            if let Some((later, _)) = earliest.filter(|(later, _)| self.spans[*later].end < self.spans[call].start) {
                let from = block.iter().position(|item| item.0 == call).unwrap_or(0);
                let to = block.iter().position(|item| item.0 == later).unwrap_or(block.len() - 1);
                return Err(block[from.saturating_sub(1)..=to].iter().map(|item| item.0).collect());
            }
            pending.push((call, level));
            if levels.peek().is_none_or(|next| next.1 != level) {
                let level = pending.drain(..).chain(earliest);
                earliest = level.min_by_key(|item| self.spans[item.0].end);
            }
        }
        Ok(())
    }
}

/// From when to when a contiguous part of the order is held in place.
#[derive(Clone, Copy, Debug)]
struct Zone {
    /// The earliest return.
    f: i64,
    /// The latest call.
    s: i64,
    /// Whose return it is.
    first: usize,
    /// Whose call it is.
    last: usize,
    /// What the others observe.
    needs: Option<usize>,
}

impl Zone {
    fn calls(&self) -> Vec<usize> {
        [Some(self.first), Some(self.last), self.needs].into_iter().flatten().collect()
    }
}

/// Two zones that have to come before each other; of all pairs one whose later call came first.
fn clash(zones: &[Zone]) -> Option<(Zone, Zone)> {
    let mut by_call: Vec<Zone> = zones.to_vec();
    by_call.sort_by_key(|zone| zone.s);
    for (at, zone) in by_call.iter().enumerate() {
        // Until the first clash, zones that reach back far are disjoint, so that all these walks together are short.
        let near = by_call[..at].iter().rev().take_while(|other| other.s > zone.f);
        if let Some(other) = near.into_iter().find(|other| other.f < zone.s) {
            return Some((*other, *zone));
        }
    }
    None
}
