//! All threads of some processes held at places where their vDSOs may be changed, and the clocks with them.
//!
//! Nobody asks for the time in the meantime: so nobody sees half of a change, and none comes late, however long the
//! tracer itself is held up. To keep that short all threads are told to stand still before the first is waited for.
//! On two busy cores three of our replicas (15 threads) stood still for 1 to 3 ms, and three ZooKeepers (123 threads)
//! for 7 to 14 ms; where the tracer itself was held up, for a quarter of a second at worst.
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
use procfs::process::Process;

use super::memory::Memory;

/// How long all this may take; a thread that waits for a disk is held only after that, and the others wait with it.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a thread that is inside the vDSO is let go.
const MOMENT: Duration = Duration::from_micros(50);
/// How much of a thread's stack is searched for the frame of a signal.
const STACK: usize = 64 * 1024;

/// A process to be held.
#[derive(Clone, Copy)]
pub(super) struct Body<'a> {
    pub pid: Pid,
    pub vdso: &'a Range<u64>,
    pub memory: &'a Memory,
}

/// A process whose threads are all held. Dropped, it goes on.
pub(super) struct Held {
    threads: Vec<Thread>,
}

struct Thread {
    tid: Pid,
    grip: Grip,
    /// Whether it was seen outside of the vDSO since it is held.
    outside: bool,
}

/// Who holds a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grip {
    /// Nobody; we are its tracer.
    Loose,
    /// We do.
    Ours {
        /// A signal that was about to be delivered when it was held; it gets it when it goes on.
        signal: libc::c_int,
    },
    /// Another tracer, as long as it likes: a fault that holds one thread.
    Others,
}

