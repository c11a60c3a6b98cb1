//! What asking for the time costs: as the kernel's vDSO gives it, with a hook whose clocks are right, with wrong ones,
//! and by a system call. One run, so that the ratios mean something on a machine that others use, too: the median of
//! many short rounds.
//!
//! `cargo bench -p grudge --bench clock`

use std::process::ExitCode;
use std::time::Duration;

use grudge::clock::{COMMAND, Course, Dial, Look, Order, Request, ask, serve};
use nix::libc;

/// Calls in a round.
const CALLS: u32 = 20_000;
/// Rounds of each kind.
const ROUNDS: usize = 101;

fn main() -> ExitCode {
    // The process that turns clocks is this program again.
    if std::env::args().nth(1).as_deref() == Some(COMMAND) {
        return match serve(std::io::stdin(), std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                anstream::eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let turn = |dial: Dial| runtime.block_on(order(Order::Turn { dial, since: None }));
    let unpatched = round_of(by_vdso);
    turn(Dial::RIGHT);
    let idle = round_of(by_vdso);
    turn(Dial { wall: Course::ahead(3_600_000_000_000), ..Dial::RIGHT });
    let ahead = round_of(by_vdso);
    turn(Dial { wall: Course::strobe(200_000_000, 10_000_000), ..Dial::RIGHT });
    let strobing = round_of(by_vdso);
    runtime.block_on(order(Order::Right));
    let again = round_of(by_vdso);
    let system_call = round_of(by_system_call);
    for (what, nanoseconds) in [
        ("as it is", unpatched),
        ("hooked, right", idle),
        ("hooked, an hour ahead", ahead),
        ("hooked, strobing", strobing),
        ("as it is again", again),
        ("by a system call", system_call),
    ] {
        anstream::println!("{what:22} {nanoseconds:7.1} ns a call, {:5.2} times", nanoseconds / unpatched);
    }
    ExitCode::SUCCESS
}

async fn order(order: Order) {
    let pid = i32::try_from(std::process::id()).expect("process numbers are small");
    let look = Look { after: 20_000_000, during: 0 };
    let answer = ask(&Request { pids: vec![pid], order, look }).await;
    let seen = answer.unwrap_or_else(|error| panic!("{error}")).seen.remove(0);
    seen.unwrap_or_else(|error| panic!("{error}"));
}

fn by_vdso(time: &mut libc::timespec) {
    // SAFETY: the call writes one timespec, and there is room for it.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, time) };
}

fn by_system_call(time: &mut libc::timespec) {
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &raw mut *time) };
}

/// Nanoseconds a call: the median of the rounds.
fn round_of(call: fn(&mut libc::timespec)) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = monotonic();
            for _ in 0..CALLS {
                call(std::hint::black_box(&mut time));
            }
            monotonic() - began
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2].as_nanos() as f64 / f64::from(CALLS)
}

/// The monotonic clock, by a system call: no hook has a say in the measurement.
fn monotonic() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, and there is room for it.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).expect("less than a second"))
}
