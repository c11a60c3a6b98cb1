//! Trouble that the kernel makes itself, where it has `netem`.
//!
//! ```text
//!   n1 ──▶ bridge ──▶ n2's port: prio ─┬─ what comes from n1 ─▶ band 1, netem ─▶ n2
//!                                      └─ all else ───────────▶ last band ─────▶ n2
//! ```
//!
//! It sits where packets leave the bridge for their receiver: there one `tc` changes the whole cluster, and a sender's
//! TCP does not learn what becomes of them, as it would of what its own device drops. What a node sends to the clients
//! leaves by no port; for that it sits on the node's own device. While anything that they send is treated, senders cut
//! into single packets what they would hand over as one large one, and what would fare as one. (To the clients, a
//! connection that is older goes on as it did.)
//!
//! No link that is not treated passes a netem, and a device that treats none has no discipline at all. The harness's
//! own looks at cuts pass by the last band.
//!
//! Netem is not asked for what it does otherwise than asked; that is for the [switch](super::switch):
//! - One that doubles sends the copy through the whole tree again, where it is lost and held up for itself; newer
//!   kernels refuse a second netem on its device.
//! - A wrong bit may be in any header, the Ethernet's included, and then it is a loss.
//! - A late packet is one that the others are sent ahead of (`reorder`), past any delay. So it is late or all are held
//!   up, not both.
//!
//! Jitter would change the order; a rate keeps it, and where none is asked for there is one that nothing ever waits
//! for. What is held up when a link's treatment ends is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{Handle, LinkUnspec};

use super::link::{Bridge, OWN, Space, failed, port};
use super::sample::Sampler;
use super::switch::{HELD_BACK, MOST_HELD, QUEUE, Treatment};
use super::{Burst, EXEMPT, HEADER, HUB, NetError, SHORTEST, address_of, program, sample};

type Link = (usize, usize);
type Treatments = BTreeMap<Link, Treatment>;

/// The bands of a `prio`, as many as it can have; the last is for what is not treated.
const BANDS: usize = 16;
/// How many bytes a packet has at most.
const FULL: u64 = 1_500;
/// A rate that nothing waits for.
const ENDLESS: &str = "32gbit";
/// How long the header of Ethernet is, which a rate is not meant to count.
const ETHERNET: u8 = 14;
/// The most packets that TCP hands to a device as one, usually.
const SEGMENTS: u32 = 65_535;

pub(super) struct Netem {
    tc: PathBuf,
    treated: Treatments,
}

/// The device on which a link is treated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The bridge's port towards that node, in the hub.
    Port(usize),
    /// That node's own.
    Own(usize),
}

impl Netem {
    /// Tries whether it loses what it should and nothing else, on a port and on a node's device.
    pub(super) async fn find(
        bridge: &Bridge,
        nodes: &[Space],
        sampler: &Arc<Mutex<Sampler>>,
    ) -> Result<Netem, NetError> {
        let tc = program::find("tc").ok_or_else(|| NetError::Broken("tc is missing".to_owned()))?;
        let mut netem = Netem { tc, treated: Treatments::new() };
        let links = [(nodes.len(), 0), (0, nodes.len())];
        let burst = Burst { packets: 16, bytes: HEADER + SHORTEST, held_up: Duration::ZERO };
        let bursts = BTreeMap::from(links.map(|link| (link, burst)));
        let lost = Treatment { loss: 100, ..Treatment::default() };
        let all_lost: Treatments = links.map(|link| (link, lost.clone())).into();
        for (treated, share) in [(all_lost.clone(), 16), (Treatments::new(), 0)] {
            netem.treat(bridge, nodes, treated).await?;
            let seen = sample(sampler, bursts.clone()).await;
            if !seen.as_ref().is_ok_and(|seen| seen.values().all(|seen| seen.lost == share)) {
                netem.clear(bridge, nodes, &Treatments::new(), &all_lost).await;
                return Err(NetError::Broken(format!("{share} of 16 packets should have been lost: {seen:?}")));
            }
        }
        Ok(netem)
    }

    /// Whether it does to a link just what is asked.
    pub(super) fn can(link: Link, treatment: &Treatment) -> bool {
        let Treatment { duplicate, late, corrupt, delay, jitter, rate, .. } = treatment;
        let held_up = !delay.is_zero() || !jitter.is_zero() || rate.is_some();
        band(link) < BANDS && (*duplicate, *corrupt) == (0, 0) && (*late == 0 || !held_up)
    }

