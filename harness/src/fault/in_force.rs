//! What the cluster keeps of a fault in force.

use super::{Brake, ClientTrouble, DiskTrouble, Hold, Series, Squeeze, clocks, packets};
use crate::net::Links;

/// What the cluster keeps of a fault in force, and what takes it away: nodes as indices from 0.
pub(crate) enum InForce {
    Partition(Links),
    Pause(Vec<usize>),
    Kill(Vec<usize>),
    Restart(Series),
    Thread(Vec<Hold>),
    Member(usize),
    Memory(Vec<usize>, Vec<Squeeze>),
    Cpu(Vec<Brake>),
    Power(Vec<usize>),
    Disk(Vec<usize>, DiskTrouble),
    Clock(clocks::Turned),
    Packets(packets::Troubled),
    /// It is over as soon as it has begun.
    Reset(Vec<usize>),
    /// Workers as indices from 0.
    Client(Vec<usize>, ClientTrouble),
}

impl InForce {
    /// The clocks that it has turned.
    pub(super) fn turned(&self) -> Option<&clocks::Turned> {
        match self {
            InForce::Clock(turned) => Some(turned),
            _ => None,
        }
    }

    /// Ends what goes on by itself.
    pub(crate) async fn abandon(self) {
        if let InForce::Restart(series) = self {
            series.abandon().await;
        }
    }

    /// The threads that it holds.
    pub(super) fn holds(&self) -> &[Hold] {
        match self {
            InForce::Thread(holds) => holds,
            _ => &[],
        }
    }

    /// The lives whose processor time it squeezes.
    pub(crate) fn brakes(&self) -> &[Brake] {
        match self {
            InForce::Cpu(brakes) => brakes,
            _ => &[],
        }
    }

    /// The processes whose memory it squeezes.
    pub(super) fn squeezes(&self) -> &[Squeeze] {
        match self {
            InForce::Memory(_, squeezes) => squeezes,
            _ => &[],
        }
    }
}
