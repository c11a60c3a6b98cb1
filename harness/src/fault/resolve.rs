//! From what is wanted to who is meant: shapes become directed cuts, targets become nodes.
//!
//! Nodes are indices here, from 0. Whatever is drawn is drawn from the generator handed in.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::{Direction, Fault, PacketTrouble, Shape, Targets, Workers};
use crate::net::Links;

/// Who is meant by a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// Directed links, of a partition.
    Links(Links),
    /// Workers, of a fault of clients; at least one.
    Workers(Vec<usize>),
    /// Nodes, of every other fault; at least one.
    Nodes(Vec<usize>),
}

/// What has to be known of a cluster to say who is meant.
pub(crate) struct Situation<'a> {
    /// The nodes' names.
    pub names: &'a [String],
    /// The node that says it leads, if it was asked for and there is one.
    pub leader: Option<usize>,
    /// The nodes that run and are not paused.
    pub running: &'a [usize],
    /// The clients.
    pub clients: Crew,
}

/// What has to be known of clients. The default has none that could be hit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crew {
    /// The workers whose clients live, and on which no fault is.
    pub free: Vec<usize>,
    /// The worker that has last acquired a lock and done nothing with it yet; if there is none, the last that has not
    /// begun to release it.
    pub holder: Option<usize>,
}

impl Situation<'_> {
    fn leader(&self) -> Result<usize, String> {
        self.leader.ok_or_else(|| "no node says at the moment that it leads".to_owned())
    }

    /// A node, or the clients.
    fn party(&self, name: &str) -> Result<usize, String> {
        if name == CLIENTS { Ok(self.names.len()) } else { self.index(name) }
    }

    fn index(&self, name: &str) -> Result<usize, String> {
        self.names
            .iter()
            .position(|known| known == name)
            .ok_or_else(|| format!("there is no node `{name}`; the nodes are: {}", self.names.join(", ")))
    }
}

/// What the clients are called among the nodes.
pub(crate) const CLIENTS: &str = "clients";

/// What a node is called, or the clients.
pub(crate) fn party(index: usize, names: &[String]) -> &str {
    names.get(index).map_or(CLIENTS, String::as_str)
}

/// One of those who say that they lead, if anybody does.
pub(crate) fn one_of(leaders: &[usize], rng: &mut impl Rng) -> Option<usize> {
    (!leaders.is_empty()).then(|| leaders[rng.random_range(0..leaders.len())])
}

/// Whom a fault means at the moment, or why it means nobody.
pub(crate) fn meant(fault: &Fault, situation: &Situation<'_>, rng: &mut impl Rng) -> Result<Meant, String> {
    Ok(match fault {
        Fault::Partition(shape) => Meant::Links(cuts(shape, situation, rng)?),
        Fault::Client { targets, .. } => Meant::Workers(workers(targets, &situation.clients, rng)?),
        other => {
            let targets = other.targets().expect("every other fault has nodes for targets");
            Meant::Nodes(nodes(targets, situation, rng)?)
        }
    })
}

/// The fault that does exactly this again: to the same links, to the same nodes.
pub(crate) fn exact(fault: &Fault, meant: &Meant, names: &[String]) -> Fault {
    let mut exact = fault.clone();
    match (&mut exact, meant) {
        (Fault::Partition(shape), Meant::Links(links)) => *shape = exact_shape(links, names),
        (Fault::Client { targets, .. }, Meant::Workers(workers)) => *targets = Workers::Numbers(workers.clone()),
        (_, Meant::Links(_)) => unreachable!("only a partition means links"),
        (_, Meant::Workers(_)) => unreachable!("only a fault of clients means workers"),
        (other, Meant::Nodes(nodes)) => {
            other.aim(Targets::Nodes(nodes.iter().map(|node| names[*node].clone()).collect()));
        }
    }
    exact
}