    /// Treats exactly these links so. After an error it treats none.
    pub(super) async fn treat(
        &mut self,
        bridge: &Bridge,
        nodes: &[Space],
        treatments: Treatments,
    ) -> Result<(), NetError> {
        let before = std::mem::take(&mut self.treated);
        match self.change(bridge, nodes, &before, &treatments).await {
            Ok(()) => self.treated = treatments,
            Err(error) => {
                self.clear(bridge, nodes, &before, &treatments).await;
                return Err(error);
            }
        }
        Ok(())
    }

    async fn change(
        &self,
        bridge: &Bridge,
        nodes: &[Space],
        before: &Treatments,
        after: &Treatments,
    ) -> Result<(), NetError> {
        let (old, new) = (senders(before), senders(after));
        for sender in new.difference(&old) {
            segment(bridge, nodes, *sender, 1).await?;
        }
        let batches = commands(before, after, nodes.len());
        try_join_all(batches.iter().map(|(node, batch)| self.batch(nodes, *node, batch))).await?;
        for sender in old.difference(&new) {
            segment(bridge, nodes, *sender, SEGMENTS).await?;
        }
        Ok(())
    }

    /// Takes all away that treating these links has changed, whether there is anything or not.
    async fn clear(&self, bridge: &Bridge, nodes: &[Space], before: &Treatments, after: &Treatments) {
        for sender in senders(before).union(&senders(after)) {
            if let Err(error) = segment(bridge, nodes, *sender, SEGMENTS).await {
                tracing::debug!("{error}");
            }
        }
        let cleared = places(before, after, nodes.len()).into_iter().map(|place| async move {
            let batch = format!("qdisc del dev {} root\n", place.device());
            self.batch(nodes, place.namespace(), &batch).await
        });
        for error in join_all(cleared).await.into_iter().filter_map(Result::err) {
            tracing::debug!("{error}");
        }
    }

    /// Runs `tc` in the namespace of that node, or in the hub.
    async fn batch(&self, nodes: &[Space], node: Option<usize>, commands: &str) -> Result<(), NetError> {
        let space = node.map(|node| &nodes[node]);
        let fed = program::feed(&self.tc, &["-batch", "-"], commands, space.map(|space| space.namespace.as_fd())).await;
        let place = space.map_or("the hub", |space| space.name.as_str());
        fed.map_err(|cause| NetError::Broken(format!("tc failed in {place}: {cause}")))
    }
}

impl Place {
    fn of((from, to): Link, clients: usize) -> Place {
        if to == clients { Place::Own(from) } else { Place::Port(to) }
    }

    fn device(self) -> String {
        match self {
            Place::Port(node) => port(node),
            Place::Own(_) => OWN.to_owned(),
        }
    }

    /// The node in whose namespace it is, or none for the hub.
    fn namespace(self) -> Option<usize> {
        match self {
            Place::Port(_) => None,
            Place::Own(node) => Some(node),
        }
    }
}

/// Each sender has a band of its own on the devices of its receivers.
fn band((from, _): Link) -> usize {
    from + 1
}

fn senders(of: &Treatments) -> BTreeSet<usize> {
    of.keys().map(|link| link.0).collect()
}

fn places(before: &Treatments, after: &Treatments, clients: usize) -> BTreeSet<Place> {
    before.keys().chain(after.keys()).map(|link| Place::of(*link, clients)).collect()
}

/// What `tc` reads to come from these treatments to those, in the namespace of each node concerned and (none) in the
/// hub.
fn commands(before: &Treatments, after: &Treatments, clients: usize) -> BTreeMap<Option<usize>, String> {
    let mut batches: BTreeMap<Option<usize>, String> = BTreeMap::new();
    for place in places(before, after, clients) {
        let here = |of: &Treatments| -> Treatments {
            let here = of.iter().filter(|(link, _)| Place::of(**link, clients) == place);
            here.map(|(link, treatment)| (*link, treatment.clone())).collect()
        };
        let text = on_device(&place.device(), &here(before), &here(after), clients);
        batches.entry(place.namespace()).or_default().push_str(&text);
    }
    batches.retain(|_, text| !text.is_empty());
    batches
}

