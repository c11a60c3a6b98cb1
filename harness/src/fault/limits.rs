//! What makes no sense, and what exists in one arena only.

use std::time::Duration;

use jiff::SignedDuration;

use super::manner::nothing;
use super::{Arena, ClockChange, Clocks, DiskTrouble, Fault, PacketTrouble, Restarts};

/// The furthest that a clock can jump.
const FURTHEST_JUMP: SignedDuration = SignedDuration::from_hours(24);
/// The furthest that a monotonic clock can.
const FURTHEST_LEAP: SignedDuration = SignedDuration::from_secs(10);
/// The fastest that a clock can go wrong, in parts per million.
const FASTEST_DRIFT: i64 = 500_000;
/// The shortest time that a strobing clock stays at either time.
const SHORTEST_STROBE: Duration = Duration::from_millis(1);
/// The longest that a disk or a packet can be held up.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Fault {
    /// Whether it can be done there.
    ///
    /// # Errors
    /// One sentence about what cannot.
    pub fn exists(&self, arena: Arena) -> Result<(), String> {
        if !self.sort().exists(arena) {
            return Err(format!("a {} {}", self.kind(), arena.elsewhere()));
        }
        if arena != Arena::Simulation {
            return self.keeps_monotonic();
        }
        let real_only = match self {
            Fault::Partition(shape) if shape.is_about_clients() => "a cut between nodes and clients",
            Fault::Clock { change: ClockChange::Strobe { .. }, .. } => "a strobing clock",
            Fault::Clock { of: Clocks::Wall | Clocks::Monotonic, .. } => "one clock of several",
            Fault::Disk { trouble: DiskTrouble::WriteError, .. } => "a write that fails",
            Fault::Disk { trouble: DiskTrouble::FsyncError, .. } => "an fsync that fails",
            Fault::Disk { trouble: DiskTrouble::Flip, .. } => "a bit that flips",
            Fault::Packets(trouble) if trouble.is_about_clients() => "trouble with packets between nodes and clients",
            Fault::Packets(PacketTrouble { corrupt: 1.., .. }) => "a damaged packet",
            Fault::Packets(PacketTrouble { rate: Some(_), .. }) => "a limit of the rate",
            _ => return Ok(()),
        };
        Err(format!("{real_only} {}", arena.elsewhere()))
    }

    /// Whether no process sees a monotonic clock go backwards, nor waits long for one to be right again.
    fn keeps_monotonic(&self) -> Result<(), String> {
        let Fault::Clock { change, of: Clocks::Monotonic | Clocks::Both, .. } = self else { return Ok(()) };
        match change {
            ClockChange::Jump(by) if by.is_negative() => Err("a monotonic clock does not jump back".to_owned()),
            ClockChange::Jump(by) if *by > FURTHEST_LEAP => {
                Err("a monotonic clock leaps by at most ten seconds: afterwards truth has to catch up".to_owned())
            }
            ClockChange::Strobe { .. } => Err("a monotonic clock does not strobe: it never goes backwards".to_owned()),
            ClockChange::Jump(_) | ClockChange::Drift(_) => Ok(()),
        }
    }

    /// Whether its numbers make sense.
    ///
    /// # Errors
    /// One sentence about the first that does not.
    pub fn check(&self) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("`{self}`: {why}"));
        match self {
            Fault::Clock { change: ClockChange::Jump(by), .. } if by.is_zero() || by.abs() > FURTHEST_JUMP => {
                wrong("a clock jumps by more than nothing and by at most a day")
            }
            Fault::Clock { change: ClockChange::Drift(ppm), .. } if *ppm == 0 || ppm.abs() > FASTEST_DRIFT => {
                wrong("a clock drifts by 1 to 500000 parts per million, forwards or backwards")
            }
            Fault::Clock { change: ClockChange::Strobe { by, .. }, .. } if by.is_zero() || by.abs() > FURTHEST_JUMP => {
                wrong("a clock strobes by more than nothing and by at most a day")
            }
            Fault::Clock { change: ClockChange::Strobe { every, .. }, .. }
                if *every < SHORTEST_STROBE || *every > LONGEST_WAIT =>
            {
                wrong("a clock strobes every millisecond at the most and every minute at the least")
            }
            Fault::Restart { manner: Restarts::Storm(times), .. } if *times == 0 => {
                wrong("a storm has one restart at least")
            }
            Fault::Member(targets) if !targets.is_single() => wrong("members are changed one at a time"),
            Fault::Cpu { percent, .. } if !(1..=100).contains(percent) => {
                wrong("a process may use 1 to 100 hundredths of a processor")
            }
            Fault::Disk { trouble: DiskTrouble::Slow(by), .. } if by.is_zero() || *by > LONGEST_WAIT => {
                wrong("an fsync is slower by more than nothing and at most a minute")
            }
            Fault::Packets(trouble) => {
                let PacketTrouble { loss, duplicate, late, corrupt, delay, jitter, rate, .. } = trouble;
                let percents = [loss, duplicate, late, corrupt];
                if percents.into_iter().any(|percent| *percent > 100) {
                    wrong("of a hundred packets at most 100 are hit")
                } else if delay.saturating_add(*jitter) > LONGEST_WAIT {
                    wrong("a packet is held up by at most a minute")
                } else if *rate == Some(0) {
                    wrong("at least one kilobit a second crosses a link; a partition lets nothing cross")
                } else if percents.into_iter().all(nothing) && delay.is_zero() && jitter.is_zero() && rate.is_none() {
                    wrong("nothing would happen: give it a loss, duplicate, late, corrupt, delay, jitter or rate")
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }
}
