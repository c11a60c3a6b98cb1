//! What a fault does to whom it hits, where there is more than one way.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::serde::unsigned_duration;
use serde::{Deserialize, Serialize, Serializer};

use super::{Direction, Targets, resolve};

/// How processes are restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restarts {
    /// One after the other, each once; the next when the last serves again.
    Rolling,
    /// Each so many times, all at once, as soon as it accepts clients again.
    Storm(u8),
}

/// Which clocks of a process; a simulated one has one only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clocks {
    /// What a jump of the system's clock and a bad oscillator would hit: the wall clock, and for a drift both.
    #[default]
    Usual,
    /// The time of day only.
    Wall,
    /// The monotonic clock only. It never goes backwards.
    Monotonic,
    /// Both.
    Both,
}

impl Clocks {
    pub(super) fn is_usual(&self) -> bool {
        *self == Clocks::Usual
    }
}

/// What a clock does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockChange {
    /// It jumps by so much, forwards or backwards.
    Jump(#[serde(serialize_with = "signed")] SignedDuration),
    /// It goes too fast by so many parts per million, or too slow.
    Drift(i64),
    /// It jumps to and fro between the right time and a wrong one.
    Strobe {
        /// How wrong.
        #[serde(serialize_with = "signed")]
        by: SignedDuration,
        /// How long it stays at either.
        #[serde(with = "unsigned_duration::friendly::compact::required")]
        every: Duration,
    },
}

/// What a disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskTrouble {
    /// Every fsync takes so much longer.
    Slow(#[serde(with = "unsigned_duration::friendly::compact::required")] Duration),
    /// Nothing can be written.
    Full,
    /// What is read cannot be read: by a running process if it asks, at the latest at its next recovery.
    ReadError,
    /// Every write fails (EIO).
    WriteError,
    /// Every fsync fails (EIO), and what it should have saved may be lost.
    FsyncError,
    /// One bit of a file that nobody has open is another one than was written. It stays so.
    Flip,
}

impl DiskTrouble {
    /// Whether a process may die of it.
    pub(crate) fn kills(self) -> bool {
        !matches!(self, DiskTrouble::Slow(_))
    }
}

/// What happens to packets; at least one thing does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PacketTrouble {
    /// The nodes at either end of whose links it happens.
    pub targets: Targets,
    /// Only on their links with these; with every node if there are none. The clients, all together, are `clients`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// Only to what they send, or receive.
    #[serde(default, skip_serializing_if = "Direction::is_both")]
    pub direction: Direction,
    /// How many of a hundred are lost.
    #[serde(default, skip_serializing_if = "nothing")]
    pub loss: u8,
    /// How many of a hundred come twice.
    #[serde(default, skip_serializing_if = "nothing")]
    pub duplicate: u8,
    /// How many of a hundred are overtaken by later ones.
    #[serde(default, skip_serializing_if = "nothing")]
    pub late: u8,
    /// How many of a hundred have a wrong bit, which the checksum of their transport shows.
    #[serde(default, skip_serializing_if = "nothing")]
    pub corrupt: u8,
    /// By how much each is held up.
    #[serde(
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "unsigned_duration::friendly::compact::required"
    )]
    pub delay: Duration,
    /// By how much more each is held up at most.
    #[serde(
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "unsigned_duration::friendly::compact::required"
    )]
    pub jitter: Duration,
    /// How many kilobits a second cross each link at most; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

impl PacketTrouble {
    /// Whether it hits packets between clients and nodes.
    #[must_use]
    pub fn is_about_clients(&self) -> bool {
        self.peers.iter().any(|peer| peer == resolve::CLIENTS)
    }

    /// No trouble at all, for these.
    #[must_use]
    pub fn none(targets: Targets) -> PacketTrouble {
        PacketTrouble {
            targets,
            peers: Vec::new(),
            direction: Direction::Both,
            loss: 0,
            duplicate: 0,
            late: 0,
            corrupt: 0,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: None,
        }
    }
}

/// What happens to a client, which is a process of its own then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientTrouble {
    /// Its connections are reset at one moment; new ones can be made.
    Cut,
    /// It stops running (SIGSTOP), heartbeats included, and later goes on (SIGCONT), unaware of the time between. The
    /// harness waits for it: a call that it was about to make, or has made, goes on when it does.
    Pause,
    /// It is killed (SIGKILL), and its session is left to die by itself. Another takes its place when the fault ends.
    Die,
}

/// `-3s`, not `3s ago`.
fn signed<S: Serializer>(time: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
    let sign = if time.is_negative() { "-" } else { "" };
    serializer.collect_str(&format_args!("{sign}{:#}", time.abs()))
}

pub(super) fn nothing(percent: &u8) -> bool {
    *percent == 0
}
