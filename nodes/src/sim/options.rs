//! How hostile a simulated world is while no fault is in force, and how closely it is watched.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Durations from which one is drawn, evenly, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Span {
    /// From `min` to `max` microseconds.
    #[must_use]
    pub const fn micros(min: u64, max: u64) -> Self {
        Span { min: Duration::from_micros(min), max: Duration::from_micros(max) }
    }

    /// From `min` to `max` milliseconds.
    #[must_use]
    pub const fn millis(min: u64, max: u64) -> Self {
        Span::micros(min * 1_000, max * 1_000)
    }

    pub(super) fn draw(self, rng: &mut ChaCha8Rng) -> Duration {
        let (min, max) = (nanos(self.min), nanos(self.max));
        Duration::from_nanos(rng.random_range(min..=max.max(min)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How the messages between nodes fare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packets {
    /// How long a message is on its way. A wide span is what reorders.
    pub delay: Span,
    /// The probability that a message is held up for `late` more.
    pub late_probability: f64,
    /// How long a message that is held up is late.
    pub late: Span,
    /// The probability that a message is lost.
    pub loss: f64,
    /// The probability that a message arrives twice.
    pub duplicate: f64,
}

impl Packets {
    /// A local network that loses, repeats and holds up nothing.
    #[must_use]
    pub const fn calm() -> Self {
        Packets {
            delay: Span::micros(100, 2_000),
            late_probability: 0.0,
            late: Span::millis(5, 100),
            loss: 0.0,
            duplicate: 0.0,
        }
    }

    pub(super) fn delay(&self, rng: &mut ChaCha8Rng) -> Duration {
        let usual = self.delay.draw(rng);
        if rng.random_bool(self.late_probability) { usual + self.late.draw(rng) } else { usual }
    }
}

/// What a broken invariant does to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnViolation {
    /// It ends the run: each call that lets time pass returns it, and nothing happens any more.
    End,
    /// It is kept for [`World::violations`](super::World::violations), and the run goes on, so that clients may see
    /// what comes of it. A replica that panics or breaks an invariant of its own is dead for good.
    GoOn,
}

/// What messages and records become on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Bytes and back, as on real wires and disks: what has no form in bytes is found. Costs more than a step.
    AsBytes,
    /// They are handed over as they are.
    AsValues,
}

/// The shape of a world.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes; they are numbered from 1.
    pub nodes: u64,
    /// How messages between nodes fare while nobody says otherwise.
    pub packets: Packets,
    /// How long bytes are on their way between a client that is far away and its node.
    pub clients: Span,
    /// How long a fsync takes.
    pub fsync: Span,
    /// How late a tick may come after the time that the replica asked for.
    pub tick_late: Span,
    /// What a violation does to the run.
    pub on_violation: OnViolation,
    /// What messages and records become on their way.
    pub carried: Carried,
    /// How many of the last trace lines a violation shows; 0 keeps none and costs nothing.
    pub trace_lines: usize,
}

impl Default for Options {
    /// Three nodes on a local network with 1 % of the messages lost, 1 % repeated and 2 % late; the first violation
    /// ends the run. The variable `GRUDGE_TRACE` sets the number of trace lines that are kept (60).
    fn default() -> Self {
        Options {
            nodes: 3,
            packets: Packets { late_probability: 0.02, loss: 0.01, duplicate: 0.01, ..Packets::calm() },
            clients: Span::micros(100, 2_000),
            fsync: Span::micros(100, 5_000),
            tick_late: Span::micros(0, 1_000),
            on_violation: OnViolation::End,
            carried: Carried::AsBytes,
            trace_lines: std::env::var("GRUDGE_TRACE").ok().and_then(|lines| lines.parse().ok()).unwrap_or(60),
        }
    }
}

impl Options {
    /// A network that loses, repeats and holds up nothing; for tests that ask one question.
    #[must_use]
    pub fn calm(nodes: u64) -> Self {
        Options { nodes, packets: Packets::calm(), ..Options::default() }
    }

    /// The default world with this many nodes.
    #[must_use]
    pub fn nodes(nodes: u64) -> Self {
        Options { nodes, ..Options::default() }
    }

    /// A calm world that is as fast as can be and goes on after a violation. It keeps no trace: a seed that fails is
    /// run again with one.
    #[must_use]
    pub fn fast(nodes: u64) -> Self {
        let (on_violation, carried) = (OnViolation::GoOn, Carried::AsValues);
        Options { on_violation, carried, trace_lines: 0, ..Options::calm(nodes) }
    }
}
