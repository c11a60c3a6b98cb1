//! What this machine can do, and what to do where it cannot: the data of `grudge doctor`.
//!
//! Nothing is guessed from versions. The sandbox is entered, a small network is made in it and cut, other processes are
//! traced and squeezed; what does not work is reported with what the kernel or the tool said.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::disk::Disk;
use crate::fault::{self, FaultKind};
use crate::hold::Holder;
use crate::net::{Burst, FilterPlace, HEADER, Net, NetError, SHORTEST, Treatment, find_restore};
use crate::sandbox::{self, Network, Privilege};
use crate::system::{System, SystemError};

/// One capability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What it is.
    pub capability: Cow<'static, str>,
    /// How it stands.
    pub state: State,
}

/// How a capability stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there; how, in a few words.
    Ok(String),
    /// It is missing or could be better; clusters run nevertheless.
    Degraded {
        /// What was seen.
        why: String,
        /// What to do about it.
        remedy: String,
    },
    /// It is missing, and no cluster can be brought up without.
    Missing {
        /// What was seen.
        why: String,
        /// What to do about it.
        remedy: String,
    },
}

impl State {
    fn ok(how: impl Into<String>) -> State {
        State::Ok(how.into())
    }

    fn degraded(why: impl Into<String>, remedy: &str) -> State {
        State::Degraded { why: why.into(), remedy: remedy.to_owned() }
    }

    fn missing(why: impl Into<String>, remedy: &str) -> State {
        State::Missing { why: why.into(), remedy: remedy.to_owned() }
    }
}

fn check(capability: &'static str, state: State) -> Check {
    Check { capability: Cow::Borrowed(capability), state }
}

const USE_SUDO: &str = "run grudge with sudo, or allow unprivileged user namespaces (sudo sysctl -w \
                        kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0, whichever \
                        of the two your kernel knows)";
const ALLOW_PTRACE: &str = "sudo sysctl -w kernel.yama.ptrace_scope=0, or run grudge with sudo";
const INSTALL_IPTABLES: &str = "sudo apt-get install iptables";

/// Examines the machine. Call it from `main`, before any thread exists: it enters the sandbox to try things there.
/// Like [`sandbox::enter`], it returns in the harness process only.
#[must_use]
pub fn examine() -> Vec<Check> {
    let sandbox = sandbox::enter(Network::Own);
    let namespaces = match &sandbox {
        Ok(Privilege::Root) => State::ok("network, mount and pid namespaces, as root"),
        Ok(Privilege::UserNamespace) => State::ok("network, mount and pid namespaces, inside a user namespace"),
        Err(error) => State::missing(error.to_string(), USE_SUDO),
    };
    let (network, partitions, packets) = match sandbox {
        Ok(_) => network(),
        Err(_) => {
            let unknown = || State::missing("it could not be tried without namespaces", USE_SUDO);
            (unknown(), unknown(), unknown())
        }
    };
    vec![
        check("namespaces", namespaces),
        check("iptables", iptables()),
        check("network", network),
        check("partitions", partitions),
        check("packets", packets),
        check("pauses", stops()),
        check("ptrace", traces()),
        check("threads", threads()),
        check("memory", memory()),
        check("clocks", clocks()),
        check("fuse", fuse()),
        check("systems", systems()),
    ]
}

/// Why faults of that kind cannot be made on this machine, if they cannot, and what to do about it: it is tried.
#[must_use]
pub(crate) fn unable(kind: FaultKind) -> Option<String> {
    let state = match kind {
        FaultKind::Power | FaultKind::Disk => fuse(),
        FaultKind::Clock => clocks(),
        FaultKind::Thread => threads(),
        FaultKind::Memory => memory(),
        FaultKind::Pause | FaultKind::Kill | FaultKind::Restart | FaultKind::Cpu => stops(),
        // They are made by whoever has the whole cluster in hand.
        FaultKind::Partition | FaultKind::Packets | FaultKind::Reset | FaultKind::Member | FaultKind::Client => {
            return None;
        }
    };
    match state {
        State::Ok(_) => None,
        State::Degraded { why, remedy } | State::Missing { why, remedy } => Some(format!("{why}; {remedy}")),
    }
}

