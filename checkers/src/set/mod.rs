//! A set that only grows, read as a whole: what Jepsen calls *set-full*.
//!
//! | `f` | `value` of the call | `value` when `ok` |
//! |---|---|---|
//! | `add` | the element | |
//! | `read` | | all elements, in any order: a read that sees everything acknowledged before it began |
//! | `read-local` | | the same, of what one node happens to have |
//!
//! # What becomes of an element
//!
//! An element is *known* from the moment at which its addition was acknowledged, or at which a read that showed it
//! returned, whichever came first. From then on each read that begins has to show it.
//!
//! - *ok*: known, and no read missed it;
//! - *stale*: a read missed it, and a later one showed it again;
//! - *lost*: a read missed it, and no read that began after that one showed it;
//! - *never-read*: acknowledged, and no read began afterwards, so nobody knows;
//! - *recovered*: the outcome of its addition was unknown, and a read showed it (it is ok, stale or lost besides);
//! - *phantom*: shown by a read though it was never added: not before the read returned, or only by additions that
//!   certainly did not happen.
//!
//! A history with a phantom, a lost or a stale element is invalid. It costs n log n; only a read that missed something
//! is gone through element by element.

mod elements;
mod report;

use crate::history::History;
use crate::verdict::Verdict;

pub use report::{Counts, Report};

/// What a `read-local` that misses an element proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalReads {
    /// Nothing: a node may be behind. What such a read shows counts all the same.
    MayBeStale,
    /// The same as a `read`.
    AreJudged,
}

/// Whether all that was added stayed, and nothing else came.
///
/// A history that cannot be read, or in which nothing was, is `unknown`.
#[must_use]
pub fn check(history: &History, local: LocalReads) -> Verdict {
    match report(history, local) {
        Ok(Report { witness: Some(witness), .. }) => Verdict::Invalid { witness },
        Ok(Report { reads: 0, .. }) => {
            Verdict::Unknown { reason: "no read of the set succeeded, so nobody knows what it held".to_owned() }
        }
        Ok(_) => Verdict::Valid,
        Err(reason) => Verdict::Unknown { reason },
    }
}

/// As [`check`], and counts what became of the elements.
///
/// # Errors
/// The history cannot be read: which event, and what was expected.
pub fn report(history: &History, local: LocalReads) -> Result<Report, String> {
    report::of(history, local)
}
