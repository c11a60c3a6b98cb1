//! The parameters of the hook, as they lie in the target's memory.
//!
//! Two slots and one byte that says which is in use. A writer fills the other slot and then turns the byte: one byte,
//! because nothing wider is promised to be stored at once by a kernel that copies into another process. A reader that
//! was held up may still look at the slot that is filled again, so each slot carries its number twice: the writer
//! stores the first copy, then the parameters, then the second, each by a system call of its own; the reader loads
//! the second copy, then the parameters, then the first, and begins anew if they differ. x86 keeps both orders, so
//! two equal numbers mean that nothing was stored in between. Numbers that follow each other differ in one byte, and
//! where a carry changes more, a mixture equals neither: numbers need not be stored at once either. Nobody ever waits:
//! whoever begins anew finds the byte turned, and a writer that dies leaves the slot in use as it was.
//!
//! A slot holds, besides its number, a moment on each clock, and for either group of clocks the course until then and
//! the course from then on. A writer chooses a moment a few milliseconds ahead and a first course that goes on with
//! what there was: all threads of all targets then change at one instant of true time, whichever slot they have read.

use super::course::{Course, Dial};

/// Bytes from one slot to the next.
pub(super) const STRIDE: usize = 256;
/// Where the moments begin, by the number of the clock.
pub(super) const MOMENTS: usize = 8;
/// How many clocks have one.
pub(super) const CLOCKS: usize = 12;
/// Where the courses of the wall clocks begin.
pub(super) const WALL: usize = MOMENTS + 8 * CLOCKS;
/// Where the courses of the monotonic clocks begin.
pub(super) const MONOTONIC: usize = WALL + 48;
/// Where the second copy of the number is.
pub(super) const NUMBER_AGAIN: usize = MONOTONIC + 48;
/// How many bytes of a slot are used.
pub(super) const SIZE: usize = NUMBER_AGAIN + 8;

/// Before and after a moment. Before it, nothing strobes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub before: Course,
    pub after: Course,
}

impl Change {
    /// Nanoseconds ahead of the truth, so many true nanoseconds after the moment, or before it.
    #[cfg(test)]
    pub(super) fn deviation(&self, since: i64) -> i64 {
        if since < 0 { self.before.steady(since) } else { self.after.deviation(since) }
    }

    fn words(&self) -> [i64; 6] {
        let Change { before, after } = self;
        [before.ahead, before.slope, after.ahead, after.slope, after.strobe, after.span.cast_signed()]
    }

    fn from_words(words: &[i64]) -> Change {
        Change {
            before: Course { ahead: words[0], slope: words[1], ..Course::RIGHT },
            after: Course { ahead: words[2], slope: words[3], strobe: words[4], span: words[5].cast_unsigned() },
        }
    }
}

/// One slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub number: u64,
    pub moments: [i64; CLOCKS],
    pub wall: Change,
    pub monotonic: Change,
}

impl Slot {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.number.to_le_bytes().to_vec();
        let courses = [self.wall.words(), self.monotonic.words()];
        for word in self.moments.iter().chain(courses.iter().flatten()) {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(self.number.to_le_bytes());
        bytes
    }

    /// None if its numbers differ: it was left half filled.
    pub(super) fn decode(bytes: &[u8]) -> Option<Slot> {
        let words: Vec<i64> = bytes[..SIZE]
            .chunks_exact(8)
            .map(|word| i64::from_le_bytes(word.try_into().expect("chunks have eight bytes")))
            .collect();
        let (number, words) = words.split_first()?;
        let (again, words) = words.split_last()?;
        let (moments, courses) = words.split_at(CLOCKS);
        (number == again).then(|| Slot {
            number: number.cast_unsigned(),
            moments: moments.try_into().expect("split after as many"),
            wall: Change::from_words(&courses[..6]),
            monotonic: Change::from_words(&courses[6..]),
        })
    }

    /// What follows this slot: at these moments the clocks change to those courses, and go on as they did until then.
    pub(super) fn followed(&self, moments: [i64; CLOCKS], to: &Dial, number: u64) -> Slot {
        let change = |of: &Change, clock: usize, after: Course| {
            let passed = moments[clock].wrapping_sub(self.moments[clock]);
            let before = Course { ahead: of.after.steady(passed), slope: of.after.slope, ..Course::RIGHT };
            Change { before, after }
        };
        let wall = change(&self.wall, nix::libc::CLOCK_REALTIME as usize, to.wall);
        let monotonic = change(&self.monotonic, nix::libc::CLOCK_MONOTONIC as usize, to.monotonic);
        Slot { number, moments, wall, monotonic }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_reads_as_written_unless_it_is_half_filled() {
        let change = |k: i64| Change {
            before: Course { ahead: k, slope: -k, ..Course::RIGHT },
            after: Course { ahead: 2 * k, slope: 3 * k, strobe: 5 * k, span: 7 },
        };
        let slot =
            Slot { number: 9, moments: std::array::from_fn(|n| n as i64), wall: change(1), monotonic: change(2) };
        let mut bytes = slot.encode();
        assert_eq!((bytes.len(), Slot::decode(&bytes)), (SIZE, Some(slot)));
        bytes[0] += 1;
        assert_eq!(Slot::decode(&bytes), None);
    }

    #[test]
    fn what_follows_goes_on_until_its_moment() {
        let first =
            Slot::default().followed([1_000_000; CLOCKS], &Dial { wall: Course::drift(50_000), ..Dial::RIGHT }, 1);
        let then = first.followed([3_000_000; CLOCKS], &Dial::RIGHT, 2);
        for true_time in [1_000_000, 2_000_000, 2_999_999] {
            let (was, is) = (first.wall.deviation(true_time - 1_000_000), then.wall.deviation(true_time - 3_000_000));
            assert!((was - is).abs() <= 1, "at {true_time}: {was} and {is}");
        }
        assert_eq!(then.wall.deviation(0), 0);
    }
}
