//! The search for a legal order: Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of
//! Lowe ("Testing for linearizability", 2017), on windows.
//!
//! Returns are passed in the order in which they came. A *configuration* is the number of returns that were passed,
//! the calls that were put in order ahead of their own return, and the state. Calls that returned earlier are all in
//! order, so that they need not be remembered: a configuration is as large as the concurrency and not as the
//! history. Two orders that lead to the same configuration have the same future, so each is entered once.
//!
//! Four things keep the number of configurations small, and none changes the answer:
//!
//! * A pure call that is legal now is put in order at once. In any continuation it can be moved here: it is legal here,
//!   leaves the state alone here, and is not missed there.
//! * The call whose return comes next is tried first; others are put ahead of it only if that leads nowhere.
//! * Of equal calls that may never have happened the earliest is taken first, since it can stand in for the others.
//! * A call that may never have happened and changes nothing now is left.

use std::time::Instant;

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use super::problem::Call;
use crate::model::Model;

/// What a search came to.
#[derive(Debug)]
pub(super) enum Found {
    /// A legal order of the calls, by their numbers.
    Order(Vec<usize>),
    /// There is none: no order passes this call's return, and some order passes all returns before it.
    Stuck {
        /// The call's number.
        blocker: usize,
    },
    /// The budget was used up.
    GaveUp {
        /// In words.
        reason: String,
    },
}

/// How much a search may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    deadline: Instant,
    memory: usize,
    steps: u32,
}

impl Budget {
    pub(super) fn new(deadline: Instant, memory: usize) -> Self {
        Budget { deadline, memory, steps: 0 }
    }

    /// Why to stop, given how many configurations were remembered. The clock is looked at now and then.
    fn spent(&mut self, configurations: usize) -> Option<String> {
        const STEPS_PER_LOOK: u32 = 1024;
        if configurations > self.memory / A_CONFIGURATION {
            return Some(format!("gave up after {configurations} configurations without an answer"));
        }
        self.steps = self.steps.wrapping_add(1);
        let late = self.steps.is_multiple_of(STEPS_PER_LOOK) && Instant::now() > self.deadline;
        late.then(|| format!("ran out of time after {configurations} configurations without an answer"))
    }
}

/// How many bytes one takes, roughly.
pub(super) const A_CONFIGURATION: usize = 100;

/// Calls put in order before their return was passed: numbers, sorted.
type Ahead = SmallVec<[u32; 6]>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Configuration<S> {
    /// How many returns were passed.
    rank: u32,
    ahead: Ahead,
    state: S,
}

/// A configuration on the way from the beginning, and what was tried from it.
struct Frame<S> {
    configuration: Configuration<S>,
    /// How long the order was when it was entered.
    order: usize,
    tried: usize,
}

/// Searches for a legal order of calls, which are sorted by their start.
pub(super) fn search<M: Model>(model: &M, init: &M::State, calls: &[Call<M::Op>], budget: &mut Budget) -> Found {
    Search { model, calls, windows: Windows::new(calls), order: Vec::new() }.run(init, budget)
}

struct Search<'a, M: Model> {
    model: &'a M,
    calls: &'a [Call<M::Op>],
    windows: Windows,
    /// The calls in the order so far.
    order: Vec<u32>,
}