fn iptables() -> State {
    let program = match find_restore() {
        Ok(program) => program,
        Err(error) => return State::missing(error.to_string(), INSTALL_IPTABLES),
    };
    match Command::new(&program).arg("--version").output() {
        Ok(output) => State::ok(format!("{} ({})", String::from_utf8_lossy(&output.stdout).trim(), program.display())),
        Err(error) => State::missing(format!("{}: {error}", program.display()), INSTALL_IPTABLES),
    }
}

/// A network of three nodes, a cut in it, and packets that are lost.
fn network() -> (State, State, State) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let state = State::missing(format!("no runtime: {error}"), "raise the limits on processes and open files");
            return (state.clone(), state.clone(), state);
        }
    };
    let (network, partitions) = cut(&runtime);
    (network, partitions, runtime.block_on(packets()))
}

/// How trouble with packets would be made, having made some.
async fn packets() -> State {
    let remedy = "load the TUN device (sudo modprobe tun) and let this user open /dev/net/tun";
    match lost_by_half().await {
        Ok((by, lost)) if (8..56).contains(&lost) => {
            State::ok(format!("{by}; of 64 packets about half were lost, as asked"))
        }
        Ok((by, lost)) => State::degraded(format!("{by} lost {lost} of 64 packets, and half was asked for"), remedy),
        Err(error) => State::degraded(format!("packets cannot be put in trouble: {error}"), remedy),
    }
}

/// By what, and how many of 64 packets are lost when half of them should be.
async fn lost_by_half() -> Result<(&'static str, u32), NetError> {
    let mut net = Net::up(2, &[FilterPlace::Hub, FilterPlace::EachNode], Some(1)).await?;
    net.treat(&BTreeMap::from([((0, 1), Treatment { loss: 50, ..Treatment::default() })])).await?;
    let burst = Burst { packets: 64, bytes: HEADER + SHORTEST, held_up: Duration::ZERO };
    let seen = net.sample(BTreeMap::from([((0, 1), burst)])).await?;
    let by = match net.has_netem() {
        true => "the kernel's netem, and for what it does otherwise a switch in user space behind a TUN device",
        false => "a switch in user space behind a TUN device",
    };
    Ok((by, seen[&(0, 1)].lost))
}

/// A network of three nodes, and a cut in it.
fn cut(runtime: &tokio::runtime::Runtime) -> (State, State) {
    let up = "bridge, veth pairs and addresses in namespaces of their own";
    runtime.block_on(async {
        match Net::up(3, &[FilterPlace::Hub, FilterPlace::EachNode], None).await {
            Ok(net) => {
                let partitions = match net.filter_place() {
                    FilterPlace::Hub => State::ok("one ruleset in the hub cuts the whole cluster at one instant"),
                    FilterPlace::EachNode => State::degraded(
                        "bridged packets do not pass iptables, so each node gets a ruleset of its own and they take \
                         effect a few milliseconds apart",
                        "sudo modprobe br_netfilter",
                    ),
                };
                (State::ok(up), partitions)
            }
            Err(error @ NetError::NoIptables) => {
                (State::ok("not tried"), State::missing(error.to_string(), INSTALL_IPTABLES))
            }
            Err(error @ (NetError::Iptables { .. } | NetError::Broken(_))) => (
                State::ok(up),
                State::missing(
                    error.to_string(),
                    "the kernel needs netfilter's filter table: sudo modprobe ip_tables nf_tables",
                ),
            ),
            Err(error @ (NetError::Setup { .. } | NetError::Io(_))) => (
                State::missing(error.to_string(), "the kernel needs bridges and veth pairs: sudo modprobe bridge veth"),
                State::missing("there is no network to cut", "see above"),
            ),
        }
    })
}

