//! What is asked of the process that turns clocks, and what it answers.

use serde::{Deserialize, Serialize};

use super::course::Dial;

/// What is wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Of which processes.
    pub pids: Vec<i32>,
    /// What.
    pub order: Order,
    /// How the clocks are read afterwards.
    pub look: Look,
}

/// What is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The clocks go so, from a moment on, which is the same for all. It is refused where a monotonic clock would go
    /// backwards.
    Turn {
        /// How.
        dial: Dial,
        /// When the courses of the wall clocks have begun, in nanoseconds of true monotonic time, if not at that moment.
        since: Option<i64>,
    },
    /// Nothing is changed.
    Read {
        /// The moments that readings count from.
        since: Since,
    },
    /// The clocks are right again, and every byte is as it was. A monotonic clock that is ahead goes at half speed
    /// until true time has caught up, and that is waited for; one that is behind leaps.
    Right,
}

/// When courses have begun, in nanoseconds of true monotonic time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Since {
    /// Those of wall clocks.
    pub wall: i64,
    /// Those of monotonic clocks.
    pub monotonic: i64,
}

impl Since {
    /// That of one clock.
    #[must_use]
    pub fn of(self, clock: Clock) -> i64 {
        if clock.is_wall() { self.wall } else { self.monotonic }
    }
}

/// How clocks are read.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Look {
    /// Not before so many nanoseconds after the monotonic clocks' moment.
    pub after: i64,
    /// The wall clock for so many nanoseconds, to see it strobe.
    pub during: i64,
}

/// What was done and seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The moments that readings count from.
    pub since: Since,
    /// Of each process what was seen, or a sentence about what went wrong.
    pub seen: Vec<Result<Seen, String>>,
}

/// The clocks of one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Each clock once, by the code of the process.
    pub readings: Vec<Reading>,
    /// How often the wall clock was seen to jump while it was looked at.
    pub flips: u64,
}

/// What can be asked for the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// `CLOCK_REALTIME`
    Realtime,
    /// `CLOCK_REALTIME_COARSE`
    RealtimeCoarse,
    /// `CLOCK_TAI`
    Tai,
    /// `gettimeofday`
    Gettimeofday,
    /// `time`
    Time,
    /// `CLOCK_MONOTONIC`
    Monotonic,
    /// `CLOCK_MONOTONIC_COARSE`
    MonotonicCoarse,
    /// `CLOCK_MONOTONIC_RAW`
    MonotonicRaw,
    /// `CLOCK_BOOTTIME`
    Boottime,
}

impl Clock {
    /// All of them.
    pub const ALL: [Clock; 9] = [
        Clock::Realtime,
        Clock::RealtimeCoarse,
        Clock::Tai,
        Clock::Gettimeofday,
        Clock::Time,
        Clock::Monotonic,
        Clock::MonotonicCoarse,
        Clock::MonotonicRaw,
        Clock::Boottime,
    ];

    /// Whether it tells the time of day.
    #[must_use]
    pub fn is_wall(self) -> bool {
        matches!(self, Clock::Realtime | Clock::RealtimeCoarse | Clock::Tai | Clock::Gettimeofday | Clock::Time)
    }
}

/// One look at a clock, between two looks at the true time. All in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Which clock.
    pub clock: Clock,
    /// The true time on that clock since its moment: not before, and not after.
    pub since: (i64, i64),
    /// How far it was ahead of the truth: at least, and at most.
    pub ahead: (i64, i64),
}