/// The links whose packets are in trouble: those with clients only if these are named.
pub(crate) fn troubled(trouble: &PacketTrouble, targets: impl Iterator<Item = usize>, names: &[String]) -> Links {
    let named = |peer: usize| trouble.peers.iter().any(|name| name == party(peer, names));
    let peers: Vec<usize> = match trouble.peers.is_empty() {
        true => (0..names.len()).collect(),
        false => (0..=names.len()).filter(|peer| named(*peer)).collect(),
    };
    let mut links = Links::new();
    for node in targets {
        for peer in peers.iter().copied().filter(|peer| *peer != node) {
            if trouble.direction != Direction::In {
                links.insert((node, peer));
            }
            if trouble.direction != Direction::Out {
                links.insert((peer, node));
            }
        }
    }
    links
}

/// What `here` means of a fault that no point has triggered.
const NOWHERE: &str = "`here` is the node at which a point was reached, and none was";

/// The links a shape cuts.
fn cuts(shape: &Shape, situation: &Situation<'_>, rng: &mut impl Rng) -> Result<Links, String> {
    let count = situation.names.len();
    if count < 2 && !shape.is_about_clients() {
        return Err("a cluster of one node has no link to cut".to_owned());
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(rng);
    let tolerated = (count - 1) / 2;
    Ok(match shape {
        Shape::Halves => apart(&order, count / 2),
        Shape::One => apart(&order, 1),
        Shape::Minority => apart(&order, rng.random_range(1..=tolerated.max(1))),
        Shape::Leader => {
            let leader = situation.leader()?;
            order.sort_by_key(|node| *node != leader);
            apart(&order, 1)
        }
        Shape::LeaderMute => {
            let leader = situation.leader()?;
            order.retain(|node| *node != leader);
            pairs(&[leader], &order).collect()
        }
        Shape::OneWay => {
            let half = if rng.random() { count / 2 } else { count - count / 2 };
            let (senders, receivers) = order.split_at(half);
            pairs(senders, receivers).collect()
        }
        Shape::Bridge => {
            if count < 3 {
                return Err("a bridge takes at least three nodes".to_owned());
            }
            let halves = &order[1..];
            apart(halves, halves.len() / 2)
        }
        Shape::MajoritiesRing => {
            if count < 3 {
                return Err("a ring of majorities takes at least three nodes".to_owned());
            }
            ring(&order)
        }
        Shape::Here => return Err(NOWHERE.to_owned()),
        Shape::LeaderFromClients => {
            let leader = situation.leader()?;
            Links::from([(leader, count), (count, leader)])
        }
        Shape::Node(name) => {
            let node = situation.index(name)?;
            order.sort_by_key(|other| *other != node);
            apart(&order, 1)
        }
        Shape::Cuts(wanted) => named_cuts(wanted, situation)?,
    })
}

/// Both directions between the first `size` nodes and the others.
fn apart(order: &[usize], size: usize) -> Links {
    let (left, right) = order.split_at(size);
    pairs(left, right).chain(pairs(right, left)).collect()
}

fn pairs<'a>(from: &'a [usize], to: &'a [usize]) -> impl Iterator<Item = (usize, usize)> + 'a {
    from.iter().flat_map(move |from| to.iter().map(move |to| (*from, *to)))
}

/// Each node hears the majority that lies around it on the ring, and nobody else.
fn ring(order: &[usize]) -> Links {
    let count = order.len();
    let majority = count / 2 + 1;
    let before = (majority - 1) / 2;
    let mut links = Links::new();
    for position in 0..count {
        for step in majority..count {
            links.insert((order[(position + count - before + step) % count], order[position]));
        }
    }
    links
}

fn named_cuts(wanted: &BTreeMap<String, BTreeSet<String>>, situation: &Situation<'_>) -> Result<Links, String> {
    let mut links = Links::new();
    for (node, deaf_to) in wanted {
        let to = situation.party(node)?;
        for name in deaf_to {
            let from = situation.party(name)?;
            if from == to {
                return Err(format!("`{name}` cannot be cut off from itself"));
            }
            links.insert((from, to));
        }
    }
    Ok(links)
}

/// The shape that cuts exactly these links.
pub(crate) fn exact_shape(links: &Links, names: &[String]) -> Shape {
    let mut cuts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in links {
        cuts.entry(party(*to, names).to_owned()).or_default().insert(party(*from, names).to_owned());
    }
    Shape::Cuts(cuts)
}

/// The nodes that targets mean, in ascending order; at least one.
fn nodes(targets: &Targets, situation: &Situation<'_>, rng: &mut impl Rng) -> Result<Vec<usize>, String> {
    let tolerated = (situation.names.len() - 1) / 2;
    let mut random = situation.running.to_vec();
    random.shuffle(rng);
    let mut chosen = match targets {
        Targets::One => random.into_iter().take(1).collect(),
        Targets::Minority => random.into_iter().take(tolerated.max(1)).collect(),
        Targets::Majority => random.into_iter().take(tolerated + 1).collect(),
        Targets::All => random,
        Targets::Leader => vec![situation.leader()?],
        Targets::Followers => {
            let leader = situation.leader()?;
            random.into_iter().filter(|node| *node != leader).collect()
        }
        Targets::Here => return Err(NOWHERE.to_owned()),
        Targets::Nodes(names) => names.iter().map(|name| situation.index(name)).collect::<Result<Vec<_>, _>>()?,
    };
    chosen.sort_unstable();
    chosen.dedup();
    if let Some(idle) = chosen.iter().find(|node| !situation.running.contains(node)) {
        return Err(format!("{} does not run at the moment", situation.names[*idle]));
    }
    if chosen.is_empty() {
        return Err("no node runs that could be hit".to_owned());
    }
    Ok(chosen)
}

/// The workers that are meant, in ascending order; at least one.
fn workers(targets: &Workers, crew: &Crew, rng: &mut impl Rng) -> Result<Vec<usize>, String> {
    let Crew { free, holder } = crew;
    if free.is_empty() {
        return Err("no client lives that could be hit".to_owned());
    }
    let mut chosen = match targets {
        Workers::One => vec![free[rng.random_range(0..free.len())]],
        Workers::All => free.clone(),
        Workers::Holder => vec![holder.ok_or("no client is known to hold a lock at the moment")?],
        Workers::Numbers(numbers) => numbers.clone(),
    };
    chosen.sort_unstable();
    chosen.dedup();
    match chosen.iter().find(|worker| !free.contains(worker)) {
        Some(other) => Err(format!("client {other} is not there at the moment, or another fault is on it")),
        None => Ok(chosen),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::fault::ClientTrouble;

    fn names(count: usize) -> Vec<String> {
        (1..=count).map(|id| format!("n{id}")).collect()
    }

    fn cut(shape: &Shape, count: usize, seed: u64) -> Links {
        let names = names(count);
        let situation = Situation { names: &names, leader: Some(count - 1), running: &[], clients: Crew::default() };
        cuts(shape, &situation, &mut ChaCha8Rng::seed_from_u64(seed))
            .unwrap_or_else(|error| panic!("{shape} of {count} nodes, seed {seed}: {error}"))
    }

    /// Whom each node still hears, itself included.
    fn heard(links: &Links, count: usize) -> Vec<BTreeSet<usize>> {
        (0..count).map(|to| (0..count).filter(|from| !links.contains(&(*from, to))).collect()).collect()
    }

    #[test]
    fn a_ring_shows_each_node_a_majority_of_its_own() {
        for count in 3..=9 {
            for seed in 0..20 {
                let views = heard(&cut(&Shape::MajoritiesRing, count, seed), count);
                for (node, view) in views.iter().enumerate() {
                    assert_eq!(view.len(), count / 2 + 1, "{count} nodes, seed {seed}: view of {node}");
                    assert!(view.contains(&node), "{count} nodes, seed {seed}: {node} hears itself");
                }
                let distinct: BTreeSet<_> = views.iter().collect();
                assert_eq!(distinct.len(), count, "{count} nodes, seed {seed}: no two views are equal");
            }
        }
    }

    #[test]
    fn symmetric_shapes_cut_both_directions() {
        for shape in [Shape::Halves, Shape::One, Shape::Bridge, Shape::Leader, Shape::Minority] {
            for seed in 0..20 {
                let links = cut(&shape, 5, seed);
                let back: Links = links.iter().map(|(from, to)| (*to, *from)).collect();
                assert_eq!(links, back, "{shape}, seed {seed}");
            }
        }
    }

    #[test]
    fn one_way_lets_packets_cross_in_one_direction_only() {
        for seed in 0..20 {
            let links = cut(&Shape::OneWay, 5, seed);
            assert_eq!(links.len(), 6, "seed {seed}: two and three nodes");
            assert!(links.iter().all(|(from, to)| !links.contains(&(*to, *from))), "seed {seed}");
        }
    }

    #[test]
    fn a_mute_leader_hears_everybody_and_nobody_hears_it() {
        let heard = heard(&cut(&Shape::LeaderMute, 5, 3), 5);
        assert_eq!(heard[4].len(), 5, "the leader");
        assert!(heard[..4].iter().all(|of| of.len() == 4 && !of.contains(&4)), "{heard:?}");
    }

    #[test]
    fn sizes_of_the_sides() {
        for seed in 0..20 {
            let smaller = |shape: &Shape| heard(&cut(shape, 5, seed), 5).iter().map(BTreeSet::len).min();
            assert_eq!(smaller(&Shape::Halves), Some(2), "seed {seed}");
            assert_eq!(smaller(&Shape::One), Some(1), "seed {seed}");
            assert!(smaller(&Shape::Minority) <= Some(2), "seed {seed}");
            let bridge = heard(&cut(&Shape::Bridge, 5, seed), 5);
            let mut seen: Vec<_> = bridge.iter().map(BTreeSet::len).collect();
            seen.sort_unstable();
            assert_eq!(seen, [3, 3, 3, 3, 5], "seed {seed}");
        }
    }

    #[test]
    fn the_clients_and_the_leader_no_longer_hear_each_other() {
        let links = cut(&Shape::LeaderFromClients, 5, 3);
        assert_eq!(links, Links::from([(4, 5), (5, 4)]));
        let exact = exact_shape(&links, &names(5));
        assert_eq!(exact.to_string(), "n5→clients, clients→n5");
        assert_eq!(cut(&exact, 5, 0), links);
    }

    #[test]
    fn the_leader_is_cut_off_alone() {
        assert_eq!(heard(&cut(&Shape::Leader, 5, 3), 5)[4], BTreeSet::from([4]));
    }

    #[test]
    fn a_fault_at_a_point_hits_the_node_that_came_there_and_is_exact() {
        let names = names(3);
        let situation = Situation { names: &names, leader: None, running: &[0, 1, 2], clients: Crew::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut who = |fault: &Fault| meant(fault, &situation, &mut rng);
        for fault in [Fault::Kill(Targets::Here), Fault::Partition(Shape::Here)] {
            assert_eq!(who(&fault), Err(NOWHERE.to_owned()));
        }
        let kill = Fault::Kill(Targets::Here).located("n2");
        let killed = who(&kill).expect("n2 runs");
        assert_eq!((&killed, exact(&kill, &killed, &names)), (&Meant::Nodes(vec![1]), kill.clone()));
        let cut = Fault::Partition(Shape::Here).located("n2");
        let alone = Links::from([(0, 1), (1, 0), (1, 2), (2, 1)]);
        assert_eq!(who(&cut), Ok(Meant::Links(alone.clone())));
        let again = exact(&cut, &Meant::Links(alone.clone()), &names);
        assert_eq!(who(&again), Ok(Meant::Links(alone)), "{again}");
    }

    #[test]
    fn an_exact_shape_cuts_the_same_links_again() {
        for seed in 0..20 {
            let links = cut(&Shape::MajoritiesRing, 5, seed);
            assert_eq!(cut(&exact_shape(&links, &names(5)), 5, 0), links, "seed {seed}");
        }
    }

    #[test]
    fn trouble_hits_the_links_of_its_targets_with_their_peers_one_way_or_both() {
        let names = names(3);
        let links = |peers: &[&str], direction| {
            let peers = peers.iter().map(|name| (*name).to_owned()).collect();
            let trouble = PacketTrouble { peers, direction, ..PacketTrouble::none(Targets::One) };
            troubled(&trouble, [0].into_iter(), &names)
        };
        assert_eq!(links(&[], Direction::Both), Links::from([(0, 1), (1, 0), (0, 2), (2, 0)]));
        assert_eq!(links(&[], Direction::Out), Links::from([(0, 1), (0, 2)]));
        assert_eq!(links(&["n1", "n3"], Direction::In), Links::from([(2, 0)]), "nobody has a link with itself");
        assert_eq!(links(&["clients"], Direction::Both), Links::from([(0, 3), (3, 0)]));
        assert_eq!(links(&["n2", "clients"], Direction::Out), Links::from([(0, 1), (0, 3)]));
    }

    #[test]
    fn targets_mean_running_nodes_only() {
        let names = names(5);
        let situation = Situation { names: &names, leader: Some(2), running: &[0, 2, 4], clients: Crew::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut meant = |targets| nodes(&targets, &situation, &mut rng);
        assert_eq!(meant(Targets::All), Ok(vec![0, 2, 4]));
        assert_eq!(meant(Targets::Leader), Ok(vec![2]));
        assert_eq!(meant(Targets::Followers), Ok(vec![0, 4]));
        assert_eq!(meant(Targets::Minority).map(|nodes| nodes.len()), Ok(2));
        assert_eq!(meant(Targets::Majority).map(|nodes| nodes.len()), Ok(3));
        assert_eq!(meant(Targets::Nodes(vec!["n2".into()])), Err("n2 does not run at the moment".into()));
        assert_eq!(
            meant(Targets::Nodes(vec!["n9".into()])),
            Err("there is no node `n9`; the nodes are: n1, n2, n3, n4, n5".into())
        );
    }

    #[test]
    fn faults_of_clients_mean_clients_that_can_be_hit_and_are_exact() {
        let names = names(3);
        let clients = Crew { free: vec![0, 2, 5], holder: Some(5) };
        let situation = Situation { names: &names, leader: None, running: &[], clients };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let of = |targets| Fault::Client { targets, trouble: ClientTrouble::Pause };
        let mut who = |targets| meant(&of(targets), &situation, &mut rng);
        assert_eq!(who(Workers::All), Ok(Meant::Workers(vec![0, 2, 5])));
        assert_eq!(who(Workers::Numbers(vec![2, 0])), Ok(Meant::Workers(vec![0, 2])));
        assert!(who(Workers::Numbers(vec![1])).expect_err("it is not there").contains("client 1 is not there"));
        let holder = who(Workers::Holder).expect("it is known");
        assert_eq!(exact(&of(Workers::Holder), &holder, &names), of(Workers::Numbers(vec![5])));
        let nobody = Situation { clients: Crew { holder: None, ..situation.clients.clone() }, ..situation };
        assert!(meant(&of(Workers::Holder), &nobody, &mut rng).expect_err("nobody holds").contains("hold a lock"));
    }

    #[test]
    fn without_a_leader_nobody_can_be_meant_by_it() {
        let names = names(3);
        let situation = Situation { names: &names, leader: None, running: &[0, 1, 2], clients: Crew::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert!(cuts(&Shape::Leader, &situation, &mut rng).is_err());
        assert!(nodes(&Targets::Leader, &situation, &mut rng).is_err());
    }
}
