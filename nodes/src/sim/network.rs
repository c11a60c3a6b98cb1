//! The simulated network: which way is cut, and what becomes of a message.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::options::Packets;
use super::streams::Purpose;
use crate::replica::NodeId;

/// One direction of one link: a cut lets nothing through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// Who is not heard.
    pub from: NodeId,
    /// By whom.
    pub to: NodeId,
}

#[derive(Debug)]
pub(super) struct Network {
    nodes: usize,
    /// By sender, then by receiver.
    links: Vec<Link>,
    usual: Packets,
}

#[derive(Debug)]
struct Link {
    cut: bool,
    /// Instead of the usual.
    packets: Option<Packets>,
    rng: ChaCha8Rng,
}

/// The delays of the copies of a message that will arrive.
pub(super) struct Copies {
    /// None if the message is lost.
    pub(super) first: Option<Duration>,
    /// If it is repeated.
    pub(super) second: Option<Duration>,
}

impl Network {
    pub(super) fn new(seed: u64, nodes: &[NodeId], usual: Packets) -> Self {
        let pairs = nodes.iter().flat_map(|&from| nodes.iter().map(move |&to| Purpose::Link { from, to }));
        let links = pairs.map(|link| Link { cut: false, packets: None, rng: link.stream(seed) }).collect();
        Network { nodes: nodes.len(), links, usual }
    }

    pub(super) fn cut(&mut self, cuts: &[Cut]) {
        for cut in cuts {
            self.link(cut.from, cut.to).cut = true;
        }
    }

    pub(super) fn heal(&mut self) {
        self.links.iter_mut().for_each(|link| link.cut = false);
    }

    pub(super) fn lets_through(&mut self, from: NodeId, to: NodeId) -> bool {
        !self.link(from, to).cut
    }

    /// Treats the messages of one direction of a link otherwise, or as usual again.
    pub(super) fn treat(&mut self, from: NodeId, to: NodeId, packets: Option<Packets>) {
        self.link(from, to).packets = packets;
    }

    /// What becomes of a message. As much is drawn for each, whatever its fate is.
    pub(super) fn copies(&mut self, from: NodeId, to: NodeId) -> Copies {
        let usual = self.usual;
        let link = self.link(from, to);
        let packets = link.packets.unwrap_or(usual);
        let lost = link.rng.random_bool(packets.loss);
        let delay = packets.delay(&mut link.rng);
        let repeated = link.rng.random_bool(packets.duplicate);
        let second = repeated.then(|| packets.delay(&mut link.rng));
        if lost { Copies { first: None, second: None } } else { Copies { first: Some(delay), second } }
    }

    fn link(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        let place = |node: NodeId| usize::try_from(node.0).unwrap_or(0).wrapping_sub(1);
        let (row, column) = (place(from), place(to));
        assert!(row < self.nodes && column < self.nodes, "this world has no link from {from} to {to}");
        &mut self.links[row * self.nodes + column]
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
