//! The operations on each value, in flat arrays.

use crate::linearizability::budget::{Budget, Spent};
use crate::linearizability::problem::{Call, NEVER, Problem};
use crate::model::{Datum, Family, Model};

/// No call, no cluster.
pub(super) const NONE: u32 = u32::MAX;

/// The operations on one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cluster {
    /// Nobody, for the value in the beginning.
    pub(super) producer: u32,
    /// The compare-and-set that took the value away.
    pub(super) taker: u32,
    pub(super) readers: u32,
    /// The earliest return of a reader; never, if there is none.
    pub(super) first_end: u32,
    /// The latest call of a reader; 0 if there is none, as of the first event.
    pub(super) last_start: u32,
}

impl Cluster {
    const EMPTY: Cluster = Cluster { producer: NONE, taker: NONE, readers: 0, first_end: NEVER, last_start: 0 };

    pub(super) fn is_observed(&self) -> bool {
        self.readers > 0 || self.taker != NONE
    }
}

/// All clusters of a problem, by the numbers of their values.
pub(super) struct Clusters<'p, M: Model> {
    pub(super) model: &'p M,
    pub(super) calls: &'p [Call<M::Op>],
    pub(super) clusters: Vec<Cluster>,
    /// The cluster of the value in the beginning.
    pub(super) initial: usize,
    /// Two that took the same value, if any did.
    pub(super) took_twice: Option<[u32; 2]>,
}

impl<'p, M: Model> Clusters<'p, M> {
    /// None if the object is no register or a value was produced twice.
    pub(super) fn new(model: &'p M, problem: &'p Problem<M>, budget: &mut Budget<'_>) -> Result<Option<Self>, Spent> {
        let Some(initial) = model.initially(&problem.init).filter(|_| model.family() == Family::Register) else {
            return Ok(None);
        };
        let initial = initial.index();
        let calls = problem.calls.as_slice();
        let mut clusters = vec![Cluster::EMPTY; problem.data.len()];
        let mut took_twice = None;
        for (number, call) in (0..).zip(calls) {
            budget.work(1)?;
            let (observed, produced) = (model.observes(&call.op), model.produces(&call.op));
            if let Some(produced) = produced {
                let cluster = &mut clusters[produced.index()];
                if cluster.producer != NONE || produced.index() == initial || observed == Some(produced) {
                    return Ok(None);
                }
                cluster.producer = number;
            }
            let Some(cluster) = observed.map(|observed| &mut clusters[observed.index()]) else { continue };
            if produced.is_none() {
                cluster.readers += 1;
                cluster.first_end = cluster.first_end.min(end(call));
                cluster.last_start = call.start;
            } else if cluster.taker == NONE {
                cluster.taker = number;
            } else {
                took_twice.get_or_insert([cluster.taker, number]);
            }
        }
        Ok(Some(Clusters { model, calls, clusters, initial, took_twice }))
    }

    pub(super) fn call(&self, number: u32) -> &Call<M::Op> {
        &self.calls[number as usize]
    }

    pub(super) fn start(&self, number: u32) -> u32 {
        self.call(number).start
    }

    pub(super) fn end(&self, number: u32) -> u32 {
        end(self.call(number))
    }

    /// The cluster of what this call observed.
    pub(super) fn observed(&self, number: u32) -> Option<usize> {
        self.model.observes(&self.call(number).op).map(Datum::index)
    }

    /// The cluster of what this call produced.
    pub(super) fn produced(&self, number: u32) -> Option<usize> {
        self.model.produces(&self.call(number).op).map(Datum::index)
    }

    /// The cluster to which the taker of this one leads.
    pub(super) fn next(&self, cluster: usize) -> Option<usize> {
        let taker = self.clusters[cluster].taker;
        if taker == NONE { None } else { self.produced(taker) }
    }

    /// Whether a block begins with this cluster.
    pub(super) fn is_head(&self, cluster: usize) -> bool {
        match self.clusters[cluster].producer {
            NONE => cluster == self.initial,
            producer => self.observed(producer).is_none(),
        }
    }
}

/// What may never have happened and is left all the same did happen, at any time after its call.
fn end<Op>(call: &Call<Op>) -> u32 {
    if call.must { call.end } else { NEVER }
}