/// Whether the state of a process can be read where receipts are read.
fn stops() -> State {
    match procfs::process::Process::myself().and_then(|myself| myself.stat()) {
        Ok(_) => State::ok("signals, and thread states in /proc"),
        Err(error) => State::missing(format!("/proc cannot be read: {error}"), "mount /proc"),
    }
}

/// Whether a child can be traced, which clock faults are made with.
fn traces() -> State {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec only ptrace is called, a plain system call.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(std::io::Error::from)) };
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return State::degraded(format!("a child cannot be traced: {error}"), ALLOW_PTRACE),
    };
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("process numbers are small"));
    match traced_to_its_end(pid) {
        Ok(()) => State::ok("children can be traced"),
        Err(error) => State::degraded(format!("a child cannot be traced: {error}"), ALLOW_PTRACE),
    }
}

/// A traced child stops at its exec; it is looked at, killed and reaped.
fn traced_to_its_end(pid: Pid) -> Result<(), Errno> {
    let looked = match waitpid(pid, None)? {
        WaitStatus::Stopped(_, Signal::SIGTRAP) => ptrace::getsiginfo(pid).map(drop),
        _ => return Err(Errno::ESRCH),
    };
    ptrace::kill(pid)?;
    waitpid(pid, None)?;
    looked
}

/// A process that waits until this is dropped.
struct Patient(Child);

impl Patient {
    /// This program, waiting for an order that does not come.
    fn waiting() -> io::Result<Patient> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(clock::COMMAND).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Patient)
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("process numbers are small")
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Whether a thread of a process that runs can be held, which is no child of whoever holds it.
fn threads() -> State {
    let tried = || -> anyhow::Result<()> {
        let patient = Patient::waiting()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let holder = Holder::of(patient.pid()).await?.map_err(anyhow::Error::msg)?;
            holder.let_go().await;
            Ok(())
        })
    };
    match tried() {
        Ok(()) => State::ok("a thread of a running process was held, and let go"),
        Err(error) => State::degraded(format!("no thread of a running process can be held: {error}"), ALLOW_PTRACE),
    }
}

/// Whether a process that runs can be kept from taking more memory.
fn memory() -> State {
    let patient = Patient::waiting().map_err(|error| error.to_string());
    match patient.and_then(|patient| fault::memory::tried(patient.pid())) {
        Ok(()) => State::ok("the limit of a running process was lowered, and raised again"),
        Err(error) => {
            State::degraded(format!("the memory of no process can be squeezed: {error}"), "run grudge with sudo")
        }
    }
}

/// Whether the systems of others that are known are installed.
fn systems() -> State {
    let all = System::all();
    let missing = all.iter().filter_map(|system| match system.installed() {
        Err(SystemError::Missing { system, file, install }) => {
            Some((format!("{system} needs {}", file.display()), install))
        }
        _ => None,
    });
    let (why, install): (Vec<String>, Vec<String>) = missing.unzip();
    if why.is_empty() {
        let names = all.into_iter().map(|system| system.name).collect::<Vec<_>>();
        return State::ok(names.join(", "));
    }
    State::degraded(why.join(", "), &install.join(" && "))
}

/// Whether this kernel's clock functions can be hooked.
fn clocks() -> State {
    match clock::way() {
        Ok(how) => State::ok(how),
        Err(why) => State::degraded(why, "clock faults need x86-64 and a kernel with a vDSO"),
    }
}

/// A layer over a folder, as losses of power and disk faults want one under each node's data.
fn fuse() -> State {
    let tried = || -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let disk = Disk::mount(&std::env::current_exe()?, &data, folder.path().join("log")).await?;
            disk.unmount().await;
            Ok(())
        })
    };
    match tried() {
        Ok(()) => State::ok("a layer was mounted over a folder: disks can lose power and give trouble"),
        Err(error) => State::degraded(
            error.to_string(),
            "sudo modprobe fuse, and let this user use it: sudo chmod a+rw /dev/fuse; or run grudge with sudo",
        ),
    }
}
