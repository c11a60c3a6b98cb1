//! What becomes of a packet, and when it goes on: no socket, no thread, no clock.
//!
//! Every directed link has a lane with a treatment and a random stream of its own, so what happens on one link does
//! not depend on the traffic of another. On its way through a lane a packet
//!
//! 1. is lost, or it finds the lane full (as in a router's queue, and counted),
//! 2. waits until the link's rate lets it pass: a token bucket,
//! 3. is damaged by one bit, and doubled,
//! 4. is held up by the delay and by up to the jitter. Packets keep their order in this;
//! 5. or it is late: it is held back beyond that, outside of the order, and later packets overtake it.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Treatment;

/// A directed link, from sender to receiver.
pub(super) type Link = (usize, usize);

/// The most packets that a lane holds, those of a rate and those of a delay together.
pub(in crate::net) const MOST_HELD: usize = 4096;
/// How much longer than others a late packet is held up, in nanoseconds: 5 to 50 ms.
pub(in crate::net) const HELD_BACK: Range<u64> = 5_000_000..50_000_000;
/// How many bytes may pass a limited link at once after it was idle: two full packets.
pub(crate) const BUCKET: u64 = 3_000;
/// How long a packet waits for its link's rate at most, or as long as four buckets take if that is longer.
pub(crate) const QUEUE: Duration = Duration::from_secs(1);

const TCP: u8 = 6;
const UDP: u8 = 17;

/// What became of packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// Packets that came.
    pub seen: u64,
    /// Lost as asked.
    pub lost: u64,
    /// Doubled.
    pub doubled: u64,
    /// Held back.
    pub late: u64,
    /// Damaged.
    pub damaged: u64,
    /// Lost because a lane was full.
    pub overflowed: u64,
}

/// All lanes, and the packets in them.
pub(super) struct Core {
    seed: u64,
    lanes: BTreeMap<Link, Lane>,
    held: BinaryHeap<Reverse<Held>>,
    next: u64,
    tally: Tally,
}

struct Lane {
    treatment: Treatment,
    rng: ChaCha8Rng,
    /// When the last packet leaves that keeps its order.
    last: Duration,
    /// When the rate lets the next packet pass.
    free: Duration,
    holds: usize,
}

/// A packet on its way.
struct Held {
    due: Duration,
    number: u64,
    /// The link whose lane it is in, if it is in any.
    link: Option<Link>,
    packet: Vec<u8>,
}

impl Core {
    pub(super) fn new(seed: u64) -> Core {
        Core { seed, lanes: BTreeMap::new(), held: BinaryHeap::new(), next: 0, tally: Tally::default() }
    }

    /// Treats the packets of these links so from now on, and lets those of all others pass. What a link held that is
    /// treated no longer goes on at once.
    pub(super) fn treat(&mut self, treatments: &BTreeMap<Link, Treatment>) {
        self.lanes.retain(|link, _| treatments.contains_key(link));
        for (link, treatment) in treatments {
            let lane = self.lanes.entry(*link).or_insert_with(|| Lane::new(self.seed, *link));
            lane.treatment = treatment.clone();
        }
        let held = std::mem::take(&mut self.held).into_sorted_vec().into_iter().rev();
        self.held = held
            .map(|Reverse(mut held)| {
                if !held.link.is_some_and(|link| self.lanes.contains_key(&link)) {
                    held.due = Duration::ZERO;
                }
                Reverse(held)
            })
            .collect();
    }

    /// Takes a packet; [`Core::due`] hands it on.
    pub(super) fn receive(&mut self, now: Duration, link: Link, mut packet: Vec<u8>) {
        let Some(lane) = self.lanes.get_mut(&link) else { return self.pass(now, packet) };
        self.tally.seen += 1;
        if lane.hits(lane.treatment.loss) {
            self.tally.lost += 1;
            return;
        }
        if lane.holds >= MOST_HELD || lane.is_jammed(now) {
            self.tally.overflowed += 1;
            return;
        }
        if lane.hits(lane.treatment.corrupt) && damage(&mut packet, &mut lane.rng) {
            self.tally.damaged += 1;
        }
        let passes = lane.passes(now, packet.len() as u64);
        let late = lane.hits(lane.treatment.late);
        let due = if late { lane.held_back(passes) } else { lane.in_order(passes) };
        let doubled = lane.hits(lane.treatment.duplicate);
        lane.holds += 1 + usize::from(doubled);
        self.tally.late += u64::from(late);
        self.tally.doubled += u64::from(doubled);
        if doubled {
            self.hold(due, Some(link), packet.clone());
        }
        self.hold(due, Some(link), packet);
    }

