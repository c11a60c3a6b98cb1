//! `grudge hold`: one thread held for as long as somebody wants it to stand still.
//!
//! A thread is stopped by its tracer, and the tracer's death lets it go on: the kernel detaches whom the dead have
//! traced. So this is a process of its own, which ends when its standard input does, and nothing has to be undone by
//! anybody. (The harness itself cannot trace: its runtime waits for its children, and would take their stops for ends.)

use std::io::{self, Read, Write};
use std::process::exit;
use std::thread;

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What it says when the thread stands still.
pub const HELD: &str = "held";

/// Holds a thread, says so, and returns when the thread has died. Ends this process when standard input does.
///
/// # Errors
/// The thread cannot be traced: it has gone, or another traces it already.
pub fn hold(thread: i32) -> io::Result<()> {
    let thread = Pid::from_raw(thread);
    ptrace::seize(thread, ptrace::Options::empty())?;
    ptrace::interrupt(thread)?;
    if !stands_still(thread)? {
        return Ok(());
    }
    let mut output = io::stdout().lock();
    writeln!(output, "{HELD}")?;
    output.flush()?;
    thread::spawn(|| {
        // Whatever is said: the end is what is waited for.
        drop(io::stdin().read_to_end(&mut Vec::new()));
        exit(0);
    });
    // A dead thread stays until its tracer has waited for it, and its process with it.
    while alive(wait(thread)) {}
    Ok(())
}

/// Waits for the stop that was asked for; no if the thread has died before.
fn stands_still(thread: Pid) -> io::Result<bool> {
    loop {
        match wait(thread)? {
            WaitStatus::PtraceEvent(..) => return Ok(true),
            // A signal came first: it is delivered as if nobody looked.
            WaitStatus::Stopped(_, signal) => ptrace::cont(thread, Some(signal).filter(|it| *it != Signal::SIGTRAP))?,
            status if alive(Ok(status)) => {}
            _ => return Ok(false),
        }
    }
}

fn wait(thread: Pid) -> Result<WaitStatus, Errno> {
    waitpid(thread, Some(WaitPidFlag::__WALL))
}

fn alive(waited: Result<WaitStatus, Errno>) -> bool {
    !matches!(waited, Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_))
}
