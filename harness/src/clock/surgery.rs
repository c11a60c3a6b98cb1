//! All threads of a process held at places where its vDSO may be changed.
//!
//! The tracer may die at any moment: the kernel lets its tracees go on, as they are. So nothing here changes what a
//! thread would go on with: no registers, no signal masks, no single steps (the trap flag of which would outlive the
//! tracer). A thread that is inside the vDSO is let go for a moment and held again, until it is seen elsewhere; so
//! is one that was interrupted there by a signal whose handler still runs.

use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;
use procfs::process::{ProcState, Process};

use super::memory::Memory;

/// How long all this may take; a thread that waits for a disk is held only after that.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a thread that is inside the vDSO is let go.
const MOMENT: Duration = Duration::from_micros(50);
/// How much of a thread's stack is searched for the frame of a signal.
const STACK: usize = 64 * 1024;

/// A process whose threads are all held. Dropped, it goes on.
pub(super) struct Held {
    threads: Vec<Thread>,
}

struct Thread {
    tid: Pid,
    holder: Holder,
}

/// Who holds a thread.
#[derive(Clone, Copy)]
enum Holder {
    /// We do.
    Us {
        /// A signal that was about to be delivered when it was held; it gets it when it goes on.
        signal: libc::c_int,
    },
    /// Another tracer, as long as it likes: a fault that holds one thread.
    Another,
}

/// What came of holding a thread.
enum Outcome {
    Held { signal: libc::c_int },
    Gone,
}

impl Held {
    /// Holds all threads of a process outside of its vDSO.
    pub(super) fn outside(pid: Pid, vdso: &Range<u64>, memory: &Memory) -> Result<Held, String> {
        let deadline = Instant::now() + LIMIT;
        let mut held = Held { threads: Vec::new() };
        while held.hold_the_rest(pid, deadline)? {}
        if held.threads.is_empty() {
            return Err(format!("process {pid} has ended"));
        }
        let mut index = 0;
        while index < held.threads.len() {
            if held.threads[index].is_inside(vdso, memory) {
                held.nudge(index, deadline)?;
            } else {
                index += 1;
            }
        }
        Ok(held)
    }

    /// Holds the threads that are not yet; answers whether there were any.
    fn hold_the_rest(&mut self, pid: Pid, deadline: Instant) -> Result<bool, String> {
        let mut more = false;
        for tid in living_threads(pid)? {
            if self.threads.iter().any(|thread| thread.tid == tid) {
                continue;
            }
            match ptrace::seize(tid, ptrace::Options::empty()) {
                Ok(()) => {
                    // From here on it is let go by the destructor, whatever comes of holding it.
                    self.threads.push(Thread { tid, holder: Holder::Us { signal: 0 } });
                    self.hold(self.threads.len() - 1, deadline)?;
                }
                Err(Errno::EPERM) if is_held_by_another(pid, tid) => {
                    self.threads.push(Thread { tid, holder: Holder::Another });
                }
                Err(Errno::ESRCH) => continue,
                Err(error) => return Err(refused(tid, error)),
            }
            more = true;
        }
        Ok(more)
    }

    /// Holds a seized thread that runs; forgets it if it has ended.
    fn hold(&mut self, index: usize, deadline: Instant) -> Result<(), String> {
        let tid = self.threads[index].tid;
        let outcome = match ptrace::interrupt(tid) {
            Ok(()) => wait(tid, deadline)?,
            Err(Errno::ESRCH) => Outcome::Gone,
            Err(error) => return Err(refused(tid, error)),
        };
        match outcome {
            Outcome::Held { signal } => self.threads[index].holder = Holder::Us { signal },
            Outcome::Gone => drop(self.threads.swap_remove(index)),
        }
        Ok(())
    }

    /// Lets a thread go on for a moment.
    fn nudge(&mut self, index: usize, deadline: Instant) -> Result<(), String> {
        let Thread { tid, holder } = self.threads[index];
        let Holder::Us { signal } = holder else {
            return Err(format!("thread {tid} is held inside the clock's code by another tracer"));
        };
        request(libc::PTRACE_CONT, tid, signal);
        self.threads[index].holder = Holder::Us { signal: 0 };
        std::thread::sleep(MOMENT);
        self.hold(index, deadline)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for Thread { tid, holder } in &self.threads {
            if let Holder::Us { signal } = holder {
                request(libc::PTRACE_DETACH, *tid, *signal);
            }
        }
    }
}

