//! How patient a member is.

use std::time::Duration;

/// How patient a member is. The heartbeat must be much shorter than the least election timeout.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The least time without a leader before a member asks for votes.
    pub election_min: Duration,
    /// The most; also the time without a quorum after which a leader gives up.
    pub election_max: Duration,
    /// How often a leader speaks to each member at least.
    pub heartbeat: Duration,
}

impl Default for Timeouts {
    /// The paper's: 150 to 300 ms (§5.2, §9.3).
    fn default() -> Self {
        Timeouts {
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(300),
            heartbeat: Duration::from_millis(40),
        }
    }
}
