//! Orders carried out, on several processes at one moment.

use nix::unistd::Pid;

use super::course::Dial;
use super::hook::Hook;
use super::order::{Answer, Clock, Order, Request, Seen, Since};
use super::patient::Patient;
use super::slot::{MONOTONIC_CLOCKS, Slot, Times};
use super::surgery::{self, Body, Held};
use super::truth;
use super::worn::Worn;

/// How far the coarse clocks may lag: two ticks of the slowest kernel.
const LAG: i64 = 20_000_000;

/// Does what was asked.
pub(super) fn obey(request: &Request) -> Result<Answer, String> {
    let hook = Hook::for_this_kernel()?;
    let mut ward = Ward::of(&request.pids, &hook);
    let since = match &request.order {
        Order::Turn { dial, since } => ward.turn(dial, *since),
        Order::Read { since } => *since,
        Order::Right => ward.right(),
    };
    truth::sleep_until(since.monotonic + request.look.after);
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

    /// Holds all that can be held.
    fn hold(&mut self) -> Vec<Held> {
        let bodies: Vec<Body<'_>> = self.0.iter().flatten().map(Patient::body).collect();
        let mut outcomes = surgery::hold(&bodies).into_iter();
        let mut all = Vec::new();
        self.each(|_| outcomes.next().expect("one for each body").map(|held| all.push(held)));
        all
    }

    /// Changes the clocks of all at one moment; answers from when on they go so. The courses of the wall clocks may
    /// have begun before that.
    fn turn(&mut self, dial: &Dial, wall: Option<i64>) -> Since {
        let offsets = Times::of_each(truth::offset);
        let held = self.hold();
        let now = Times::of_each(truth::now);
        let moment = truth::monotonic();
        let since = Since { wall: wall.unwrap_or(moment), monotonic: moment };
        let moments = Times::of_each(|clock| {
            if MONOTONIC_CLOCKS.contains(&clock) {
                // However well clocks can be compared: it was not before what they have shown.
                (since.monotonic + offsets.on(clock)).max(now.on(clock))
            } else {
                since.wall + offsets.on(clock)
            }
        });
        let slot = Slot::turned(dial, moments);
        self.each(|patient| patient.turn(&slot, &now));
        drop(held);
        since
    }

    /// Makes all clocks right, the monotonic ones without going backwards, and leaves nothing behind; answers since
    /// when that is so.
    fn right(&mut self) -> Since {
        loop {
            let held = self.hold();
            let now = Times::of_each(truth::now);
            let mut longest = 0;
            self.each(|patient| match patient.slot()?.caught_up(&now) {
                Some((slot, left)) => {
                    longest = longest.max(left);
                    patient.turn(&slot, &now)
                }
                None => patient.unhook(),
            });
            drop(held);
            let moment = truth::monotonic();
            if longest == 0 {
                return Since { wall: moment, monotonic: moment };
            }
            truth::sleep_until(moment + longest + LAG);
        }
    }
}

/// Reads all clocks of a process by its own code.
fn see(patient: &Patient<'_>, hook: &Hook, since: Since, during: i64) -> Result<Seen, String> {
    let worn = Worn::put_on(&patient.bytes()?, &hook.pristine)?;
    let readings = Clock::ALL.into_iter().map(|clock| worn.read(clock, since.of(clock))).collect();
    let flips = worn.flips(during);
    drop(worn);
    // A process that ended meanwhile was not seen to have these clocks.
    patient.bytes()?;
    Ok(Seen { readings, flips })
}
