//! `grudge hold`: one thread held for as long as somebody wants it to stand still.
//!
//! A thread is stopped by its tracer, and the tracer's death lets it go on: the kernel detaches whom the dead have
//! traced. So this is a process of its own, which ends when its standard input does, and nothing has to be undone by
//! anybody. (The harness itself cannot trace: its runtime waits for its children, and would take their stops for ends.)

use std::io::{self, Read, Write};
use std::process::{Stdio, exit};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// What it says when the thread stands still.
const HELD: &str = "held";
/// How long it may take until a thread stands still, or goes on: the program may have to be read from a busy disk, and a
/// thread inside fsync stops only after it.
const EFFECT: Duration = Duration::from_secs(20);

/// The process that holds a thread until this is let go or dropped.
pub(crate) struct Holder {
    process: Child,
    /// Its end is the sign to let go.
    leash: ChildStdin,
}

impl Holder {
    /// Has a thread held. The inner error says that it is not.
    pub(crate) async fn of(thread: i32) -> io::Result<Result<Holder, String>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("hold").arg(thread.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let leash = process.stdin.take().expect("it is piped");
        let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut said = String::new();
        Ok(match timeout(EFFECT, output.read_line(&mut said)).await {
            Ok(Ok(_)) if said.trim_end() == HELD => Ok(Holder { process, leash }),
            Ok(_) => {
                let mut errors = process.stderr.take().expect("it is piped");
                let mut why = String::new();
                drop(timeout(EFFECT, errors.read_to_string(&mut why)).await);
                Err(format!("thread {thread} is not held: {}", why.trim()))
            }
            Err(_) => Err(format!("thread {thread} does not stop within {EFFECT:?}")),
        })
    }

    /// Its number, as long as it lives.
    pub(crate) fn id(&self) -> Option<i32> {
        self.process.id().and_then(|id| i32::try_from(id).ok())
    }

    /// Lets the thread go on.
    pub(crate) async fn let_go(self) {
        let Holder { mut process, leash } = self;
        drop(leash);
        // What is not let go is killed when it is dropped, which lets go as well.
        drop(timeout(EFFECT, process.wait()).await);
    }
}

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
