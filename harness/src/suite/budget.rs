//! One time for all of a suite.

use std::time::{Duration, Instant};

/// What is left of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    begun: Instant,
    whole: Option<Duration>,
}

impl Budget {
    /// It begins now; none is endless.
    pub(super) fn begin(whole: Option<Duration>) -> Budget {
        Budget { begun: Instant::now(), whole }
    }

    /// Whether a test of that length would end in time.
    pub(super) fn fits(&self, length: Duration) -> bool {
        self.whole.is_none_or(|whole| self.begun.elapsed() + length <= whole)
    }

    /// Why a test was not run.
    pub(super) fn exhausted(&self) -> String {
        let whole = jiff::SignedDuration::try_from(self.whole.unwrap_or_default()).unwrap_or_default();
        format!("it did not fit into what was left of the budget of {whole:#}")
    }
}
