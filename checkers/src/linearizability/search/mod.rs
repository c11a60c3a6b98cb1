//! The search for a legal order: just-in-time linearization (Lowe, "Testing for linearizability", 2017, section 5)
//! over a window.
//!
//! Returns are passed in the order in which they came, and before each, calls are put in order only to let it pass: in
//! any legal order the calls up to the one that returns can be put in order then, and the others later. All
//! configurations that can be where a return is passed are held, and none from before, so that memory grows with
//! what is pending and not with the history. The set is empty if and only if there is no legal order.
//!
//! # Configurations
//!
//! Calls with equal operations are of one *kind*. What lies ahead of a configuration only asks *when* which kind is
//! used; which call is used is a matter of matching. A call can be matched with a use while it is pending. Let a
//! configuration hold the state, the pending calls that are **owed** (each has to be matched with a use to come) and those
//! that are **left** (each use to come has to be matched with one of them). By the theorem of Mendelsohn and Dulmage
//! ("Some generalizations of the problem of distinct representatives", 1958) there is a matching that does both as
//! soon as there are one that covers the owed calls and another that covers the uses. So the two are kept apart: a use
//! takes of what is owed, and of what is left, the call of its kind that ends first, which is best for each by the
//! usual exchange. A call that may never have happened is left and never owed. Equal calls, crashed or not, are so
//! counted and not enumerated.
//!
//! What is owed shrinks beside uses in two ways that cost nothing:
//!
//! * A call that is legal in the state reached and leaves it as it is can be put in order here, or not: it is no longer
//!   owed, and stays left. A pure call never is anything else; it is not even left.
//! * Right before an operation that overwrites the state whatever it was ([`Model::overwrites`]) any other such
//!   call can be put in order unseen, or not: none of them is owed any more.
//!
//! So a configuration stands for many orders at once, all of which it can continue as if it were the best of them.
//! Another with the same state which is owed at least as much and has at most as much left is superfluous.
//!
//! # Crashed calls
//!
//! A call that never returned stays pending, and which of many such calls are left makes many configurations of one.
//! At first they are not counted: each can be used again and again. If there is no order even so, there is none. If
//! there is one (of those found, one with few such uses), it may be that no call is used too often: then it is legal.
//! Otherwise the kinds of those that were are counted from now on, and the search begins anew: counterexample-guided
//! abstraction refinement (Clarke et al., 2000). At the latest when all kinds are counted the answer is exact.
//!
//! # Cost
//!
//! For each return the configurations held, times the uses that are tried to pass it. For registers there are a few
//! for each value. It grows with the number of pending calls that neither overwrite nor are equal, in the worst case
//! exponentially: the problem is NP-complete (Gibbons and Korach, "Testing shared memories", 1997).

mod bits;
mod frontier;
mod order;
mod pace;
mod path;
mod plan;
mod states;
mod window;

use super::budget::{Allowance, Budget, Spent};
use super::problem::Call;
use crate::model::Model;
use bits::Bits;
use frontier::{Configuration, Frontier};
use order::Rebuilt;
use pace::Pace;
use path::{BEGINNING, Paths, Use};
use plan::Plan;
use states::{Interned, Known, States};
use window::{Uncounted, Window};

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
        /// What ran out.
        spent: Spent,
        /// A legal order that passes as many returns as were passed.
        prefix: Vec<usize>,
    },
}

/// Searches for a legal order of calls, which are sorted by their start.
pub(super) fn search<M: Model>(model: &M, init: &M::State, calls: &[Call<M::Op>], allowance: &Allowance) -> Found {
    let mut budget = allowance.share();
    match Plan::new(model, calls, &mut budget) {
        Ok(plan) => match plan.width {
            0..=64 => refine::<M, [u64; 1]>(model, init, calls, plan, allowance),
            65..=128 => refine::<M, [u64; 2]>(model, init, calls, plan, allowance),
            129..=256 => refine::<M, [u64; 4]>(model, init, calls, plan, allowance),
            _ => refine::<M, Box<[u64]>>(model, init, calls, plan, allowance),
        },
        Err(spent) => Found::GaveUp { spent, prefix: Vec::new() },
    }
}