impl<M: Model> Search<'_, M> {
    fn run(mut self, init: &M::State, budget: &mut Budget) -> Found {
        let mut seen: FxHashSet<Configuration<M::State>> = FxHashSet::default();
        let mut farthest = 0;
        let mut first = Configuration { rank: 0, ahead: Ahead::new(), state: init.clone() };
        self.take_pure(&mut first);
        let mut path = vec![Frame { configuration: first, order: self.order.len(), tried: 0 }];
        while let Some(frame) = path.last_mut() {
            let rank = frame.configuration.rank as usize;
            if rank == self.windows.returns.len() {
                return Found::Order(self.order.iter().map(|&call| call as usize).collect());
            }
            farthest = rank.max(farthest);
            if let Some(reason) = budget.spent(seen.len()) {
                return Found::GaveUp { reason };
            }
            self.order.truncate(frame.order);
            let Some(call) = self.windows.candidate(rank, frame.tried) else {
                path.pop();
                continue;
            };
            frame.tried += 1;
            let Some(next) = self.after(&frame.configuration, call) else { continue };
            if !seen.contains(&next) {
                seen.insert(next.clone());
                path.push(Frame { configuration: next, order: self.order.len(), tried: 0 });
            }
        }
        Found::Stuck { blocker: self.windows.returns[farthest] as usize }
    }

    /// The configuration after putting this call next in order, if that is legal and worth trying.
    fn after(&mut self, from: &Configuration<M::State>, call: u32) -> Option<Configuration<M::State>> {
        let at = from.ahead.binary_search(&call).err()?;
        let Call { op, must, .. } = &self.calls[call as usize];
        let state = self.model.step(&from.state, op)?;
        if !must && (state == from.state || self.has_earlier_equal(from, call)) {
            return None;
        }
        let mut next = Configuration { rank: from.rank, ahead: from.ahead.clone(), state };
        next.ahead.insert(at, call);
        self.order.push(call);
        self.pass_returns(&mut next);
        self.take_pure(&mut next);
        Some(next)
    }

    fn has_earlier_equal(&self, from: &Configuration<M::State>, call: u32) -> bool {
        let op = &self.calls[call as usize].op;
        let earlier = self.windows.at(from.rank as usize).iter().take_while(|&&other| other < call);
        earlier.copied().any(|other| {
            let twin = &self.calls[other as usize];
            !twin.must && twin.op == *op && from.ahead.binary_search(&other).is_err()
        })
    }

    /// Passes the returns of calls that are in order, and forgets the calls that are over.
    fn pass_returns(&self, configuration: &mut Configuration<M::State>) {
        let before = configuration.rank;
        let passed = |call: &u32| configuration.ahead.binary_search(call).is_ok();
        configuration.rank +=
            self.windows.returns[before as usize..].iter().take_while(|call| passed(call)).count() as u32;
        if configuration.rank > before {
            let end = self.windows.returns.get(configuration.rank as usize);
            let now = end.map_or(u32::MAX, |&call| self.calls[call as usize].end);
            configuration.ahead.retain(|call| self.calls[*call as usize].end >= now);
        }
    }

    /// Puts all pure calls in order that are legal now.
    fn take_pure(&mut self, configuration: &mut Configuration<M::State>) {
        loop {
            let rank = configuration.rank as usize;
            for &call in self.windows.at(rank) {
                let Call { op, must, .. } = &self.calls[call as usize];
                if !must || !self.model.is_pure(op) || self.model.step(&configuration.state, op).is_none() {
                    continue;
                }
                if let Err(at) = configuration.ahead.binary_search(&call) {
                    configuration.ahead.insert(at, call);
                    self.order.push(call);
                }
            }
            self.pass_returns(configuration);
            if configuration.rank as usize == rank {
                break;
            }
        }
    }
}

/// For each return, the calls that may be put in order while it is the next to be passed.
#[derive(Debug)]
struct Windows {
    /// The calls that surely happened, by their return.
    returns: Vec<u32>,
    /// The windows, one after another.
    calls: Vec<u32>,
    /// Where each begins; one more than there are windows.
    starts: Vec<usize>,
}

impl Windows {
    fn new<Op>(calls: &[Call<Op>]) -> Self {
        let mut returns: Vec<u32> = (0..calls.len() as u32).filter(|&call| calls[call as usize].must).collect();
        returns.sort_by_key(|&call| calls[call as usize].end);
        let mut windows = Windows { returns, calls: Vec::new(), starts: vec![0] };
        let mut open: Vec<u32> = Vec::new();
        let mut coming = 0..calls.len() as u32;
        for &blocker in &windows.returns {
            let now = calls[blocker as usize].end;
            open.retain(|&call| calls[call as usize].end >= now);
            while let Some(call) = coming.clone().next().filter(|&call| calls[call as usize].start < now) {
                coming.next();
                if calls[call as usize].end >= now {
                    open.push(call);
                }
            }
            windows.calls.extend_from_slice(&open);
            windows.starts.push(windows.calls.len());
        }
        windows
    }

    /// The window of the return with this rank; empty after the last.
    fn at(&self, rank: usize) -> &[u32] {
        match self.starts.get(rank..rank + 2) {
            Some(&[from, to]) => &self.calls[from..to],
            _ => &[],
        }
    }

    /// The window's calls, the one that returns next before all others.
    fn candidate(&self, rank: usize, tried: usize) -> Option<u32> {
        let blocker = self.returns[rank];
        match tried.checked_sub(1) {
            None => Some(blocker),
            Some(at) => self.at(rank).get(at).copied(),
        }
    }
}