    /// Takes a packet that is in no trouble: it goes on behind all that is due.
    pub(super) fn pass(&mut self, now: Duration, packet: Vec<u8>) {
        self.hold(now, None, packet);
    }

    fn hold(&mut self, due: Duration, link: Option<Link>, packet: Vec<u8>) {
        self.held.push(Reverse(Held { due, number: self.next, link, packet }));
        self.next += 1;
    }

    /// When the next packet goes on.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.held.peek().map(|Reverse(held)| held.due)
    }

    /// The next packet that goes on now.
    pub(super) fn due(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse(Held { link, packet, .. }) = self.held.pop()?;
        if let Some(lane) = link.and_then(|link| self.lanes.get_mut(&link)) {
            lane.holds = lane.holds.saturating_sub(1);
        }
        Some(packet)
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }
}

/// How long so many bytes take at so many kilobits a second.
fn takes(rate: u32, bytes: u64) -> Duration {
    Duration::from_nanos(bytes * 8 * 1_000_000 / u64::from(rate.max(1)))
}

impl Lane {
    fn new(seed: u64, (from, to): Link) -> Lane {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((from as u64) << 32 | to as u64);
        Lane { treatment: Treatment::default(), rng, last: Duration::ZERO, free: Duration::ZERO, holds: 0 }
    }

    fn hits(&mut self, percent: u8) -> bool {
        percent > 0 && self.rng.random_range(0..100) < percent
    }

    /// When the rate lets a packet of that length pass.
    fn passes(&mut self, now: Duration, bytes: u64) -> Duration {
        let Some(rate) = self.treatment.rate else { return now };
        self.free = self.free.max(now.saturating_sub(takes(rate, BUCKET))) + takes(rate, bytes);
        self.free.max(now)
    }

    fn is_jammed(&self, now: Duration) -> bool {
        self.treatment.rate.is_some_and(|rate| self.free > now + QUEUE.max(takes(rate, 4 * BUCKET)))
    }

    fn held_up(&mut self) -> Duration {
        let jitter = u64::try_from(self.treatment.jitter.as_nanos()).unwrap_or(u64::MAX);
        let by = if jitter == 0 { 0 } else { self.rng.random_range(0..=jitter) };
        self.treatment.delay + Duration::from_nanos(by)
    }

    fn in_order(&mut self, passes: Duration) -> Duration {
        self.last = self.last.max(passes + self.held_up());
        self.last
    }

    fn held_back(&mut self, passes: Duration) -> Duration {
        let usual = self.last.max(passes + self.held_up());
        usual + Duration::from_nanos(self.rng.random_range(HELD_BACK))
    }
}

/// Turns one bit over that the checksum of the packet's transport covers; false if there is none. One wrong bit
/// changes a sum of 16-bit words always, so the receiver sees it.
fn damage(packet: &mut [u8], rng: &mut ChaCha8Rng) -> bool {
    let Some(covered) = covered(packet).filter(|covered| !covered.is_empty()) else { return false };
    let bit = rng.random_range(covered.start * 8..covered.end * 8);
    packet[bit / 8] ^= 1 << (bit % 8);
    true
}

/// The payload of an IPv4 packet's transport; of a TCP segment without one, its sequence numbers. No other header is
/// touched: a datagram whose checksum turned to zero would count as one without.
fn covered(packet: &[u8]) -> Option<Range<usize>> {
    let transport = usize::from(*packet.first()? & 0xf) * 4;
    let fragment = u16::from_be_bytes([packet.get(6)? & 0x1f, *packet.get(7)?]);
    let header = match *packet.get(9)? {
        _ if fragment > 0 => 0,
        TCP => usize::from(packet.get(transport + 12)? >> 4) * 4,
        UDP => 8,
        _ => 0,
    };
    let payload = transport + header;
    if payload < packet.len() {
        return Some(payload..packet.len());
    }
    (packet[9] == TCP && packet.len() >= transport + 12).then_some(transport + 4..transport + 12)
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Held) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Held) -> Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
