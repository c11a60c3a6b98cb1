//! How hostile a simulated world is while no fault is in force.

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

/// The shape of a world.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes; they are numbered from 1.
    pub nodes: u64,
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
    /// How long a fsync takes.
    pub fsync: Span,
    /// How late a tick may come after the time that the replica asked for.
    pub tick_late: Span,
    /// How many of the last trace lines a violation shows.
    pub trace_lines: usize,
}

impl Default for Options {
    /// Three nodes on a local network with 1 % of the messages lost, 1 % repeated and 2 % late. The variable
    /// `GRUDGE_TRACE` sets the number of trace lines that are kept (60).
    fn default() -> Self {
        Options {
            nodes: 3,
            delay: Span::micros(100, 2_000),
            late_probability: 0.02,
            late: Span::millis(5, 100),
            loss: 0.01,
            duplicate: 0.01,
            fsync: Span::micros(100, 5_000),
            tick_late: Span::micros(0, 1_000),
            trace_lines: std::env::var("GRUDGE_TRACE").ok().and_then(|lines| lines.parse().ok()).unwrap_or(60),
        }
    }
}

impl Options {
    /// A network that loses, repeats and holds up nothing; for tests that ask one question.
    #[must_use]
    pub fn calm(nodes: u64) -> Self {
        Options { nodes, loss: 0.0, duplicate: 0.0, late_probability: 0.0, ..Options::default() }
    }

    /// The default world with this many nodes.
    #[must_use]
    pub fn nodes(nodes: u64) -> Self {
        Options { nodes, ..Options::default() }
    }
}