/// The same on one device. The numbers of classes and handles are hexadecimal.
fn on_device(device: &str, before: &Treatments, after: &Treatments, clients: usize) -> String {
    let mut text = String::new();
    let mut tell = |line: String| writeln!(text, "{line}").expect("a string takes all");
    if after.is_empty() {
        tell(format!("qdisc del dev {device} root"));
        return text;
    }
    if before.is_empty() {
        let last = vec![(BANDS - 1).to_string(); 16].join(" ");
        tell(format!("qdisc add dev {device} root handle 1: prio bands {BANDS} priomap {last}"));
        let exempt = format!("match ip tos {EXEMPT:#x} 0xff flowid 1:{BANDS:x}");
        tell(format!("filter add dev {device} parent 1: protocol ip prio {BANDS} u32 {exempt}"));
    }
    for (link, treatment) in after.iter().filter(|(link, treatment)| before.get(link) != Some(*treatment)) {
        let band = band(*link);
        let handle = BANDS + band;
        tell(format!("qdisc replace dev {device} parent 1:{band:x} handle {handle:x}: {}", netem(treatment)));
        if !before.contains_key(link) {
            let packets = packets(*link, clients);
            let filter = format!("protocol ip prio {handle} u32 match ip {packets} flowid 1:{band:x}");
            tell(format!("filter add dev {device} parent 1: {filter}"));
        }
    }
    for band in before.keys().filter(|link| !after.contains_key(link)).map(|link| band(*link)) {
        tell(format!("filter del dev {device} parent 1: protocol ip prio {}", BANDS + band));
        tell(format!("qdisc del dev {device} parent 1:{band:x}"));
    }
    text
}

/// How the packets of a link are known on its device.
fn packets((from, to): Link, clients: usize) -> String {
    if to == clients { format!("dst {HUB}/32") } else { format!("src {}/32", address_of(from, clients)) }
}

/// All that netem has to be told, since it remembers what it is not told.
fn netem(treatment: &Treatment) -> String {
    let Treatment { loss, late, delay, jitter, rate, .. } = treatment;
    let (least, most) = match late {
        0 => (*delay, *delay + *jitter),
        _ => (Duration::from_nanos(HELD_BACK.start), Duration::from_nanos(HELD_BACK.end)),
    };
    let spread = (most - least).as_micros() / 2;
    let mean = least.as_nanos().div_ceil(1_000) + spread;
    let ahead = if (1..100).contains(late) { format!(" reorder {}%", 100 - late) } else { String::new() };
    let limit = limit(treatment);
    let rate = rate.map_or(ENDLESS.to_owned(), |rate| format!("{rate}kbit"));
    format!("netem limit {limit} delay {mean}us {spread}us loss {loss}%{ahead} rate {rate} -{ETHERNET}")
}

/// As many packets as the switch holds; of a rate as many full ones as may wait for it.
fn limit(treatment: &Treatment) -> u64 {
    let most = MOST_HELD as u64;
    let wait = (QUEUE + treatment.delay + treatment.jitter).as_millis() as u64;
    treatment.rate.map_or(most, |rate| (u64::from(rate) * wait / 8 / FULL).clamp(8, most))
}

