//! A node's own clock: it begins anywhere, runs fast or slow, and jumps.

use std::time::Duration;

use crate::replica::Time;

/// Millionths: what a rate is counted in.
const MILLION: i64 = 1_000_000;

/// A step of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// It suddenly shows so much more.
    Forward(Duration),
    /// It is set back by so much. A replica's time never goes backwards during a life, so the replica sees it stand
    /// still until it has caught up, as with a monotonic clock that a machine keeps for its processes.
    Backward(Duration),
}

/// What a node's clock shows as a function of virtual time: a line from an anchor, and never less than it showed.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    anchor: Time,
    shows: Time,
    /// How much faster than virtual time it runs, in millionths.
    ppm: i64,
    /// What it was last read as.
    floor: Time,
}

impl Clock {
    /// A clock that shows this now.
    pub(super) fn new(now: Time, shows: Time, ppm: i64) -> Self {
        Clock { anchor: now, shows, ppm, floor: shows }
    }

    /// A later life of the node reads something else.
    pub(super) fn restart(&mut self, now: Time, shows: Time) {
        *self = Clock::new(now, shows, self.ppm);
    }

    /// What a process reads.
    pub(super) fn read(&mut self, now: Time) -> Time {
        self.floor = self.floor.max(self.line(now));
        self.floor
    }

    /// The virtual time at which it shows this much, at the earliest; not before the anchor.
    pub(super) fn when(&self, shows: Time) -> Time {
        let left = shows.saturating_sub(self.shows);
        if self.ppm == 0 {
            return self.anchor.saturating_add(left);
        }
        let left = (left.as_nanos() * MILLION as u128).div_ceil(self.speed());
        u64::try_from(left).map_or(Time::MAX, |left| self.anchor.saturating_add(Duration::from_nanos(left)))
    }

    /// Runs at another rate from now on.
    pub(super) fn set_rate(&mut self, now: Time, ppm: i64) {
        assert!(ppm > -MILLION, "a clock that runs at {ppm} ppm does not run");
        (self.shows, self.anchor, self.ppm) = (self.line(now), now, ppm);
    }

    pub(super) fn jump(&mut self, by: Jump) {
        self.shows = match by {
            Jump::Forward(by) => self.shows + by,
            Jump::Backward(by) => self.behind(by),
        };
    }

    /// A line that would begin before zero begins later instead.
    fn behind(&mut self, by: Duration) -> Time {
        if let Some(missing) = by.checked_sub(self.shows) {
            self.anchor += missing;
        }
        self.shows.saturating_sub(by)
    }

    fn line(&self, now: Time) -> Time {
        let passed = now.saturating_sub(self.anchor);
        if self.ppm == 0 {
            return self.shows + passed;
        }
        let passed = passed.as_nanos() * self.speed() / MILLION as u128;
        self.shows + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    fn speed(&self) -> u128 {
        u128::try_from(MILLION + self.ppm).expect("a clock's rate is positive")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Time {
        Time::from_secs(seconds)
    }

    #[test]
    fn a_rate_counts_from_when_it_was_set() {
        let mut clock = Clock::new(s(10), s(100), 0);
        clock.set_rate(s(20), 500_000);
        assert_eq!(clock.read(s(20)), s(110));
        assert_eq!(clock.read(s(40)), s(140));
        clock.set_rate(s(40), -500_000);
        assert_eq!(clock.read(s(60)), s(150));
        clock.set_rate(s(60), 0);
        assert_eq!(clock.read(s(61)), s(151));
    }

    #[test]
    fn a_backward_jump_makes_it_stand_still_until_it_has_caught_up() {
        let mut clock = Clock::new(s(0), s(100), 0);
        assert_eq!(clock.read(s(10)), s(110));
        clock.jump(Jump::Backward(s(5)));
        assert_eq!([11, 15, 16].map(|now| clock.read(s(now))), [s(110), s(110), s(111)]);
        clock.jump(Jump::Forward(s(50)));
        assert_eq!(clock.read(s(16)), s(161));
        clock.jump(Jump::Backward(s(1_000)));
        assert_eq!(clock.read(s(17)), s(161));
        assert_eq!(clock.read(s(16 + 1_000)), s(161), "it lost a thousand seconds, and no more");
        assert_eq!(clock.read(s(17 + 1_000)), s(162));
    }

    #[test]
    fn when_is_the_earliest_time_at_which_it_shows_that_much() {
        for ppm in [-900_000, -20_000, -1, 0, 1, 333, 50_000, 2_000_000] {
            let mut clock = Clock::new(s(3), s(7), ppm);
            for shows in [s(7), s(8), Duration::from_nanos(7_123_456_789), s(3_600)] {
                let at = clock.when(shows);
                assert!(clock.line(at) >= shows, "{ppm} ppm: {shows:?} is not shown at {at:?}");
                let before = at.saturating_sub(Duration::from_nanos(1));
                assert!(at == s(3) || clock.line(before) < shows, "{ppm} ppm: {shows:?} is shown before {at:?}");
            }
            assert!(clock.when(Time::MAX) >= s(1_000_000));
            clock.jump(Jump::Backward(s(100)));
            let at = clock.when(s(8));
            assert!(clock.line(at) >= s(8) && at > s(3));
        }
    }
}
