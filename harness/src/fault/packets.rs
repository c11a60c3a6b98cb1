//! Packets in trouble: treat the links, and look from the inside at what becomes of packets on every link.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::links::{arrow, cut_now, touched};
use super::proof::{self, Proof};
use super::{Evidence, FaultError, InForce, PacketTrouble, Receipt};
use crate::cluster::Inner;
use crate::net::{Burst, HEADER, Links, Net, SHORTEST, Sample, Tally, Treatment};

/// How many packets are sent over a link that should be in no trouble, and how often again if one seems to be: a
/// machine under load may drop one of them by itself.
const CALM: u32 = 16;
const CALM_TRIES: usize = 4;

/// What packets do on links, one way each.
#[derive(Clone, Debug)]
pub(crate) struct Troubled {
    pub links: Links,
    pub treatment: Treatment,
}

/// What was seen of the packets of a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PacketsSeen {
    /// `n1→n2`.
    pub link: String,
    /// Packets that were sent.
    pub sent: u32,
    /// Packets that did not arrive.
    pub lost: u32,
    /// Packets that arrived more than once.
    pub twice: u32,
    /// Packets that arrived after a later one.
    pub overtaken: u32,
    /// Packets that arrived with a wrong bit.
    pub damaged: u32,
    /// The shortest and the longest time on the way, in milliseconds, of those that arrived whole.
    pub took_ms: Option<(f64, f64)>,
}

impl From<&PacketTrouble> for Treatment {
    fn from(trouble: &PacketTrouble) -> Treatment {
        let PacketTrouble { loss, duplicate, late, corrupt, delay, jitter, rate, .. } = *trouble;
        Treatment { loss, duplicate, late, corrupt, delay, jitter, rate }
    }
}

/// Treats these links so, whatever they were treated like before, and measures.
pub(super) async fn treat(inner: &mut Inner, wanted: &Troubled, decided: Instant) -> Result<Receipt, FaultError> {
    let cut = cut_now(&inner.in_force);
    if wanted.links.is_subset(&cut) {
        return Err(FaultError::Inapplicable("every link whose packets would be in trouble is cut".to_owned()));
    }
    let before = in_force(inner);
    let mut all = before.clone();
    all.extend(wanted.links.iter().map(|link| (*link, wanted.treatment.clone())));
    if let Err(error) = apply(inner, &all).await {
        undo(inner, &before).await;
        return Err(error);
    }
    let own: Links = wanted.links.difference(&cut).copied().collect();
    match measure(inner, &own, &wanted.treatment, &calm(inner, &all, &cut)).await {
        Ok(seen) => Ok(receipt(inner, wanted, seen, decided)),
        Err(error) => {
            undo(inner, &before).await;
            Err(error)
        }
    }
}

/// Checks that these links were treated so to the end (those that no other trouble hits and no partition cuts), takes
/// the treatment away, and measures.
pub(super) async fn calm_down(inner: &mut Inner, gone: &Troubled, decided: Instant) -> Result<Receipt, FaultError> {
    let remaining = in_force(inner);
    let cut = cut_now(&inner.in_force);
    let open = |links: &Links| -> Links {
        links.iter().filter(|link| !remaining.contains_key(link) && !cut.contains(link)).copied().collect()
    };
    let own = open(&gone.links);
    let lasted = measure(inner, &own, &gone.treatment, &Links::new()).await;
    apply(inner, &remaining).await?;
    let untroubled = measure(inner, &Links::new(), &gone.treatment, &calm(inner, &remaining, &cut)).await?;
    let seen = Seen { calm: untroubled.calm, ..lasted? };
    Ok(receipt(inner, gone, seen, decided))
}

/// How each troubled link is treated; the newest trouble counts.
fn in_force(inner: &Inner) -> BTreeMap<(usize, usize), Treatment> {
    let troubles = inner.in_force.values().filter_map(|fault| match fault {
        InForce::Packets(troubled) => Some(troubled),
        _ => None,
    });
    troubles.flat_map(|it| it.links.iter().map(|link| (*link, it.treatment.clone()))).collect()
}

/// The links that are neither treated nor cut.
fn calm(inner: &Inner, treated: &BTreeMap<(usize, usize), Treatment>, cut: &Links) -> Links {
    let clients = inner.replicas.len();
    let all = (0..=clients).flat_map(|from| (0..=clients).map(move |to| (from, to)));
    all.filter(|link| link.0 != link.1 && !treated.contains_key(link) && !cut.contains(link)).collect()
}

