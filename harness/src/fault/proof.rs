//! Whether packets fare as was asked, judged by what became of numbered bursts.
//!
//! Shares are judged by the bound of Chernoff and Hoeffding: at most `exp(-n·D(seen‖asked))` of all samples of `n`
//! packets are as far off as this one (D: the divergence of Kullback and Leibler). One that is rarer than
//! [`IMPROBABLE`] refutes. All that was asked for must have been seen, too; a link is sampled until it was, at most so
//! often that a trouble that is in force has shown itself but for the same improbability. What was not asked for must
//! not have been seen at all. So a fault that is in force is refused less than once in 10⁹ times even with hundreds of
//! links, and one that is not, always.

use std::time::Duration;

use crate::net::{BUCKET, Burst, HEADER, QUEUE, SHORTEST, Sample, Treatment};

/// The negative logarithm of what is too improbable: e⁻³⁰ is 10⁻¹³.
const IMPROBABLE: f64 = 30.0;
/// How many packets the first burst has.
pub(super) const FIRST: u32 = 32;
/// How long a packet that is as long as can be has its header included.
const FULL: usize = 1_428;
/// How many packets are sent at most to see a rate's limit.
const MOST_FOR_RATE: u64 = 1_400;
/// How many milliseconds' worth of a rate is sent to see its limit.
const RATE_SEEN_IN: u64 = 100;
/// How much later than it should a packet that was held up may arrive, because a busy machine lets the switch wait: where
/// every packet should arrive, and where some are lost and it is not known how many are still to come.
const ALL_ARRIVE: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_millis(250);
/// Less time than this says nothing of a rate.
const CONCLUSIVE: Duration = Duration::from_millis(20);

/// What a sample says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// All is as asked, and all that was asked was seen.
    Shown,
    /// Something has not been seen yet.
    NotYet(String),
    /// It is not as asked.
    Refuted(String),
}

/// What a sample of a link says about the treatment that was asked for.
pub(super) fn weigh(asked: &Treatment, seen: &Sample) -> Proof {
    let arrived = seen.sent - seen.lost;
    // Behind a limited rate more may be lost than was asked: its queue is full.
    let more_lost = asked.rate.is_some() && share(seen.lost, seen.sent) > f64::from(asked.loss) / 100.0;
    if improbable(seen.lost, seen.sent, asked.loss) && !more_lost {
        return wrong(seen.lost, seen.sent, "were lost", asked.loss);
    }
    if improbable(seen.damaged, arrived, asked.corrupt) {
        return wrong(seen.damaged, arrived, "were damaged", asked.corrupt);
    }
    if improbable(seen.twice, arrived, asked.duplicate) {
        return wrong(seen.twice, arrived, "came twice", asked.duplicate);
    }
    let too_many = share(seen.overtaken, arrived) > f64::from(asked.late) / 100.0;
    if asked.late > 0 && too_many && improbable(seen.overtaken, arrived, asked.late) {
        return wrong(seen.overtaken, arrived, "were overtaken", asked.late);
    }
    if let Some((shortest, _)) = seen.took.filter(|(shortest, _)| *shortest < asked.delay) {
        return Proof::Refuted(format!("a packet took {shortest:.1?}, and {:?} is the least", asked.delay));
    }
    rate(asked, seen).unwrap_or_else(|| all_seen(asked, seen))
}

/// Whether something that was asked for is still to be seen.
fn all_seen(asked: &Treatment, seen: &Sample) -> Proof {
    let whole = asked.loss < 100 && asked.corrupt < 100;
    let longest = seen.took.map(|(_, longest)| longest);
    let missing = [
        (asked.loss > 0 && seen.lost == 0, "was lost"),
        (asked.loss < 100 && asked.corrupt > 0 && seen.damaged == 0, "was damaged"),
        (asked.loss < 100 && asked.duplicate > 0 && seen.twice == 0, "came twice"),
        (whole && asked.late > 0 && seen.overtaken == 0, "was overtaken"),
        (whole && !asked.delay.is_zero() && longest.is_none(), "arrived"),
        (
            whole && !asked.jitter.is_zero() && longest < Some(asked.delay + asked.jitter / 4),
            "was held up by the jitter",
        ),
    ];
    match missing.iter().find(|(missing, _)| *missing) {
        Some((_, what)) => Proof::NotYet(format!("of {} packets none {what}", seen.sent)),
        None => Proof::Shown,
    }
}

