//! The parameters of the hook, as they lie in the target's memory.
//!
//! Two slots and one byte that says which is in use. Whoever changes the clocks holds all threads outside of the hook,
//! fills the other slot and then turns the byte: should it die in between, the slot in use is whole, as it was.
//!
//! A slot holds a moment on each clock, and for either group of clocks a course from then on. Until its moment a clock
//! is ahead by what it is at the moment, and by what its approach says: that is how one that is ahead is caught up
//! with, and it is right afterwards without anybody's help.

use nix::libc::{self, c_int};

use super::course::{Course, Dial};

/// Bytes from one slot to the next.
pub(super) const STRIDE: usize = 192;
/// Where the moments begin, by the number of the clock.
pub(super) const MOMENTS: usize = 0;
/// How many clocks have one.
pub(super) const CLOCKS: usize = 12;
/// Where the path of the wall clocks is.
pub(super) const WALL: usize = MOMENTS + 8 * CLOCKS;
/// Where the path of the monotonic clocks is.
pub(super) const MONOTONIC: usize = WALL + 40;
/// How many bytes of a slot are used.
pub(super) const SIZE: usize = MONOTONIC + 40;
const _: () = assert!(SIZE <= STRIDE);

/// The clocks that tell the time of day.
pub(super) const WALL_CLOCKS: [c_int; 4] =
    [libc::CLOCK_REALTIME, libc::CLOCK_REALTIME_COARSE, libc::CLOCK_REALTIME_ALARM, libc::CLOCK_TAI];
/// The clocks that never go backwards.
pub(super) const MONOTONIC_CLOCKS: [c_int; 5] = [
    libc::CLOCK_MONOTONIC,
    libc::CLOCK_MONOTONIC_RAW,
    libc::CLOCK_MONOTONIC_COARSE,
    libc::CLOCK_BOOTTIME,
    libc::CLOCK_BOOTTIME_ALARM,
];

/// A monotonic clock that is ahead goes at half speed until it is right.
const CATCHING_UP: i64 = -(1 << 31);

/// A time on each clock, by its number, in nanoseconds; nought on clocks of neither group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times([i64; CLOCKS]);

impl Times {
    pub(super) fn of_each(mut time: impl FnMut(c_int) -> i64) -> Times {
        let mut times = [0; CLOCKS];
        for clock in WALL_CLOCKS.into_iter().chain(MONOTONIC_CLOCKS) {
            times[index(clock)] = time(clock);
        }
        Times(times)
    }

    pub(super) fn on(&self, clock: c_int) -> i64 {
        self.0[index(clock)]
    }
}

fn index(clock: c_int) -> usize {
    usize::try_from(clock).expect("clocks have small numbers")
}

/// How a clock goes until its moment, and from then on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Path {
    /// The slope until then.
    pub approach: i64,
    pub course: Course,
}

impl Path {
    /// Nanoseconds ahead of the truth, so many true nanoseconds after the moment.
    pub(super) fn deviation(&self, since: i64) -> i64 {
        let slope = if since < 0 { self.approach } else { self.course.slope };
        Course { slope, ..self.course }.deviation(since)
    }

    fn words(&self) -> [i64; 5] {
        let Course { ahead, slope, strobe, span } = self.course;
        [self.approach, ahead, slope, strobe, span.cast_signed()]
    }

    fn from_words(words: &[i64]) -> Path {
        let course = Course { ahead: words[1], slope: words[2], strobe: words[3], span: words[4].cast_unsigned() };
        Path { approach: words[0], course }
    }
}

/// One slot. The default is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub moments: Times,
    pub wall: Path,
    pub monotonic: Path,
}

impl Slot {
    /// From these moments on the clocks go so.
    pub(super) fn turned(dial: &Dial, moments: Times) -> Slot {
        let from_then_on = |course| Path { approach: 0, course };
        Slot { moments, wall: from_then_on(dial.wall), monotonic: from_then_on(dial.monotonic) }
    }

    /// The wall clocks right at once, and each monotonic clock from when it is caught up with; that is how many
    /// nanoseconds from now. None if no monotonic clock is ahead.
    pub(super) fn caught_up(&self, now: &Times) -> Option<(Slot, i64)> {
        let left = |clock| 2 * self.ahead(clock, now).max(0);
        let longest = MONOTONIC_CLOCKS.into_iter().map(left).max().filter(|left| *left > 0)?;
        let mut moments = *now;
        for clock in MONOTONIC_CLOCKS {
            moments.0[index(clock)] += left(clock);
        }
        let monotonic = Path { approach: CATCHING_UP, course: Course::RIGHT };
        Some((Slot { moments, wall: Path::default(), monotonic }, longest))
    }

