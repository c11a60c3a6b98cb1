//! Clocks of running processes, turned from outside, whatever language they are written in.
//!
//! Programs ask the time of the vDSO, a few functions that the kernel maps into each process: C and Rust by way of the
//! C library, the JVM likewise, Go by itself. Each process has a copy of its own as soon as somebody writes to it. So a
//! jump ([`hook`]) is put where `clock_gettime`, `gettimeofday` and `time` begin, to code ([`code`]) that calls the
//! original and adds what its parameters say ([`slot`], [`course`]). Jumps and parameters are put in ([`patient`]) while
//! all threads of all processes concerned are held outside ([`surgery`]), by a process of its own ([`helper`],
//! [`ward`]), and what comes of it is read through the target's own bytes ([`worn`]).
//!
//! **Which clocks.** Two groups, each with a course of its own: the wall clock (`CLOCK_REALTIME`, its coarse twin,
//! `CLOCK_TAI`, `gettimeofday`, `time`) and the monotonic clock (`CLOCK_MONOTONIC`, its coarse twin,
//! `CLOCK_MONOTONIC_RAW`, `CLOCK_BOOTTIME`). Clocks that count processor time are left alone.
//!
//! **A monotonic clock never goes backwards**, in any thread, also while it is changed: nobody asks for the time
//! between the moment at which two courses join and when the new one is in force. At the end one that is behind leaps,
//! as if the process had been stopped; one that is ahead goes at half speed until true time has caught up. It does not
//! keep its surplus, because the kernel, which knows nothing of it, would make every wait until an absolute time longer
//! by as much, long after the fault. In a process that is started while clocks are wrong it begins to be wrong when it
//! is turned: until then the process has seen the truth.
//!
//! **What is not reached**: a system call made without the vDSO sees the true time, and so does the kernel when it is
//! given an absolute time to wait for (`clock_nanosleep`, a futex with a deadline, a timer). The JVM waits like that by
//! the monotonic clock: under a drift its timed waits end late by as much as its clock is ahead by then. A process that
//! executes another program has a new vDSO.
//!
//! **When all goes wrong.** The tracer may be killed at any moment, see [`surgery`], and the hook does what its slot
//! says without anybody's help, a strobe included. With the processes of the sandbox everything is gone.
//!
//! On a host with a clock of its own another way of turning clocks would take a [`Dial`] as well.

pub mod course;
mod helper;
mod order;

#[cfg(target_arch = "x86_64")]
mod code;
#[cfg(target_arch = "x86_64")]
mod hook;
#[cfg(target_arch = "x86_64")]
mod memory;
#[cfg(target_arch = "x86_64")]
mod patient;
#[cfg(target_arch = "x86_64")]
mod prologue;
#[cfg(target_arch = "x86_64")]
mod slot;
#[cfg(target_arch = "x86_64")]
mod surgery;
#[cfg(target_arch = "x86_64")]
mod truth;
#[cfg(target_arch = "x86_64")]
mod vdso;
#[cfg(target_arch = "x86_64")]
mod ward;
#[cfg(target_arch = "x86_64")]
mod worn;

pub use course::{Course, Dial};
pub use helper::{COMMAND, ask, serve};
pub use order::{Answer, Clock, Look, Order, Reading, Request, Seen, Since};

#[cfg(target_arch = "x86_64")]
use ward::obey;

/// How clocks are turned on this machine, in a few words.
///
/// # Errors
/// One sentence about why they are not.
#[cfg(target_arch = "x86_64")]
pub fn way() -> Result<&'static str, String> {
    hook::Hook::for_this_kernel().map(|hook| hook.way.words())
}

#[cfg(not(target_arch = "x86_64"))]
const UNSUPPORTED: &str = "clocks of processes can be turned on x86-64 only, so far";

/// How clocks are turned on this machine, in a few words.
///
/// # Errors
/// One sentence about why they are not.
#[cfg(not(target_arch = "x86_64"))]
pub fn way() -> Result<&'static str, String> {
    Err(UNSUPPORTED.to_owned())
}

#[cfg(not(target_arch = "x86_64"))]
fn obey(_: &Request) -> Result<Answer, String> {
    Err(UNSUPPORTED.to_owned())
}
