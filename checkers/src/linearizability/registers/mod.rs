//! Registers judged without a search: those whose every value was produced once, and those of which the system told the
//! [`versions`].
//!
//! # Unique values
//!
//! If no value is written twice, each observer has one possible source. All operations on one value form a *cluster*;
//! in a legal order a cluster is contiguous: its producer, then its readers, then the compare-and-set, if any, that
//! takes the value away. Compare-and-sets link clusters into *blocks*, which are contiguous too. For a block let f be
//! its earliest return and s its latest call: block 1 has to come before block 2 if f₁ < s₂. There is a legal order if
//! and only if each block is in order inside and no two blocks have to come before each other; then ordering them by
//! min(f, s) is legal. For plain registers these are the zones of Gibbons and Korach ("Testing shared memories",
//! 1997, section 4).
//!
//! Precondition: what may have happened and is not observed was dropped (`expire`), so that all that is left did
//! happen: it is observed by what happened, or by what is observed, and so on. Its return is never.
//!
//! Cost: n + b log b for n calls in b blocks; 4 words for a value and 4 for a block. What refutes a history is found in
//! one more pass, and is a handful of operations: as many as were open at once.

mod blocks;
mod clusters;
mod refute;
mod versions;

use super::budget::{Budget, Spent};
use super::problem::Problem;
use crate::judgement::Decider;
use crate::model::Model;
use blocks::Unordered;
use clusters::Clusters;

/// What was found.
#[derive(Debug)]
pub(super) enum Judged {
    /// A legal order of the calls, by their numbers, and what decided.
    Order(Vec<usize>, Decider),
    /// These calls contradict each other, and what decided.
    Refuted(Vec<usize>, Decider),
    /// This is not for here: the object is no register, or a value was produced twice and the versions give no order.
    Undecided,
}

/// Judges a problem, if it is of this kind.
pub(super) fn judge<M: Model>(model: &M, problem: &Problem<M>, budget: &mut Budget<'_>) -> Result<Judged, Spent> {
    let Some(clusters) = Clusters::new(model, problem, budget)? else {
        let order = versions::order(model, problem, budget)?;
        return Ok(order.map_or(Judged::Undecided, |order| Judged::Order(order, Decider::Versions)));
    };
    Ok(match clusters.blocks(budget) {
        Ok(blocks) => Judged::Order(clusters.order(&blocks, budget)?, Decider::UniqueValues),
        Err(Unordered::Spent(spent)) => return Err(spent),
        Err(Unordered::Broken(broken)) => Judged::Refuted(clusters.refute(broken), Decider::UniqueValues),
    })
}
