//! The simulated network: which way is cut, and what becomes of a message.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::options::Options;
use crate::replica::NodeId;

/// One direction of one link that lets nothing through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// Who is not heard.
    pub from: NodeId,
    /// By whom.
    pub to: NodeId,
}

#[derive(Debug)]
pub(super) struct Network {
    cuts: BTreeSet<Cut>,
    rng: ChaCha8Rng,
}

impl Network {
    pub(super) fn new(rng: ChaCha8Rng) -> Self {
        Network { cuts: BTreeSet::new(), rng }
    }

    pub(super) fn cut(&mut self, cuts: impl IntoIterator<Item = Cut>) {
        self.cuts.extend(cuts);
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(super) fn lets_through(&self, from: NodeId, to: NodeId) -> bool {
        !self.cuts.contains(&Cut { from, to })
    }

    /// The delays of the copies that will arrive: none if the message is lost, two if it is repeated.
    pub(super) fn copies(&mut self, options: &Options) -> Vec<Duration> {
        if self.rng.random_bool(options.loss) {
            return Vec::new();
        }
        let mut copies = vec![self.delay(options)];
        if self.rng.random_bool(options.duplicate) {
            copies.push(self.delay(options));
        }
        copies
    }

    fn delay(&mut self, options: &Options) -> Duration {
        let usual = options.delay.draw(&mut self.rng);
        if self.rng.random_bool(options.late_probability) { usual + options.late.draw(&mut self.rng) } else { usual }
    }
}

/// Cuts every link between the two sides, in both directions.
pub(super) fn between(left: &[NodeId], right: &[NodeId]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for &a in left {
        for &b in right {
            cuts.push(Cut { from: a, to: b });
            cuts.push(Cut { from: b, to: a });
        }
    }
    cuts
}
