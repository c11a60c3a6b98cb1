//! Streams of randomness, one for each purpose and place.
//!
//! What is drawn for one link, one disk or one client never moves what is drawn for another, so that a world without
//! one of its faults stays as much like the world with it as it can.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::replica::{ClientId, NodeId};

/// What a stream is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// What becomes of the messages on one direction of one link.
    Link { from: NodeId, to: NodeId },
    /// How long a node's fsyncs take.
    Fsync(NodeId),
    /// Where a node's clock begins in each life, and how late its ticks come.
    Clock(NodeId),
    /// What a node's disk keeps in a crash.
    Crash(NodeId),
    /// How long a client's connection takes.
    Client(ClientId),
    /// The drawn schedule of faults.
    Chaos,
    /// In which order a node that was stopped finds what waits for it.
    Resume(NodeId),
}

impl Purpose {
    /// The stream of this purpose in the world of that seed.
    pub(super) fn stream(self, seed: u64) -> ChaCha8Rng {
        let (kind, place) = match self {
            Purpose::Link { from, to } => (1, from.0 << 24 | to.0),
            Purpose::Fsync(node) => (2, node.0),
            Purpose::Clock(node) => (3, node.0),
            Purpose::Crash(node) => (4, node.0),
            Purpose::Client(client) => (5, client.0),
            Purpose::Chaos => (6, 0),
            Purpose::Resume(node) => (7, node.0),
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(kind << 56 | place);
        rng
    }
}