    /// How many nanoseconds a monotonic clock goes backwards at most if this follows on another slot now.
    pub(super) fn backwards(&self, other: &Slot, now: &Times) -> i64 {
        let falls = MONOTONIC_CLOCKS.into_iter().map(|clock| other.ahead(clock, now) - self.ahead(clock, now));
        falls.max().unwrap_or(0).max(0)
    }

    /// How far a monotonic clock is ahead now.
    fn ahead(&self, clock: c_int, now: &Times) -> i64 {
        self.monotonic.deviation(now.on(clock) - self.moments.on(clock))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let words = self.moments.0.into_iter().chain(self.wall.words()).chain(self.monotonic.words());
        words.flat_map(i64::to_le_bytes).collect()
    }

    pub(super) fn decode(bytes: &[u8]) -> Slot {
        let words = bytes[..SIZE].chunks_exact(8);
        let words: Vec<i64> =
            words.map(|word| i64::from_le_bytes(word.try_into().expect("chunks have eight bytes"))).collect();
        let (moments, paths) = words.split_at(CLOCKS);
        let (wall, monotonic) = paths.split_at(5);
        Slot {
            moments: Times(moments.try_into().expect("split after as many")),
            wall: Path::from_words(wall),
            monotonic: Path::from_words(monotonic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// The same time on every clock.
    fn at(time: i64) -> Times {
        Times::of_each(|_| time)
    }

    fn monotonic(course: Course) -> Slot {
        Slot::turned(&Dial { monotonic: course, ..Dial::RIGHT }, at(0))
    }

    #[test]
    fn a_slot_reads_as_written() {
        let path = |k: i64| Path {
            approach: -k,
            course: Course { ahead: 2 * k, slope: 3 * k, strobe: 5 * k, span: k.unsigned_abs() },
        };
        let slot = Slot { moments: Times::of_each(i64::from), wall: path(1), monotonic: path(2) };
        let bytes = slot.encode();
        assert_eq!((bytes.len(), Slot::decode(&bytes)), (SIZE, slot));
    }

    #[test]
    fn a_clock_that_is_ahead_is_caught_up_with_and_goes_on_right() {
        let wrong = Dial { wall: Course::ahead(SECOND), monotonic: Course::ahead(300) };
        let (slot, left) = Slot::turned(&wrong, at(0)).caught_up(&at(SECOND)).expect("it is ahead");
        assert_eq!((left, slot.wall), (600, Path::default()));
        let shown: Vec<i64> =
            [0, 1, 2, 599, 600, SECOND].iter().map(|passed| slot.ahead(1, &at(SECOND + passed))).collect();
        assert_eq!(shown, [300, 299, 299, 0, 0, 0]);
        assert_eq!(slot.caught_up(&at(SECOND + 600)), None);
    }

    #[test]
    fn each_clock_is_caught_up_with_from_where_it_is() {
        let drifting = monotonic(Course::drift(50_000));
        // Clocks that do not go equally fast, and one that lags.
        let now = Times::of_each(|clock| SECOND + 1_000 * i64::from(clock));
        let (slot, _) = drifting.caught_up(&now).expect("it is ahead");
        for clock in MONOTONIC_CLOCKS {
            assert_eq!(slot.ahead(clock, &now), drifting.ahead(clock, &now), "clock {clock}");
        }
    }

    #[test]
    fn a_clock_that_is_behind_or_right_need_not_be_caught_up_with() {
        for course in [Course::RIGHT, Course::drift(-50_000), Course::ahead(-7)] {
            assert_eq!(monotonic(course).caught_up(&at(SECOND)), None, "{course:?}");
        }
    }

    #[test]
    fn how_far_a_change_goes_backwards() {
        let right = Slot::default();
        let now = at(SECOND);
        for (from, to, by) in [
            (Course::RIGHT, Course::drift(-50_000), 0),
            (Course::RIGHT, Course::ahead(300), 0),
            (Course::RIGHT, Course::ahead(-300), 300),
            (Course::ahead(300), Course::RIGHT, 300),
            (Course::ahead(-300), Course::RIGHT, 0),
            (Course::ahead(300), Course::ahead(300), 0),
        ] {
            let to = Slot::turned(&Dial { monotonic: to, ..Dial::RIGHT }, now);
            assert_eq!(to.backwards(&monotonic(from), &now), by, "from {from:?} to {to:?}");
        }
        let wall = Slot::turned(&Dial { wall: Course::ahead(-SECOND), ..Dial::RIGHT }, now);
        assert_eq!(wall.backwards(&right, &now), 0, "a wall clock may");
    }
}
