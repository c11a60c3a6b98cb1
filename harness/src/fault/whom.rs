//! Whom a fault hits.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::resolve;

/// Whom a fault hits. Only nodes that run and are not paused are counted in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Targets {
    /// A random node.
    One,
    /// As many random nodes as a cluster may lose and still serve.
    Minority,
    /// One more than that.
    Majority,
    /// All of them.
    All,
    /// The one that says it leads.
    Leader,
    /// All that do not say they lead.
    Followers,
    /// The node at which the fault's trigger fired.
    Here,
    /// Exactly these.
    Nodes(Vec<String>),
}

impl Targets {
    /// Whether it takes a leader to say who they are.
    #[must_use]
    pub fn needs_leader(&self) -> bool {
        matches!(self, Targets::Leader | Targets::Followers)
    }

    /// Whether they are one node, whoever that is.
    pub(super) fn is_single(&self) -> bool {
        match self {
            Targets::One | Targets::Leader | Targets::Here => true,
            Targets::Minority | Targets::Majority | Targets::All | Targets::Followers => false,
            Targets::Nodes(names) => names.len() == 1,
        }
    }
}

/// The workers whose clients a fault hits. Only clients that live and on which no fault is are counted in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workers {
    /// A random one.
    One,
    /// All of them.
    All,
    /// The last that has acquired a lock and done nothing with it yet, as far as it knows itself; if there is none for
    /// half a second, the last that has not begun to release it, or whoever is next within two seconds.
    Holder,
    /// Exactly these, by their numbers from 0.
    Numbers(Vec<usize>),
}

/// Who no longer hears whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Two halves; of an odd number, one has one node more.
    Halves,
    /// One node alone.
    One,
    /// Every node sees a majority, and no two see the same. With an even majority some links are cut one way only.
    MajoritiesRing,
    /// Two halves that only one node in the middle sees both of.
    Bridge,
    /// Two halves, and packets cross in one direction only.
    OneWay,
    /// The leader alone.
    Leader,
    /// Nobody hears the leader, who hears everybody: it goes on logging what is asked of it.
    LeaderMute,
    /// The leader and the clients do not hear each other; the nodes do.
    LeaderFromClients,
    /// A minority of random size.
    Minority,
    /// The node alone at which the fault's trigger fired.
    Here,
    /// That node alone.
    Node(String),
    /// Exactly this: each named node drops what comes from the nodes listed. The clients, all together, are `clients`.
    Cuts(BTreeMap<String, BTreeSet<String>>),
}

impl Shape {
    /// Whether it takes a leader to say whom it means.
    #[must_use]
    pub fn needs_leader(&self) -> bool {
        matches!(self, Shape::Leader | Shape::LeaderMute | Shape::LeaderFromClients)
    }

    /// Whether it keeps clients from nodes.
    #[must_use]
    pub fn is_about_clients(&self) -> bool {
        match self {
            Shape::LeaderFromClients => true,
            Shape::Cuts(cuts) => {
                let parties = cuts.iter().flat_map(|(node, deaf_to)| deaf_to.iter().chain([node]));
                parties.into_iter().any(|party| party == resolve::CLIENTS)
            }
            _ => false,
        }
    }
}

/// Seen from the nodes a fault hits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// What they send and what they receive.
    #[default]
    Both,
    /// What they receive.
    In,
    /// What they send.
    Out,
}

impl Direction {
    pub(super) fn is_both(&self) -> bool {
        *self == Direction::Both
    }
}
