//! What a process's clocks show, by its own code: this process puts on its vDSO, byte for byte, and asks that.
//!
//! A hook lies inside the vDSO and reaches nothing but the vDSO and the kernel's page beside it, which is the same for
//! every process. So the target's code gives the target's time wherever it runs; the target is not stopped for it.

use std::time::Duration;

use nix::libc::{self, c_int, timespec, timeval};
use nix::sys::mman::{ProtFlags, mprotect};
use nix::unistd::Pid;

use super::order::{Clock, Reading};
use super::truth;
use super::vdso::{self, Image};

/// Between two looks at a clock that strobes; at the fastest it stays for a millisecond.
const BETWEEN_LOOKS: Duration = Duration::from_micros(200);

impl Clock {
    /// The clock of the kernel that it shows.
    fn number(self) -> c_int {
        match self {
            Clock::Realtime | Clock::Gettimeofday => libc::CLOCK_REALTIME,
            Clock::RealtimeCoarse | Clock::Time => libc::CLOCK_REALTIME_COARSE,
            Clock::Tai => libc::CLOCK_TAI,
            Clock::Monotonic => libc::CLOCK_MONOTONIC,
            Clock::MonotonicCoarse => libc::CLOCK_MONOTONIC_COARSE,
            Clock::MonotonicRaw => libc::CLOCK_MONOTONIC_RAW,
            Clock::Boottime => libc::CLOCK_BOOTTIME,
        }
    }

    /// Nanoseconds that it does not show.
    fn grain(self) -> i64 {
        match self {
            Clock::Gettimeofday => 1_000,
            Clock::Time => 1_000_000_000,
            _ => 1,
        }
    }
}

/// This process with another's vDSO on; dropped, it has its own on again.
pub(super) struct Worn<'a> {
    pristine: &'a [u8],
    base: u64,
    clock_gettime: unsafe extern "C" fn(c_int, *mut timespec) -> c_int,
    gettimeofday: unsafe extern "C" fn(*mut timeval, *mut libc::c_void) -> c_int,
    time: unsafe extern "C" fn(*mut libc::time_t) -> libc::time_t,
}

impl<'a> Worn<'a> {
    /// Puts it on. Until it is off again nobody in this process may want to know the time otherwise than by
    /// [`truth`].
    pub(super) fn put_on(vdso: &[u8], pristine: &'a [u8]) -> Result<Worn<'a>, String> {
        let image = Image { bytes: pristine.to_vec() };
        let base = vdso::place(Pid::this())?.start;
        let at = |name| image.function(name, 1).map(|offset| base + offset as u64);
        let [clock_gettime, gettimeofday, time] =
            [at("__vdso_clock_gettime")?, at("__vdso_gettimeofday")?, at("__vdso_time")?];
        dress(base, vdso)?;
        // SAFETY: these are the addresses of the vDSO's functions of these names, whose types are part of its contract.
        unsafe {
            Ok(Worn {
                pristine,
                base,
                clock_gettime: std::mem::transmute::<u64, unsafe extern "C" fn(c_int, *mut timespec) -> c_int>(
                    clock_gettime,
                ),
                gettimeofday: std::mem::transmute::<u64, unsafe extern "C" fn(*mut timeval, *mut libc::c_void) -> c_int>(
                    gettimeofday,
                ),
                time: std::mem::transmute::<u64, unsafe extern "C" fn(*mut libc::time_t) -> libc::time_t>(time),
            })
        }
    }

    /// What a clock shows, in nanoseconds.
    fn shown(&self, clock: Clock) -> i64 {
        let mut spec = timespec { tv_sec: 0, tv_nsec: 0 };
        let mut val = timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: each writes one value of its type, and there is room for it.
        unsafe {
            match clock {
                Clock::Gettimeofday => {
                    (self.gettimeofday)(&raw mut val, std::ptr::null_mut());
                    val.tv_sec * 1_000_000_000 + val.tv_usec * 1_000
                }
                Clock::Time => (self.time)(std::ptr::null_mut()) * 1_000_000_000,
                other => {
                    (self.clock_gettime)(other.number(), &raw mut spec);
                    spec.tv_sec * 1_000_000_000 + spec.tv_nsec
                }
            }
        }
    }

    /// The shortest of some looks at a clock, with the time since a moment of true monotonic time.
    pub(super) fn read(&self, clock: Clock, moment: i64) -> Reading {
        const LOOKS: usize = 8;
        let moment = moment + truth::offset(clock.number());
        let look = |_| {
            let before = truth::now(clock.number());
            let shown = self.shown(clock);
            let after = truth::now(clock.number());
            let ahead = (shown - after, shown + clock.grain() - 1 - before);
            (after - before, Reading { clock, since: (before - moment, after - moment), ahead })
        };
        (0..LOOKS).map(look).min_by_key(|(width, _)| *width).expect("several looks").1
    }

    /// How often the wall clock is seen to jump in so many nanoseconds; if it is not, which on a busy machine need not
    /// mean that it did not, it is watched ten times as long.
    pub(super) fn flips(&self, during: i64) -> u64 {
        let begin = truth::monotonic();
        let mut flips = 0;
        let mut last: Option<(i64, i64)> = None;
        loop {
            let before = truth::now(libc::CLOCK_REALTIME);
            let shown = self.shown(Clock::Realtime);
            let after = truth::now(libc::CLOCK_REALTIME);
            let (least, most) = (shown - after, shown - before);
            flips += u64::from(last.is_some_and(|(lower, upper)| least > upper || most < lower));
            last = Some((least, most));
            let watched = truth::monotonic() - begin;
            if watched >= during && (flips > 0 || watched >= 10 * during) {
                return flips;
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }
}

impl Drop for Worn<'_> {
    fn drop(&mut self) {
        dress(self.base, self.pristine).expect("what could be written once can be written again");
    }
}

/// Overwrites this process's vDSO.
fn dress(base: u64, bytes: &[u8]) -> Result<(), String> {
    let refused = |error: nix::errno::Errno| format!("this process may not change its own vDSO: {error}");
    let place = std::ptr::NonNull::new(base as *mut libc::c_void).expect("nothing is mapped at nought");
    let read = ProtFlags::PROT_READ | ProtFlags::PROT_EXEC;
    // SAFETY: the mapping is that long; nobody runs in it, as this program has one thread and is here; and what is
    // written is a vDSO of the same kernel, perhaps with a hook.
    unsafe {
        mprotect(place, bytes.len(), read | ProtFlags::PROT_WRITE).map_err(refused)?;
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), place.as_ptr().cast::<u8>(), bytes.len());
        mprotect(place, bytes.len(), read).map_err(refused)
    }
}