impl Thread {
    /// Whether it is inside, or will be when the handler of a signal returns.
    fn is_inside(&self, vdso: &Range<u64>, memory: &Memory) -> bool {
        let place = match self.holder {
            Holder::Us { .. } => ptrace::getregs(self.tid).ok().map(|registers| (registers.rip, registers.rsp)),
            Holder::Another => told_by_the_kernel(self.tid),
        };
        // A thread that is nowhere has ended.
        place.is_some_and(|(instruction, stack)| {
            vdso.contains(&instruction) || memory.upwards(stack, STACK).windows(3).any(|frame| interrupted(frame, vdso))
        })
    }
}

/// Whether these words of a stack are the end of the general registers that the kernel saves for a signal's handler:
/// the place that was interrupted, flags of which the second is always set and the upper ones never, and the segment
/// of a 64-bit program.
fn interrupted(frame: &[u64], vdso: &Range<u64>) -> bool {
    const USER_CODE: u64 = 0x33;
    let [place, flags, segments] = frame else { return false };
    vdso.contains(place) && flags & 2 != 0 && flags >> 22 == 0 && segments & 0xffff == USER_CODE
}

/// Whether another tracer has a thread and holds it.
fn is_held_by_another(pid: Pid, tid: Pid) -> bool {
    let task = Process::new(pid.as_raw()).and_then(|process| process.task_from_tid(tid.as_raw()));
    let status = task.and_then(|task| task.status());
    status.is_ok_and(|status| status.tracerpid != 0 && status.state.starts_with('t'))
}

/// The instruction and the stack of a thread that stands still, as the kernel tells them to whoever does not trace it:
/// the last two words of what it says of the thread's system call.
fn told_by_the_kernel(tid: Pid) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
    let mut words = text.split_whitespace().rev().map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16));
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

fn living_threads(pid: Pid) -> Result<Vec<Pid>, String> {
    let tasks = Process::new(pid.as_raw()).and_then(|process| process.tasks());
    let tasks = tasks.map_err(|error| format!("process {pid} has ended: {error}"))?;
    let living = tasks.flatten().filter(|task| {
        let state = task.stat().and_then(|stat| stat.state());
        state.is_ok_and(|state| !matches!(state, ProcState::Zombie | ProcState::Dead))
    });
    Ok(living.map(|task| Pid::from_raw(task.tid)).collect())
}

/// Waits until a thread that was interrupted is held.
fn wait(tid: Pid, deadline: Instant) -> Result<Outcome, String> {
    loop {
        let mut status = 0;
        // SAFETY: the call writes one number, and there is room for it.
        match unsafe { libc::waitpid(tid.as_raw(), &raw mut status, libc::__WALL | libc::WNOHANG) } {
            0 if Instant::now() >= deadline => {
                return Err(format!("thread {tid} could not be held within {LIMIT:?}"));
            }
            0 => std::thread::sleep(MOMENT),
            -1 if Errno::last() == Errno::ECHILD => return Ok(Outcome::Gone),
            -1 => return Err(format!("thread {tid} cannot be waited for: {}", io::Error::last_os_error())),
            _ if libc::WIFSTOPPED(status) => {
                // An event is our interruption, or a stop that the process is in anyway: no signal to be delivered.
                let signal = if status >> 16 == 0 { libc::WSTOPSIG(status) } else { 0 };
                return Ok(Outcome::Held { signal });
            }
            _ => return Ok(Outcome::Gone),
        }
    }
}

/// A request that lets a thread go on. One that has ended needs it no more.
fn request(what: libc::c_uint, tid: Pid, signal: libc::c_int) {
    // SAFETY: neither request reads or writes memory of this process. nix knows no real-time signals, so it is not asked.
    unsafe { libc::ptrace(what, tid.as_raw(), 0, libc::c_long::from(signal)) };
}

fn refused(tid: Pid, error: Errno) -> String {
    format!("thread {tid} may not be traced: {error}; grudge doctor says what to do about it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_of_a_signal_is_told_from_other_words() {
        let vdso = 0x7fff_0000..0x7fff_2000;
        assert!(interrupted(&[0x7fff_0b00, 0x246, 0x2b_0000_0000_0033], &vdso));
        assert!(!interrupted(&[0x7fff_2000, 0x246, 0x33], &vdso), "interrupted elsewhere");
        assert!(!interrupted(&[0x7fff_0b00, 0x7fff_0b00, 0x33], &vdso), "no flags");
        assert!(!interrupted(&[0x7fff_0b00, 0x246, 0x1234], &vdso), "no segments");
    }
}