/// What is wrong with the rate, if anything is.
fn rate(asked: &Treatment, seen: &Sample) -> Option<Proof> {
    let rate = asked.rate.filter(|_| asked.loss < 100)?;
    let (took, bytes) = seen.arriving;
    let least = takes(rate, bytes.saturating_sub(BUCKET));
    if least < CONCLUSIVE || seen.sending > least / 2 {
        return Some(Proof::NotYet(format!(
            "{bytes} bytes say nothing about {rate} kbit/s: sending them took {:.1?}",
            seen.sending
        )));
    }
    (took < least).then(|| Proof::Refuted(format!("{bytes} bytes crossed in {took:.1?}, and {least:.1?} is the least")))
}

fn takes(rate: u32, bytes: u64) -> Duration {
    Duration::from_micros(bytes * 8_000 / u64::from(rate.max(1)))
}

/// What is wrong with a link whose packets should be in no trouble, when the least delay of any other is this.
pub(super) fn in_trouble(seen: &Sample, least_delay: Option<Duration>) -> Option<String> {
    let shortest = seen.took.map(|(shortest, _)| shortest);
    let delayed = least_delay.is_some_and(|least| shortest >= Some(least));
    let hurt = [(seen.lost, "lost"), (seen.damaged, "damaged"), (seen.twice, "doubled")];
    match hurt.iter().find(|(count, _)| *count > 0) {
        Some((count, what)) => Some(format!("{count} of {} packets were {what}, and none should be", seen.sent)),
        None => delayed.then(|| format!("no packet took less than {:.1?}", shortest.unwrap_or_default())),
    }
}

/// How many packets over a link are enough for a trouble that is in force to have shown itself.
pub(super) fn enough(asked: &Treatment) -> u32 {
    let part = |percent: u8| f64::from(percent) / 100.0;
    let arrives = 1.0 - part(asked.loss);
    let whole = arrives * (1.0 - part(asked.corrupt));
    let held_up = !asked.delay.is_zero() || !asked.jitter.is_zero();
    let rarest = [
        part(asked.loss),
        arrives * part(asked.corrupt),
        arrives * part(asked.duplicate),
        // The last of a burst are overtaken by nobody.
        whole * part(asked.late) / 2.0,
        whole * if held_up { 0.75 } else { 0.0 },
    ];
    let rarest = rarest.into_iter().filter(|part| *part > 0.0).fold(1.0, f64::min);
    FIRST.max((IMPROBABLE / rarest).ceil() as u32)
}

/// The first burst over a link, or the next after so many packets.
pub(super) fn burst(asked: &Treatment, already: u32) -> Burst {
    let short = HEADER + SHORTEST;
    let (packets, bytes) = match asked.rate {
        Some(rate) if already == 0 => {
            let worth = 2 * BUCKET + u64::from(rate) * RATE_SEEN_IN / 8;
            let full = worth.div_ceil(FULL as u64).min(MOST_FOR_RATE);
            (u32::try_from(full).unwrap_or(FIRST), FULL)
        }
        _ => (already.max(FIRST), short),
    };
    let queued = asked.rate.map_or(Duration::ZERO, |rate| {
        takes(rate, u64::from(packets) * bytes as u64) + QUEUE.max(takes(rate, 4 * BUCKET))
    });
    let held_up = asked.longest() + queued;
    let slack = match (held_up.is_zero(), asked.loss, asked.rate) {
        (true, ..) => Duration::ZERO,
        (false, 0, None) => ALL_ARRIVE,
        (false, ..) => SLACK,
    };
    Burst { packets, bytes, held_up: held_up + slack }
}

