//! True time, by system calls: no process's vDSO has a say in it.

use std::time::Duration;

use nix::libc::{self, c_int, timespec};

/// What a clock says, in nanoseconds. Those that can wake the machine, and need a device for it, say what their twins do.
pub(super) fn now(clock: c_int) -> i64 {
    let clock = match clock {
        libc::CLOCK_REALTIME_ALARM => libc::CLOCK_REALTIME,
        libc::CLOCK_BOOTTIME_ALARM => libc::CLOCK_BOOTTIME,
        other => other,
    };
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, and there is room for it.
    let failed = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time) };
    assert_eq!(failed, 0, "every kernel with a vDSO has clock {clock}");
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// True monotonic time, in nanoseconds.
pub(super) fn monotonic() -> i64 {
    now(libc::CLOCK_MONOTONIC)
}

/// Sleeps until that moment of true monotonic time.
pub(super) fn sleep_until(moment: i64) {
    while let Ok(left @ 1..) = u64::try_from(moment - monotonic()) {
        std::thread::sleep(Duration::from_nanos(left));
    }
}

/// How far a clock is ahead of the monotonic one, without the lag of those that are only set at every tick: the closest
/// of some looks, as a look may be interrupted.
pub(super) fn offset(clock: c_int) -> i64 {
    let clock = match clock {
        libc::CLOCK_REALTIME_COARSE => libc::CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC_COARSE => libc::CLOCK_MONOTONIC,
        other => other,
    };
    let look = |_| {
        let (before, there, after) = (monotonic(), now(clock), monotonic());
        (after - before, there - before - (after - before) / 2)
    };
    (0..16).map(look).min().expect("sixteen looks").1
}