/// Makes a sender's device take so many packets as one at most.
async fn segment(bridge: &Bridge, nodes: &[Space], sender: usize, segments: u32) -> Result<(), NetError> {
    let (links, index): (&Handle, u32) =
        nodes.get(sender).map_or((bridge.links(), bridge.index()), |node| (&node.links, node.interface));
    let device = LinkUnspec::new_with_index(index).append_extra_attribute(LinkAttribute::GsoMaxSegs(segments));
    links.link().set(device.build()).execute().await.map_err(failed("have senders cut what they send into packets"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENTS: usize = 3;

    fn batches(before: &[(Link, Treatment)], after: &[(Link, Treatment)]) -> Vec<(Option<usize>, String)> {
        let all = |of: &[(Link, Treatment)]| of.iter().cloned().collect::<Treatments>();
        commands(&all(before), &all(after), CLIENTS).into_iter().collect()
    }

    fn loss(loss: u8) -> Treatment {
        Treatment { loss, ..Treatment::default() }
    }

    #[test]
    fn what_is_asked_for_is_said_to_netem() {
        let ms = Duration::from_millis;
        let table = [
            (loss(20), "netem limit 4096 delay 0us 0us loss 20% rate 32gbit -14"),
            (
                Treatment { delay: ms(30), ..Treatment::default() },
                "netem limit 4096 delay 30000us 0us loss 0% rate 32gbit -14",
            ),
            (
                Treatment { delay: ms(30), jitter: ms(40), ..loss(1) },
                "netem limit 4096 delay 50000us 20000us loss 1% rate 32gbit -14",
            ),
            (
                Treatment { delay: Duration::from_nanos(1), ..Treatment::default() },
                "netem limit 4096 delay 1us 0us loss 0% rate 32gbit -14",
            ),
            (
                Treatment { late: 5, ..Treatment::default() },
                "netem limit 4096 delay 27500us 22500us loss 0% reorder 95% rate 32gbit -14",
            ),
            (
                Treatment { late: 100, ..Treatment::default() },
                "netem limit 4096 delay 27500us 22500us loss 0% rate 32gbit -14",
            ),
            (
                Treatment { rate: Some(2_000), ..Treatment::default() },
                "netem limit 166 delay 0us 0us loss 0% rate 2000kbit -14",
            ),
        ];
        for (treatment, said) in table {
            assert!(Netem::can((0, 1), &treatment), "{treatment:?}");
            assert_eq!(netem(&treatment), said);
        }
    }

    #[test]
    fn what_netem_does_otherwise_is_for_the_switch() {
        let delay = Duration::from_millis(1);
        for treatment in [
            Treatment { duplicate: 1, ..Treatment::default() },
            Treatment { corrupt: 1, ..Treatment::default() },
            Treatment { late: 1, delay, ..Treatment::default() },
            Treatment { late: 1, jitter: delay, ..Treatment::default() },
            Treatment { late: 1, rate: Some(1_000), ..Treatment::default() },
        ] {
            assert!(!Netem::can((0, 1), &treatment), "{treatment:?}");
        }
        assert!(Netem::can((14, 1), &loss(1)), "the last sender that has a band");
        assert!(!Netem::can((15, 1), &loss(1)));
    }

    #[test]
    fn a_device_is_prepared_for_its_first_link_and_forgotten_with_its_last() {
        let root = "qdisc add dev n2 root handle 1: prio bands 16 priomap 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15\n\
                    filter add dev n2 parent 1: protocol ip prio 16 u32 match ip tos 0xfc 0xff flowid 1:10\n";
        let first = "qdisc replace dev n2 parent 1:1 handle 11: netem limit 4096 delay 0us 0us loss 20% rate 32gbit -14\n\
                     filter add dev n2 parent 1: protocol ip prio 17 u32 match ip src 10.42.0.1/32 flowid 1:1\n";
        let second = "qdisc replace dev n2 parent 1:4 handle 14: netem limit 4096 delay 0us 0us loss 5% rate 32gbit -14\n\
                      filter add dev n2 parent 1: protocol ip prio 20 u32 match ip src 10.42.0.254/32 flowid 1:4\n";
        let (one, of_clients) = (((0, 1), loss(20)), ((CLIENTS, 1), loss(5)));
        assert_eq!(batches(&[], std::slice::from_ref(&one)), [(None, format!("{root}{first}"))]);
        let both = [one.clone(), of_clients.clone()];
        assert_eq!(batches(std::slice::from_ref(&one), &both), [(None, second.to_owned())]);
        let gone = "filter del dev n2 parent 1: protocol ip prio 17\nqdisc del dev n2 parent 1:1\n";
        assert_eq!(batches(&both, &[of_clients]), [(None, gone.to_owned())]);
        assert_eq!(batches(&both, &[]), [(None, "qdisc del dev n2 root\n".to_owned())]);
        assert_eq!(batches(&both, &both), []);
    }

    #[test]
    fn a_changed_treatment_replaces_the_netem_of_its_link_only() {
        let before = [((0, 1), loss(20)), ((2, 1), loss(20))];
        let after = [((0, 1), loss(20)), ((2, 1), loss(30))];
        let said =
            "qdisc replace dev n2 parent 1:3 handle 13: netem limit 4096 delay 0us 0us loss 30% rate 32gbit -14\n";
        assert_eq!(batches(&before, &after), [(None, said.to_owned())]);
    }

    #[test]
    fn what_is_sent_to_clients_is_treated_where_it_is_sent() {
        let batches = batches(&[], &[((1, CLIENTS), loss(20)), ((1, 0), loss(20))]);
        let [(None, hub), (Some(1), node)] = batches.as_slice() else { panic!("{batches:?}") };
        assert!(
            hub.contains("dev n1 parent 1: protocol ip prio 18 u32 match ip src 10.42.0.2/32 flowid 1:2\n"),
            "{hub}"
        );
        let filter = "filter add dev eth0 parent 1: protocol ip prio 18 u32 match ip dst 10.42.0.254/32 flowid 1:2\n";
        assert!(node.ends_with(filter), "{node}");
    }
}