/// Searches with more and more kinds of crashed calls counted, until the answer is certain.
fn refine<M: Model, B: Bits>(
    model: &M,
    init: &M::State,
    calls: &[Call<M::Op>],
    mut plan: Plan,
    allowance: &Allowance,
) -> Found {
    loop {
        let ran = {
            let mut budget = allowance.share();
            let known = Interned::new(model, calls, init, &plan, &mut budget);
            known.and_then(|mut known| {
                let ran = run::<B>(&plan, &mut known, &mut budget);
                if let Ok(Ran::Spent { spent: Spent::Time, .. }) = ran {
                    free_beside(known.into_states());
                }
                ran
            })
        };
        let grace = allowance.with_grace_and_memory();
        let rebuild = |uses: &[Use], ranks| order::rebuild::<M, B>(model, init, calls, &plan, (uses, ranks), &grace);
        match ran {
            Ok(Ran::Through { uses }) => match rebuild(&uses, plan.returns.len()) {
                Rebuilt { order, cut_short: Some(spent), .. } => return Found::GaveUp { spent, prefix: order },
                Rebuilt { order, overused, .. } if overused.is_empty() => return Found::Order(order),
                Rebuilt { overused, .. } => plan.count(&overused),
            },
            Ok(Ran::Stuck { rank }) => return Found::Stuck { blocker: plan.returns[rank] as usize },
            Ok(Ran::Spent { spent, uses, rank }) => {
                return Found::GaveUp { spent, prefix: rebuild(&uses, rank).order };
            }
            Err(spent) => return Found::GaveUp { spent, prefix: Vec::new() },
        }
    }
}

/// How far a search came, and by which uses.
enum Ran {
    Through { uses: Vec<Use> },
    Stuck { rank: usize },
    Spent { spent: Spent, uses: Vec<Use>, rank: usize },
}

fn run<B: Bits>(plan: &Plan, known: &mut dyn Known, budget: &mut Budget<'_>) -> Result<Ran, Spent> {
    let mut search = Search::<B> {
        plan,
        window: Window::new(plan, Uncounted::AsTold, budget)?,
        states: States::new(known, plan),
        paths: Paths::default(),
        frontier: Frontier::new(),
        between: Frontier::new(),
        next: Frontier::new(),
        many_states: 0,
    };
    let none = search.window.none();
    search.frontier.all.push(Configuration { owed: none.clone(), left: none, state: 0, cost: 0, path: BEGINNING });
    let mut pace = Pace::new(budget);
    for rank in 0..plan.returns.len() {
        pace.keep(rank, budget);
        if let Err(spent) = search.pass(rank, budget) {
            let uses = search.paths.to(search.frontier.all[0].path);
            if spent == Spent::Time {
                free_beside([search.frontier, search.between, search.next]);
            }
            return Ok(Ran::Spent { spent, uses, rank });
        }
        if search.frontier.all.is_empty() {
            return Ok(Ran::Stuck { rank });
        }
    }
    let cheapest = search.frontier.all.iter().min_by_key(|one| one.cost);
    Ok(Ran::Through { uses: search.paths.to(cheapest.map_or(BEGINNING, |one| one.path)) })
}

/// Millions of small pieces take long to be freed, and when the time is over nobody waits for it.
fn free_beside<T: Send + 'static>(garbage: T) {
    // Where there is no thread to be had, the garbage is freed at once.
    drop(std::thread::Builder::new().spawn(move || drop(garbage)));
}

struct Search<'a, B> {
    plan: &'a Plan,
    window: Window<'a, B>,
    states: States<'a>,
    paths: Paths,
    /// Where the returns so far were passed.
    frontier: Frontier<B>,
    /// Where the next return was not passed yet.
    between: Frontier<B>,
    /// Where it was.
    next: Frontier<B>,
    /// From so many states on it is worth looking for those that are no longer needed.
    many_states: usize,
}