fn wrong(count: u32, of: u32, what: &str, percent: u8) -> Proof {
    Proof::Refuted(format!("{count} of {of} packets {what}, and {percent} % should be"))
}

fn share(count: u32, of: u32) -> f64 {
    if of == 0 { 0.0 } else { f64::from(count) / f64::from(of) }
}

/// Whether hardly any sample is as far off as this one.
fn improbable(count: u32, of: u32, percent: u8) -> bool {
    let (seen, asked) = (share(count, of), f64::from(percent) / 100.0);
    let part = |seen: f64, asked: f64| if seen == 0.0 { 0.0 } else { seen * (seen / asked).ln() };
    of > 0 && f64::from(of) * (part(seen, asked) + part(1.0 - seen, 1.0 - asked)) > IMPROBABLE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(sent: u32) -> Sample {
        Sample { sent, took: Some((Duration::from_micros(50), Duration::from_micros(80))), ..Sample::default() }
    }

    #[test]
    fn no_trouble_at_all_never_proves_any() {
        let milliseconds = Duration::from_millis;
        let asked = [
            Treatment { loss: 1, ..Treatment::default() },
            Treatment { duplicate: 1, ..Treatment::default() },
            Treatment { late: 1, ..Treatment::default() },
            Treatment { corrupt: 1, ..Treatment::default() },
            Treatment { delay: milliseconds(1), ..Treatment::default() },
            Treatment { jitter: milliseconds(1), ..Treatment::default() },
        ];
        for asked in asked {
            for sent in [32, 64, 1_000, enough(&asked)] {
                assert_ne!(weigh(&asked, &sample(sent)), Proof::Shown, "{asked:?} after {sent}");
            }
        }
    }

    #[test]
    fn a_rate_is_shown_by_bytes_that_take_their_time() {
        let asked = Treatment { rate: Some(1_000), ..Treatment::default() };
        let Burst { packets, bytes, .. } = burst(&asked, 0);
        let bytes = u64::from(packets) * bytes as u64;
        let least = takes(1_000, bytes - BUCKET);
        let crossed_in = |took| Sample { arriving: (took, bytes), ..sample(packets) };
        assert_eq!(weigh(&asked, &crossed_in(least)), Proof::Shown);
        assert!(matches!(weigh(&asked, &crossed_in(least / 2)), Proof::Refuted(_)));
        let slow = Sample { sending: least, ..crossed_in(least) };
        assert!(matches!(weigh(&asked, &slow), Proof::NotYet(_)), "it was not sent faster");
    }

    #[test]
    fn shares_far_off_refute_and_near_ones_do_not() {
        let asked = Treatment { loss: 20, ..Treatment::default() };
        let lost = |lost| weigh(&asked, &Sample { lost, ..sample(1_000) });
        assert_eq!(lost(200), Proof::Shown);
        assert_eq!(lost(260), Proof::Shown, "a sample in a million is like this");
        for far in [0, 50, 400, 1_000] {
            assert!(matches!(lost(far), Proof::Refuted(_)), "{far}");
        }
        let unasked = weigh(&asked, &Sample { lost: 200, twice: 1, ..sample(1_000) });
        assert_eq!(unasked, Proof::Refuted("1 of 800 packets came twice, and 0 % should be".to_owned()));
    }

    #[test]
    fn a_link_in_no_trouble_loses_nothing_and_is_quick() {
        let quick = Some(Duration::from_millis(20));
        assert_eq!(in_trouble(&sample(16), quick), None);
        assert!(in_trouble(&Sample { lost: 1, ..sample(16) }, quick).is_some());
        assert!(in_trouble(&sample(16), Some(Duration::from_micros(10))).is_some());
    }
}
