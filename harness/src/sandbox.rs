//! One private namespace for the harness and everything it starts; it dies with the harness.
//!
//! [`enter`] splits the process in three:
//!
//! ```text
//! caller        waits, hands on SIGINT, SIGTERM and SIGHUP, exits with the harness's exit code
//!  └─ init      pid 1 of a new pid namespace: reaps orphans, hands on signals, exits when the harness does
//!      └─ harness   returns from `enter`: everything else happens here
//! ```
//!
//! All three live in one new mount and pid namespace, and in a new network namespace unless they are to reach other
//! machines (and a user namespace where the caller is not root).
//! Whichever of them is killed, nothing stays: the caller's death kills init (`PR_SET_PDEATHSIG`), the harness's
//! death ends init, and the kernel kills every process of a pid namespace whose init has gone. With the last
//! process go the network namespaces, their links, bridges and rules, and the mounts. Nothing has a name on the
//! host, so there is nothing to clean up by name.
//!
//! Init is a process of its own, and not the harness itself, because pid 1 must reap every orphan while an async
//! runtime wants to reap exactly its own children, and because signals without a handler do not reach a pid 1.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getegid, geteuid, pipe2, read, setpgid};
use thiserror::Error;

/// The exit code of a harness that failed for reasons of its own.
const HARNESS_FAILED: i32 = 255;

/// In which network the sandbox lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// In one of its own, where nodes on this machine are.
    Own,
    /// In the caller's: other machines are reached from there.
    Callers,
}

/// Where the harness's rights inside the sandbox come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// The caller may administrate the machine.
    Root,
    /// The caller may not; it is root inside a user namespace of its own and nowhere else.
    UserNamespace,
}

/// Why there is no sandbox.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The kernel refuses namespaces to this user.
    #[error(
        "this user may not make the namespaces a cluster lives in ({step}: {cause}); run grudge with sudo, or allow \
         unprivileged user namespaces: sudo sysctl -w kernel.unprivileged_userns_clone=1 \
         kernel.apparmor_restrict_unprivileged_userns=0 (whichever of the two your kernel knows)"
    )]
    Permission {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        cause: Errno,
    },
    /// The kernel has no (more) namespaces of this kind.
    #[error(
        "the kernel has no namespaces left for this user ({cause}); raise the limits in /proc/sys/user, for example: \
         sudo sysctl -w user.max_user_namespaces=10000 user.max_net_namespaces=10000"
    )]
    Exhausted {
        /// What the kernel said.
        cause: Errno,
    },
    /// A namespace cannot be entered by a process that already has threads.
    #[error("the sandbox must be entered before the first thread is started, and there are {0} threads")]
    Threads(usize),
    /// Anything else.
    #[error("the sandbox could not be made: {step}: {cause}")]
    Setup {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },
}

impl SandboxError {
    fn at(step: &'static str) -> impl Fn(Errno) -> SandboxError {
        move |cause| match cause {
            Errno::EPERM | Errno::EACCES => SandboxError::Permission { step, cause },
            Errno::ENOSPC | Errno::EUSERS => SandboxError::Exhausted { cause },
            other => SandboxError::Setup { step, cause: other.into() },
        }
    }

    fn file(step: &'static str) -> impl Fn(io::Error) -> SandboxError {
        move |cause| match cause.raw_os_error().map(Errno::from_raw) {
            Some(errno) => SandboxError::at(step)(errno),
            None => SandboxError::Setup { step, cause },
        }
    }
}

/// Moves the rest of the program into a sandbox of its own. Returns in the harness process only; the caller's
/// process waits inside this function and exits with the harness's exit code.
///
/// Call it from `main`, before any thread exists.
///
/// # Errors
/// No sandbox could be made. The error says what to do; nothing was changed.
pub fn enter(network: Network) -> Result<Privilege, SandboxError> {
    let threads = fs::read_dir("/proc/self/task").map_err(SandboxError::file("count threads"))?.count();
    if threads > 1 {
        return Err(SandboxError::Threads(threads));
    }
    let privilege = make_namespaces(network)?;
    let (alive, held_by_caller) =
        pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(SandboxError::at("make a pipe"))?;
    let before = block_signals()?;
    // SAFETY: this process has one thread, so the child may do whatever its parent could.
    match unsafe { fork() }.map_err(SandboxError::at("fork"))? {
        ForkResult::Parent { child } => {
            drop(alive);
            std::process::exit(attend(child, "the sandbox's init"))
        }
        ForkResult::Child => {
            drop(held_by_caller);
            become_init(&alive)?;
            // SAFETY: as above.
            match unsafe { fork() }.map_err(SandboxError::at("fork"))? {
                ForkResult::Parent { child } => std::process::exit(attend(child, "the harness")),
                ForkResult::Child => {
                    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)
                        .map_err(SandboxError::at("restore the signal mask"))?;
                    Ok(privilege)
                }
            }
        }
    }
}

