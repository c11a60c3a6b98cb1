//! Who a member is and how patient.

use std::time::Duration;

use crate::bugs::Bug;
use crate::replica::NodeId;

/// Who a member is, whom it knows, how patient it is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its number.
    pub id: NodeId,
    /// The numbers of all members, itself among them or not.
    pub peers: Vec<NodeId>,
    /// How patient it is.
    pub timeouts: Timeouts,
    /// From which its election timeouts are drawn, together with its number and the number of its life.
    pub seed: u64,
    /// The planted bugs it has.
    pub bugs: Vec<Bug>,
    /// How many entries before a snapshot stay in memory, for followers that are only a little behind.
    pub keep_entries: u64,
}

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
