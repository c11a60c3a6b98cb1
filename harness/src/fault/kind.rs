//! The kinds of faults, and where each exists.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Where a cluster lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arena {
    /// Real processes on a machine.
    Processes,
    /// Real processes, each on a machine of its own.
    Hosts,
    /// Simulated time.
    Simulation,
}

impl Arena {
    /// Where that is which is not here, in a sentence.
    pub(crate) fn elsewhere(self) -> &'static str {
        match self {
            Arena::Processes => "exists in simulation only",
            Arena::Hosts => "is done where all nodes are on this machine only",
            Arena::Simulation => "exists on real processes only",
        }
    }
}

/// A kind of fault, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Some nodes no longer hear some others
    Partition,
    /// Processes stand still for a while (SIGSTOP, SIGCONT)
    Pause,
    /// Processes are killed and started again (SIGKILL)
    Kill,
    /// Machines lose power, and with it what was not fsynced
    Power,
    /// Clocks jump, drift or strobe
    Clock,
    /// Disks are slow or full, fail, or flip bits
    Disk,
    /// Packets are lost, late, damaged or come twice
    Packets,
    /// One thread of a process stands still (on real processes only)
    Thread,
    /// Processes are killed and started at once, one by one or over and over (on real processes only)
    Restart,
    /// Connections are reset (on real processes only)
    Reset,
    /// Processes get little processor time (on real processes only)
    Cpu,
    /// Processes get no more memory than a little, and may die of it (on real processes only)
    Memory,
    /// A node is removed from its cluster and joins again with an empty disk (on real processes only, where members can
    /// be changed)
    Member,
    /// Clients are cut off, stand still or die (on real processes only)
    Client,
}

impl FaultKind {
    /// Whether it can be done there.
    #[must_use]
    pub fn exists(self, arena: Arena) -> bool {
        match self {
            FaultKind::Partition
            | FaultKind::Pause
            | FaultKind::Kill
            | FaultKind::Power
            | FaultKind::Clock
            | FaultKind::Disk => true,
            FaultKind::Thread | FaultKind::Memory | FaultKind::Cpu => arena != Arena::Simulation,
            // The harness's own switch is between the nodes.
            FaultKind::Packets => arena != Arena::Hosts,
            // It takes all nodes, or all connections, in one hand.
            FaultKind::Restart | FaultKind::Reset | FaultKind::Member | FaultKind::Client => arena == Arena::Processes,
        }
    }

    /// Whether it is done where nothing is said of faults: any machine that runs clusters can do it, and it costs
    /// nothing while it is not done.
    #[must_use]
    pub fn is_usual(self, arena: Arena) -> bool {
        match arena {
            Arena::Processes | Arena::Hosts => {
                matches!(self, FaultKind::Partition | FaultKind::Pause | FaultKind::Kill)
            }
            Arena::Simulation => self.exists(arena),
        }
    }

    /// Whether it makes sense at the very node that came to a point of its protocol.
    #[must_use]
    pub fn hits_points(self) -> bool {
        matches!(self, FaultKind::Partition | FaultKind::Pause | FaultKind::Kill | FaultKind::Power)
    }

    /// All that can be done there.
    pub fn all(arena: Arena) -> impl Iterator<Item = FaultKind> {
        FaultKind::value_variants().iter().copied().filter(move |kind| kind.exists(arena))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Partition => "partition",
            FaultKind::Pause => "pause",
            FaultKind::Kill => "kill",
            FaultKind::Power => "power",
            FaultKind::Clock => "clock",
            FaultKind::Disk => "disk",
            FaultKind::Packets => "packets",
            FaultKind::Thread => "thread",
            FaultKind::Restart => "restart",
            FaultKind::Reset => "reset",
            FaultKind::Cpu => "cpu",
            FaultKind::Memory => "memory",
            FaultKind::Member => "member",
            FaultKind::Client => "client",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::kebab;

    #[test]
    fn a_kind_is_called_the_same_everywhere() {
        for kind in FaultKind::value_variants() {
            assert_eq!(kind.name(), kebab(kind));
            assert_eq!(serde_json::to_value(kind).expect("a word"), kind.name());
        }
    }
}