/// Lets another process go on with the program, and waits for it: this one does `clear_up` when that has ended, and exits
/// as it did. Its death ends the other.
///
/// It is no part of a sandbox: who has made a pid namespace can start nothing any more when that has ended.
///
/// # Errors
/// There can be no other process.
pub(crate) fn outlive(clear_up: impl FnOnce()) -> Result<(), SandboxError> {
    let (alive, held_by_parent) =
        pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(SandboxError::at("make a pipe"))?;
    let before = block_signals()?;
    // SAFETY: this process has one thread, so the child may do whatever its parent could.
    match unsafe { fork() }.map_err(SandboxError::at("fork"))? {
        ForkResult::Parent { child } => {
            drop(alive);
            let code = attend(child, "the sandbox");
            clear_up();
            std::process::exit(code)
        }
        ForkResult::Child => {
            drop(held_by_parent);
            die_with_parent(&alive)?;
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)
                .map_err(SandboxError::at("restore the signal mask"))
        }
    }
}

/// The new namespaces; with a user namespace only if it does not go without.
fn make_namespaces(network: Network) -> Result<Privilege, SandboxError> {
    let flags = match network {
        Network::Own => CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID,
        Network::Callers => CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID,
    };
    match unshare(flags) {
        Ok(()) => return Ok(Privilege::Root),
        Err(Errno::EPERM) => {}
        Err(cause) => return Err(SandboxError::at("unshare")(cause)),
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(flags | CloneFlags::CLONE_NEWUSER).map_err(SandboxError::at("unshare with a user namespace"))?;
    // A group map may only be written by an ordinary user after setgroups was given up.
    let write = |path: &str, text: String| fs::write(path, text).map_err(SandboxError::file("map user and group ids"));
    // Whoever goes to other machines goes there under the caller's name, with the caller's keys.
    let (inner_uid, inner_gid) = match network {
        Network::Own => (0, 0),
        Network::Callers => (uid.as_raw(), gid.as_raw()),
    };
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{inner_uid} {uid} 1"))?;
    write("/proc/self/gid_map", format!("{inner_gid} {gid} 1"))?;
    Ok(Privilege::UserNamespace)
}

/// The signals a waiting process takes synchronously: those it hands on, and news of its children.
fn attended() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD])
}

/// Blocks them, so that none is lost before somebody waits for it. Returns the mask to restore in the harness.
fn block_signals() -> Result<SigSet, SandboxError> {
    let step = "block signals";
    // Under an inherited SIG_IGN the kernel would reap children itself and nobody would learn their exit code.
    // SAFETY: the default action runs no code of ours.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }.map_err(SandboxError::at(step))?;
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&attended()), Some(&mut before)).map_err(SandboxError::at(step))?;
    Ok(before)
}

fn die_with_parent(alive: &OwnedFd) -> Result<(), SandboxError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::at("tie a process to its parent"))?;
    // The parent may have died just before; then its end of the pipe is closed and reads as the end of a file.
    if read(alive, &mut [0]) == Ok(0) {
        std::process::exit(HARNESS_FAILED);
    }
    Ok(())
}

/// What pid 1 does before it lets the harness run.
fn become_init(alive: &OwnedFd) -> Result<(), SandboxError> {
    die_with_parent(alive)?;
    // Out of the terminal's foreground group: Ctrl-C then reaches the harness once, through the caller.
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(SandboxError::at("make a process group"))?;
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .map_err(SandboxError::at("make mounts private"))?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC, nothing)
        .map_err(SandboxError::at("mount /proc"))
}

/// Waits for `child`: reaps whatever else ends meanwhile, hands on signals, and answers with what code to exit.
fn attend(child: Pid, what: &str) -> i32 {
    let signals = attended();
    loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => {
                while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                    match status {
                        WaitStatus::StillAlive => break,
                        WaitStatus::Exited(pid, code) if pid == child => return code,
                        WaitStatus::Signaled(pid, by, _) if pid == child => {
                            anstream::eprintln!("grudge: {what} was killed by {by}; the cluster died with it");
                            return HARNESS_FAILED;
                        }
                        _ => {}
                    }
                }
            }
            // A child that has ended already is reaped in the next round.
            Ok(other) => drop(kill(child, other)),
            Err(_) => {}
        }
    }
}