async fn apply(inner: &mut Inner, all: &BTreeMap<(usize, usize), Treatment>) -> Result<(), FaultError> {
    inner.net_mut()?.treat(all).await.map_err(|error| FaultError::failed(FAULT, error))
}

async fn undo(inner: &mut Inner, before: &BTreeMap<(usize, usize), Treatment>) {
    if let Err(error) = apply(inner, before).await {
        tracing::error!("packets whose trouble has no receipt could not be left alone again: {error}");
    }
}

/// How errors call it.
const FAULT: &str = "packets in trouble";

/// What was measured.
struct Seen {
    troubled: BTreeMap<(usize, usize), Sample>,
    calm: usize,
}

/// Measures whether the packets of the first links are treated so, and those of the others not at all.
async fn measure(inner: &Inner, links: &Links, asked: &Treatment, calm: &Links) -> Result<Seen, FaultError> {
    let troubled = prove(inner, links, asked).await?;
    let least_delay = (asked.delay + asked.jitter / 4).max(Duration::from_millis(1));
    let least_delay = (!asked.delay.is_zero() || !asked.jitter.is_zero()).then_some(least_delay);
    prove_calm(inner, calm, least_delay).await?;
    Ok(Seen { troubled, calm: calm.len() })
}

/// Samples every link until it has shown all that was asked for.
async fn prove(
    inner: &Inner,
    links: &Links,
    asked: &Treatment,
) -> Result<BTreeMap<(usize, usize), Sample>, FaultError> {
    let mut shown = BTreeMap::new();
    let mut open: BTreeMap<(usize, usize), Sample> = links.iter().map(|link| (*link, Sample::default())).collect();
    while !open.is_empty() {
        let bursts = open.iter().map(|(link, seen)| (*link, proof::burst(asked, seen.sent))).collect();
        let samples = sample(inner, bursts).await?;
        for (link, new) in samples {
            let seen = open.remove(&link).expect("only what is open was sampled").and(&new);
            match proof::weigh(asked, &seen) {
                Proof::Shown => drop(shown.insert(link, seen)),
                Proof::NotYet(_) if seen.sent < proof::enough(asked) => drop(open.insert(link, seen)),
                Proof::NotYet(why) | Proof::Refuted(why) => return Err(unproven(inner, link, &why)),
            }
        }
    }
    Ok(shown)
}

async fn prove_calm(inner: &Inner, links: &Links, least_delay: Option<Duration>) -> Result<(), FaultError> {
    let burst = Burst { packets: CALM, bytes: HEADER + SHORTEST, held_up: Duration::ZERO };
    let mut open = links.clone();
    for tried in 1..=CALM_TRIES {
        let samples = sample(inner, open.iter().map(|link| (*link, burst)).collect()).await?;
        for (link, seen) in samples {
            match proof::in_trouble(&seen, least_delay) {
                None => drop(open.remove(&link)),
                Some(why) if tried == CALM_TRIES => return Err(unproven(inner, link, &why)),
                Some(_) => {}
            }
        }
        if open.is_empty() {
            break;
        }
    }
    Ok(())
}

async fn sample(
    inner: &Inner,
    bursts: BTreeMap<(usize, usize), Burst>,
) -> Result<BTreeMap<(usize, usize), Sample>, FaultError> {
    inner.net()?.sample(bursts).await.map_err(|error| FaultError::no_receipt(FAULT, error.to_string()))
}

fn unproven(inner: &Inner, link: (usize, usize), why: &str) -> FaultError {
    FaultError::no_receipt(FAULT, format!("{}: {why}", arrow(&link, &inner.names())))
}

fn receipt(inner: &Inner, troubled: &Troubled, seen: Seen, decided: Instant) -> Receipt {
    let names = inner.names();
    let switch: Tally = inner.net.as_ref().map(Net::tally).unwrap_or_default();
    let unmeasured = troubled.links.iter().filter(|link| !seen.troubled.contains_key(link));
    let unmeasured = unmeasured.map(|link| arrow(link, &names)).collect();
    let troubled_seen = seen.troubled.iter().map(|(link, sample)| told(arrow(link, &names), sample)).collect();
    let evidence = Evidence::Packets { troubled: troubled_seen, unmeasured, calm: seen.calm, switch };
    Receipt::new(touched(&troubled.links, &names), evidence, decided)
}

fn told(link: String, sample: &Sample) -> PacketsSeen {
    let Sample { sent, lost, twice, overtaken, damaged, took, .. } = *sample;
    let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let took_ms = took.map(|(shortest, longest)| (milliseconds(shortest), milliseconds(longest)));
    PacketsSeen { link, sent, lost, twice, overtaken, damaged, took_ms }
}
