//! Orders carried out, on several processes at one moment.

use nix::libc;
use nix::unistd::Pid;

use super::course::{Course, Dial};
use super::hook::Hook;
use super::order::{Answer, Clock, Order, Request, Seen};
use super::patient::{Patient, moments};
use super::slot::Slot;
use super::truth;
use super::worn::Worn;

/// How far ahead a change is set, in nanoseconds; the next try, if that was too soon, is set twice as far.
const LEAD: i64 = 4_000_000;
/// How often that is tried.
const TRIES: u32 = 8;
/// A monotonic clock that is ahead loses half a nanosecond in each, until it is right.
const CATCHING_UP: i64 = -(1 << 31);
/// How far the coarse clocks may lag: two ticks of the slowest kernel.
const LAG: i64 = 20_000_000;

/// Does what was asked.
pub(super) fn obey(request: &Request) -> Result<Answer, String> {
    let hook = Hook::for_this_kernel()?;
    let mut ward = Ward::of(&request.pids, &hook);
    let since = match &request.order {
        Order::Turn { dial, since: None } => {
            ward.each(Patient::hook);
            ward.turn(|_, _| *dial)
        }
        Order::Turn { dial, since: Some(since) } => {
            ward.each(Patient::hook);
            ward.each(|patient| patient.turn(&Slot::default(), dial, moments(*since)));
            *since
        }
        Order::Read { since } => *since,
        Order::Right => {
            ward.catch_up();
            ward.each(Patient::unhook);
            truth::monotonic()
        }
    };
    truth::sleep_until(since + request.look.after);
    let seen = ward.0.iter().map(|patient| see(patient.as_ref()?, &hook, since, request.look.during));
    Ok(Answer { since, seen: seen.collect() })
}

/// The processes of a request; of one that could not be helped, why.
struct Ward<'a>(Vec<Result<Patient<'a>, String>>);

impl<'a> Ward<'a> {
    fn of(pids: &[i32], hook: &'a Hook) -> Ward<'a> {
        Ward(pids.iter().map(|pid| Patient::new(Pid::from_raw(*pid), hook)).collect())
    }

    fn each(&mut self, mut treat: impl FnMut(&Patient<'a>) -> Result<(), String>) {
        for patient in &mut self.0 {
            if let Err(error) = patient.as_ref().map_or(Ok(()), &mut treat) {
                *patient = Err(error);
            }
        }
    }

    /// Changes the clocks of all at one moment, to what is said of each and the moment; answers the moment.
    fn turn(&mut self, to: impl Fn(&Slot, i64) -> Dial) -> i64 {
        let mut slots = Vec::new();
        self.each(|patient| patient.slot().map(|slot| slots.push((patient.pid, slot))));
        let mut lead = LEAD;
        for _ in 0..TRIES {
            let moment = truth::monotonic() + lead;
            let on_every_clock = moments(moment);
            self.each(|patient| {
                let slot = slots.iter().find(|(pid, _)| *pid == patient.pid).map(|(_, slot)| slot);
                slot.map_or(Ok(()), |slot| patient.turn(slot, &to(slot, moment), on_every_clock))
            });
            if truth::monotonic() < moment {
                truth::sleep_until(moment);
                return moment;
            }
            lead *= 2;
        }
        self.each(|_| Err("this machine is too busy to turn several clocks at one moment".to_owned()));
        truth::monotonic()
    }

    /// Makes all clocks right, the monotonic ones without going backwards.
    fn catch_up(&mut self) {
        let ahead_at = |slot: &Slot, moment: i64| {
            let passed = moment - slot.moments[usize::try_from(libc::CLOCK_MONOTONIC).expect("a small number")];
            slot.monotonic.after.deviation(passed)
        };
        let right_by = self.turn(|slot, moment| match ahead_at(slot, moment) {
            ahead @ 1.. => {
                Dial { wall: Course::RIGHT, monotonic: Course { ahead, slope: CATCHING_UP, ..Course::RIGHT } }
            }
            _ => Dial::RIGHT,
        });
        let mut last = right_by;
        self.each(|patient| {
            let slot = patient.slot()?;
            let right_at = right_by + 2 * slot.monotonic.after.ahead;
            last = last.max(right_at);
            if right_at == right_by { Ok(()) } else { patient.turn(&slot, &Dial::RIGHT, moments(right_at)) }
        });
        truth::sleep_until(last + LAG);
    }
}

/// Reads all clocks of a process by its own code.
fn see(patient: &Patient<'_>, hook: &Hook, since: i64, during: i64) -> Result<Seen, String> {
    let worn = Worn::put_on(&patient.bytes()?, &hook.pristine)?;
    let readings = Clock::ALL.into_iter().map(|clock| worn.read(clock, since)).collect();
    let flips = worn.flips(during);
    drop(worn);
    // A process that ended meanwhile was not seen to have these clocks.
    patient.bytes()?;
    Ok(Seen { readings, flips })
}
