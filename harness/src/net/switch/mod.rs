//! A switch in user space: what a kernel without `netem` lacks, and what `netem` does otherwise than asked.
//!
//! It is one TUN device in the hub with a thread behind it. A node whose packets to another are in trouble is given
//! that node's address by way of the hub ([`super::detour`]), and the hub sends what comes so into the device, as it
//! does with what is sent to the clients or by them:
//!
//! ```text
//!   n1 ── route to n2 by the hub ──▶ FORWARD ──▶ tun ──▶ core ──▶ tun ──▶ FORWARD ──▶ n2
//!   n1 ── to the hub itself ───────▶ FORWARD ──▶ tun ──▶ core ──▶ tun ──▶ INPUT ────▶ clients
//!   clients ───────────────────────▶ OUTPUT ───▶ tun ──▶ core ──▶ tun ──▶ FORWARD ──▶ n1
//! ```
//!
//! So a link that is not in trouble never comes here and costs nothing, and a link that a partition cuts stays cut:
//! the rules of the hub see the packet twice, those of a node when it arrives. The kernel cuts what is longer than a
//! packet into packets and computes checksums before the device hands them over. Device and thread die with the
//! harness.
//!
//! [`core`] decides and has no clock; [`tun`] is the thread.

mod core;
mod tun;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use core::Link;
pub use core::Tally;
pub(crate) use core::{BUCKET, QUEUE};
pub(super) use core::{HELD_BACK, MOST_HELD};
pub(super) use tun::{DEVICE, Switch};

/// How the packets of one directed link fare; by default as ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Treatment {
    /// How many of a hundred are lost.
    pub loss: u8,
    /// How many of a hundred come twice.
    pub duplicate: u8,
    /// How many of a hundred are held back, so that later ones overtake them.
    pub late: u8,
    /// How many of a hundred have one wrong bit.
    pub corrupt: u8,
    /// By how much each is held up.
    pub delay: Duration,
    /// By how much more at most. The order is kept.
    pub jitter: Duration,
    /// How many kilobits a second pass.
    pub rate: Option<u32>,
}

impl Treatment {
    /// The longest that a packet is on its way that does not wait for the rate.
    pub(crate) fn longest(&self) -> Duration {
        let late = if self.late > 0 { Duration::from_nanos(HELD_BACK.end) } else { Duration::ZERO };
        self.delay + self.jitter + late
    }
}

impl Switch {
    /// Treats the packets of these links so from now on, and no others.
    pub(super) fn treat(&self, treatments: &BTreeMap<Link, Treatment>) -> io::Result<()> {
        self.with(|core| core.treat(treatments))
    }

    /// What became of all packets so far.
    pub(super) fn tally(&self) -> Tally {
        self.look(core::Core::tally)
    }
}
