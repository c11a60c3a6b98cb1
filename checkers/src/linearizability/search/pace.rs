//! How much of the time a search has to leave for going the way once more that it found.
//!
//! Going it costs as much for each return as the search costs where it holds one configuration only, which is where it is
//! fastest.

use std::time::{Duration, Instant};

use super::super::budget::Budget;

/// The time is taken after so many returns.
const RETURNS: usize = 256;

pub(super) struct Pace {
    last: Instant,
    /// The least time that so many returns took.
    fastest: Option<Duration>,
}

impl Pace {
    pub(super) fn new(budget: &Budget<'_>) -> Pace {
        Pace { last: budget.now(), fastest: None }
    }

    /// Leaves enough of the time for the returns before this one.
    pub(super) fn keep(&mut self, rank: usize, budget: &mut Budget<'_>) {
        if rank == 0 || !rank.is_multiple_of(RETURNS) {
            return;
        }
        let now = budget.now();
        let took = now.saturating_duration_since(self.last);
        self.last = now;
        let fastest = self.fastest.map_or(took, |fastest| fastest.min(took));
        self.fastest = Some(fastest);
        budget.reserve_time(fastest * (rank / RETURNS) as u32);
    }
}
