//! How far a clock is from the truth, as a function of true time; the model of what the hook computes.

use serde::{Deserialize, Serialize};

/// How far a clock is from the truth, from some moment on. The default is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// Nanoseconds ahead at that moment; behind if negative.
    pub ahead: i64,
    /// How much is added in each nanosecond, in units of 2⁻³² nanoseconds.
    pub slope: i64,
    /// Nanoseconds added in the first, third, fifth … of the spans below.
    pub strobe: i64,
    /// How long such a span is, in nanoseconds; without one the clock does not strobe.
    pub span: u64,
}

impl Course {
    /// A clock that tells the truth.
    pub const RIGHT: Course = Course { ahead: 0, slope: 0, strobe: 0, span: 0 };

    /// Ahead by so many nanoseconds, always.
    #[must_use]
    pub fn ahead(by: i64) -> Course {
        Course { ahead: by, ..Course::RIGHT }
    }

    /// Right at first, and too fast by so many parts per million.
    #[must_use]
    pub fn drift(ppm: i64) -> Course {
        Course { slope: (i128::from(ppm) << 32).div_euclid(1_000_000) as i64, ..Course::RIGHT }
    }

    /// Ahead by so many nanoseconds and right in turn, each for a span.
    #[must_use]
    pub fn strobe(by: i64, span: u64) -> Course {
        Course { strobe: by, span, ..Course::RIGHT }
    }

    /// Nanoseconds ahead of the truth, so many true nanoseconds after the moment.
    #[must_use]
    pub fn deviation(&self, since: i64) -> i64 {
        let wrong = self.span != 0 && since >= 0 && (since.unsigned_abs() / self.span).is_multiple_of(2);
        let drifted = ((i128::from(self.slope) * i128::from(since)) >> 32) as i64;
        self.ahead + drifted + if wrong { self.strobe } else { 0 }
    }
}

/// What the clocks of a process do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dial {
    /// `CLOCK_REALTIME` and its kin.
    pub wall: Course,
    /// `CLOCK_MONOTONIC` and its kin.
    pub monotonic: Course,
}

impl Dial {
    /// Right clocks.
    pub const RIGHT: Dial = Dial { wall: Course::RIGHT, monotonic: Course::RIGHT };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn courses_in_numbers() {
        let second = 1_000_000_000;
        assert_eq!(Course::ahead(-7).deviation(second), -7);
        assert_eq!(
            Course::drift(50_000).deviation(60 * second),
            2_999_999_988,
            "5 % of a minute, to twelve nanoseconds"
        );
        assert_eq!(Course::drift(-50_000).deviation(60 * second), -3_000_000_003);
        let strobe = Course::strobe(200, 10);
        let shown: Vec<i64> = [0, 9, 10, 19, 20].iter().map(|since| strobe.deviation(*since)).collect();
        assert_eq!(shown, [200, 200, 0, 0, 200]);
    }
}
