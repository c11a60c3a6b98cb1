//! What a failed run says.

use std::fmt;

use crate::replica::Time;

/// A broken invariant, with all that is needed to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// The virtual time.
    pub at: Time,
    /// Which invariant, and what broke it.
    pub what: String,
    /// The last trace lines.
    pub trace: String,
}

impl Violation {
    /// The command that runs the same seed again, from inside a test of this package.
    #[must_use]
    pub fn repeat(&self) -> String {
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main").unwrap_or("");
        format!("GRUDGE_SEED={} cargo test -p grudge-nodes {test} -- --nocapture", self.seed)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        writeln!(f, "seed {} at {:.6} s of virtual time; the last steps:", self.seed, self.at.as_secs_f64())?;
        f.write_str(&self.trace)?;
        write!(f, "repeat it: {}", self.repeat())
    }
}

impl std::error::Error for Violation {}