impl<B: Bits> Search<'_, B> {
    /// Passes the return with this rank wherever it can be passed.
    fn pass(&mut self, rank: usize, budget: &mut Budget<'_>) -> Result<(), Spent> {
        budget.work(1)?;
        let change = self.window.advance(rank);
        for configuration in &mut self.frontier.all {
            budget.work(1)?;
            configuration.owed.subtract(&change.gone);
            configuration.left.subtract(&change.gone);
            configuration.owed.add(&change.owed);
            configuration.left.add(&change.left);
            configuration.owed.subtract(self.window.still(configuration.state, &mut self.states, budget)?);
        }
        let slot = self.window.slot(self.plan.returns[rank]);
        let pending = |one: &Configuration<B>| one.owed.has(slot) || one.left.has(slot);
        if self.frontier.all.iter().any(pending) {
            self.branch(rank, slot, budget)?;
            self.tidy(budget)?;
        }
        self.window.leave(slot);
        Ok(())
    }

    /// Replaces each configuration by those that can follow it after the return of the call in this slot.
    fn branch(&mut self, rank: usize, slot: u32, budget: &mut Budget<'_>) -> Result<(), Spent> {
        self.next.clear(budget);
        self.between.clear(budget);
        for at in 0..self.frontier.all.len() {
            budget.work(1)?;
            let from = &self.frontier.all[at];
            if !from.owed.has(slot) {
                self.passed(from.clone(), slot, budget)?;
            }
            let from = &self.frontier.all[at];
            if from.owed.has(slot) || from.left.has(slot) {
                self.between.insert(from.clone(), self.window.hard(), budget)?;
            }
        }
        let kind = self.plan.kind(self.plan.returns[rank]);
        let mut at = 0;
        while at < self.between.all.len() {
            if !self.between.all[at].is_dead() {
                self.expand(at, rank, slot, kind, budget)?;
            }
            at += 1;
        }
        std::mem::swap(&mut self.frontier, &mut self.next);
        self.frontier.all.retain(|configuration| !configuration.is_dead());
        Ok(())
    }

    /// Uses one call more of each kind that changes the state.
    fn expand(
        &mut self,
        at: usize,
        rank: usize,
        slot: u32,
        blocking: u32,
        budget: &mut Budget<'_>,
    ) -> Result<(), Spent> {
        for place in 0..self.window.kinds().len() {
            let kind = self.window.kinds()[place];
            let from = &self.between.all[at];
            if !self.window.of_kind(kind).any(|slot| from.left.has(slot)) {
                continue;
            }
            let (state, before) = (from.state, from.path);
            let Some(to) = self.states.step(state, kind, budget)?.filter(|&to| to != state) else { continue };
            let mut after = used(&self.window, self.plan, from, kind, to);
            after.owed.subtract(self.window.still(to, &mut self.states, budget)?);
            // Either this was it, or it can be put in order here without changing anything.
            let passes = kind == blocking || self.states.stays(to, blocking, budget)?;
            let ends = kind == blocking || passes && self.plan.kinds[blocking as usize].pure;
            let mut node = BEGINNING;
            let next = if passes { self.passed(after.clone(), slot, budget)? } else { None };
            if let Some(place) = next {
                node = self.paths.push(before, rank, kind, budget)?;
                self.next.all[place].path = node;
            }
            let between = if ends { None } else { self.between.insert(after, self.window.hard(), budget)? };
            if let Some(place) = between {
                if node == BEGINNING {
                    node = self.paths.push(before, rank, kind, budget)?;
                }
                self.between.all[place].path = node;
            }
        }
        Ok(())
    }

    fn passed(
        &mut self,
        mut one: Configuration<B>,
        slot: u32,
        budget: &mut Budget<'_>,
    ) -> Result<Option<usize>, Spent> {
        one.owed.remove(slot);
        one.left.remove(slot);
        self.next.insert(one, self.window.hard(), budget)
    }

    /// Forgets now and then what no configuration needs.
    fn tidy(&mut self, budget: &mut Budget<'_>) -> Result<(), Spent> {
        if self.frontier.all.is_empty() {
            return Ok(());
        }
        if self.paths.is_long() {
            self.paths.collect(self.frontier.all.iter_mut().map(|one| &mut one.path), budget)?;
        }
        const MANY: usize = 256;
        if self.states.count() > self.many_states.max(MANY) {
            let mut numbers: Vec<u32> = self.frontier.all.iter().map(|one| one.state).collect();
            numbers.sort_unstable();
            numbers.dedup();
            self.states.keep(&numbers, budget);
            self.window.forget_states();
            for one in &mut self.frontier.all {
                one.state = numbers.binary_search(&one.state).expect("it was kept") as u32;
            }
            self.many_states = 2 * numbers.len();
        }
        Ok(())
    }
}

/// After a call of this kind was used. What can be put in order in the new state is still owed.
fn used<B: Bits>(window: &Window<'_, B>, plan: &Plan, from: &Configuration<B>, kind: u32, to: u32) -> Configuration<B> {
    let mut after = Configuration { state: to, ..from.clone() };
    match window.of_kind(kind).find(|&slot| from.left.has(slot)) {
        Some(slot) if window.uncounted().has(slot) => after.cost += 1,
        Some(slot) => after.left.remove(slot),
        None => {}
    }
    if plan.kinds[kind as usize].overwrites {
        after.owed.subtract(window.overwriting());
    } else if let Some(slot) = window.of_kind(kind).find(|&slot| from.owed.has(slot)) {
        after.owed.remove(slot);
    }
    after
}