/// Holds all threads of all these processes outside of their vDSOs, for each process or why not.
pub(super) fn hold(bodies: &[Body<'_>]) -> Vec<Result<Held, String>> {
    let deadline = Instant::now() + LIMIT;
    let mut all: Vec<_> = bodies.iter().map(|_| Ok(Held { threads: Vec::new() })).collect();
    loop {
        // A thread that is not held yet may start others, so they are looked for until there are no more.
        let more = each(&mut all, bodies, |held, body| held.seize_the_rest(body.pid));
        each(&mut all, bodies, |held, _| held.wait(deadline));
        if more.contains(&true) {
            continue;
        }
        let inside = each(&mut all, bodies, |held, body| held.let_those_inside_go(body, deadline));
        if !inside.contains(&true) {
            return all;
        }
        std::thread::sleep(MOMENT);
    }
}

/// Takes a step with each process with which all went well so far; answers what it said of those.
fn each<T>(
    all: &mut [Result<Held, String>],
    bodies: &[Body<'_>],
    mut step: impl FnMut(&mut Held, &Body<'_>) -> Result<T, String>,
) -> Vec<T> {
    let mut said = Vec::new();
    for (one, body) in all.iter_mut().zip(bodies) {
        if let Ok(held) = one {
            match step(held, body) {
                Ok(answer) => said.push(answer),
                Err(error) => *one = Err(error),
            }
        }
    }
    said
}

impl Held {
    /// Seizes the threads that are not yet, and interrupts them; answers whether there were any.
    fn seize_the_rest(&mut self, pid: Pid) -> Result<bool, String> {
        let mut more = false;
        for tid in threads(pid)? {
            if self.threads.iter().any(|thread| thread.tid == tid) {
                continue;
            }
            let grip = match ptrace::seize(tid, ptrace::Options::empty()) {
                Ok(()) => Grip::Loose,
                Err(Errno::ESRCH) => continue,
                Err(error) => match Refusal::of(pid, tid) {
                    Refusal::Ended => continue,
                    Refusal::HeldByAnother => Grip::Others,
                    Refusal::NotAllowed => return Err(refused(tid, error)),
                },
            };
            // From here on it is let go by the destructor, whatever comes of holding it.
            self.threads.push(Thread { tid, grip, outside: false });
            more = true;
        }
        self.interrupt()?;
        if self.threads.is_empty() { Err(format!("process {pid} has ended")) } else { Ok(more) }
    }

    /// Tells those that run to stand still.
    fn interrupt(&mut self) -> Result<(), String> {
        let mut refusal = Ok(());
        self.threads.retain(|thread| match thread.grip {
            Grip::Loose => match ptrace::interrupt(thread.tid) {
                Ok(()) => true,
                Err(Errno::ESRCH) => false,
                Err(error) => {
                    refusal = Err(refused(thread.tid, error));
                    true
                }
            },
            Grip::Ours { .. } | Grip::Others => true,
        });
        refusal
    }

    /// Waits for those that were told to stand still; forgets those that have ended.
    fn wait(&mut self, deadline: Instant) -> Result<(), String> {
        let mut index = 0;
        while let Some(thread) = self.threads.get_mut(index) {
            if thread.grip == Grip::Loose {
                match wait(thread.tid, deadline)? {
                    Outcome::Held { signal } => thread.grip = Grip::Ours { signal },
                    Outcome::Gone => {
                        self.threads.swap_remove(index);
                        continue;
                    }
                }
            }
            index += 1;
        }
        Ok(())
    }

    /// Lets those go on that are inside the vDSO; answers whether there were any.
    fn let_those_inside_go(&mut self, body: &Body<'_>, deadline: Instant) -> Result<bool, String> {
        let mut any = false;
        for thread in self.threads.iter_mut().filter(|thread| !thread.outside) {
            thread.outside = !thread.is_inside(body);
            if thread.outside {
                continue;
            }
            if Instant::now() >= deadline {
                return Err(format!("thread {} does not leave the clock's code", thread.tid));
            }
            let Grip::Ours { signal } = thread.grip else {
                return Err(format!("thread {} is held inside the clock's code by another tracer", thread.tid));
            };
            request(libc::PTRACE_CONT, thread.tid, signal);
            thread.grip = Grip::Loose;
            any = true;
        }
        Ok(any)
    }
}

/// What came of holding a thread.
enum Outcome {
    Held { signal: libc::c_int },
    Gone,
}

impl Drop for Held {
    fn drop(&mut self) {
        for Thread { tid, grip, .. } in &self.threads {
            if let Grip::Ours { signal } = grip {
                request(libc::PTRACE_DETACH, *tid, *signal);
            }
        }
    }
}

impl Thread {
    /// Whether it is inside, or will be when the handler of a signal returns.
    fn is_inside(&self, Body { vdso, memory, .. }: &Body<'_>) -> bool {
        let place = match self.grip {
            Grip::Loose | Grip::Ours { .. } => {
                ptrace::getregs(self.tid).ok().map(|registers| (registers.rip, registers.rsp))
            }
            Grip::Others => told_by_the_kernel(self.tid),
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

/// Why a thread cannot be seized.
enum Refusal {
    Ended,
    HeldByAnother,
    NotAllowed,
}

impl Refusal {
    fn of(pid: Pid, tid: Pid) -> Refusal {
        let task = Process::new(pid.as_raw()).and_then(|process| process.task_from_tid(tid.as_raw()));
        match task.and_then(|task| task.status()) {
            Ok(status) if status.tracerpid != 0 && status.state.starts_with('t') => Refusal::HeldByAnother,
            Ok(status) if !status.state.starts_with(['Z', 'X']) => Refusal::NotAllowed,
            Ok(_) | Err(_) => Refusal::Ended,
        }
    }
}

/// The instruction and the stack of a thread that stands still, as the kernel tells them to whoever does not trace it:
/// the last two words of what it says of the thread's system call.
fn told_by_the_kernel(tid: Pid) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
    let mut words = text.split_whitespace().rev().map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16));
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

/// The threads of a process, those that have ended perhaps among them.
fn threads(pid: Pid) -> Result<Vec<Pid>, String> {
    let tasks = Process::new(pid.as_raw()).and_then(|process| process.tasks());
    let tasks = tasks.map_err(|error| format!("process {pid} has ended: {error}"))?;
    Ok(tasks.flatten().map(|task| Pid::from_raw(task.tid)).collect())
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
