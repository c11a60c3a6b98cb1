//! The sandbox from the outside: whoever is killed, and whenever, nothing stays behind. The test binary plays every
//! part itself; its first argument says which.

mod forbid;
mod kills;
mod outside;
mod standin;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, exit};

use forbid::forbid;
use grudge::cluster::Cluster;
use grudge::sandbox::{self, Network};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Uid;
use outside::{Host, grudge, marked, me, namespaces, part, refused_here, wait_until};
use standin::Manner;

fn main() -> ExitCode {
    standin::replica_if_asked();
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, "hold", manner, dir] => hold(manner, Path::new(dir)),
        [_, "exit", code] => {
            enter_or_say_why();
            exit(code.parse().expect("a number"))
        }
        [_, "orphan"] => orphan(),
        [_, "late"] => late(),
        _ => {}
    }
    let arguments = Arguments::from_args();
    let mut trials = kills::trials();
    trials.extend([
        Trial::test("five_real_nodes_serve_until_they_are_interrupted", real_nodes),
        Trial::test("sigterm_reaches_the_harness_and_nothing_is_left", sigterm),
        Trial::test("a_cluster_that_does_not_come_up_leaves_nothing", failing_cluster),
        Trial::test("the_harness_exit_code_is_the_callers", exit_codes),
        Trial::test("orphans_are_reaped", orphans),
        Trial::test("an_ordinary_user_brings_a_cluster_up", ordinary_user),
        Trial::test("no_permission_is_one_clear_sentence", no_permission),
        Trial::test("no_namespaces_left_is_one_clear_sentence", exhausted),
        Trial::test("a_process_with_threads_is_refused", with_threads),
        Trial::test("the_doctor_says_what_the_kernel_keeps_to_itself", doctor),
    ]);
    libtest_mimic::run(&arguments, trials).exit_code()
}

// ---- the parts

fn enter_or_say_why() {
    if let Err(error) = sandbox::enter(Network::Own) {
        anstream::eprintln!("{error}");
        exit(255);
    }
}

/// A harness with a cluster; says `up`, and goes down on SIGTERM.
fn hold(manner: &str, dir: &Path) -> ! {
    enter_or_say_why();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut stop =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("a signal handler");
        let manner = Manner::called(manner).expect("a manner of the stand-in");
        match Cluster::up(standin::spec(manner, 5, dir)).await {
            Ok(cluster) => {
                anstream::println!("up");
                stop.recv().await;
                cluster.down().await;
            }
            Err(error) => {
                anstream::eprintln!("{error}");
                exit(255);
            }
        }
    });
    exit(0)
}

/// Leaves a process without a parent, and waits until somebody has reaped it.
fn orphan() -> ! {
    enter_or_say_why();
    let output = Command::new("sh").args(["-c", "true & echo $!"]).output().expect("sh exists").stdout;
    let orphan = String::from_utf8(output).expect("a number").trim().to_owned();
    let gone = wait_until(|| !Path::new("/proc").join(&orphan).exists());
    exit(if gone { 0 } else { 1 })
}

/// Enters the sandbox too late: a thread exists already.
fn late() -> ! {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || held.recv().ok());
    let refused = sandbox::enter(Network::Own);
    drop(hold);
    thread.join().expect("it only waits");
    match refused {
        Ok(_) => exit(0),
        Err(error) => {
            anstream::eprintln!("{error}");
            exit(255)
        }
    }
}

// ---- the tests

/// The bar is the machine's and not its other load's: the best of some tries counts.
fn real_nodes() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    for system in ["raft", "zab"] {
        let mut part = part(grudge(), &["up", system, "--store", "{dir}"], "up");
        let first = part.first_line()?;
        assert!(first.starts_with(system), "{first}{}", part.complaint());
        kill(part.caller(), Signal::SIGINT)?;
        assert_eq!(part.end().0, Some(0));
    }
    Ok(())
}

fn sigterm() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    let before = Host::now();
    let mut part = part(me(), &["hold", "serve", "{dir}"], "sigterm");
    part.wait_up()?;
    let inside = namespaces(&marked(&part.mark));
    // The sandbox's own network and one for each of five nodes.
    let networks = inside.iter().filter(|namespace| namespace.to_string_lossy().starts_with("net:")).count();
    assert_eq!(networks, 6, "{inside:?}");
    let mark = part.mark.clone();
    kill(part.caller(), Signal::SIGTERM)?;
    let (code, said) = part.end();
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(marked(&mark), []);
    assert_eq!(Host::now().changed_since(&before), [""; 0]);
    Ok(())
}

fn failing_cluster() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    let before = Host::now();
    let part = part(me(), &["hold", "die", "{dir}"], "failing");
    let mark = part.mark.clone();
    let (code, said) = part.end();
    assert_eq!(code, Some(255));
    assert_eq!(said, "n2 died at its start (exit code 3); its log ends:\n  the disk is made of cheese\n");
    assert_eq!(marked(&mark), []);
    assert_eq!(Host::now().changed_since(&before), [""; 0]);
    Ok(())
}

fn exit_codes() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    for code in [0, 1, 2, 254] {
        assert_eq!(part(me(), &["exit", &code.to_string()], "exit").end(), (Some(code), String::new()));
    }
    Ok(())
}

fn orphans() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    assert_eq!(part(me(), &["orphan"], "orphan").end(), (Some(0), String::new()));
    Ok(())
}

fn ordinary_user() -> Result<(), Failed> {
    if !Uid::effective().is_root() {
        anstream::eprintln!("skipped: the other tests ran as an ordinary user already");
        return Ok(());
    }
    // A copy, since an ordinary user may not be able to reach root's build folder.
    let dir = tempfile::tempdir()?;
    let copy = dir.path().join("test");
    fs::copy(std::env::current_exe()?, &copy)?;
    let run = dir.path().join("run");
    fs::create_dir(&run)?;
    std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534))?;
    std::os::unix::fs::chown(&run, Some(65534), Some(65534))?;
    let mut command = Command::new(&copy);
    command.uid(65534).gid(65534).args(["hold", "serve"]).arg(&run).current_dir("/");
    let mut part = part(command, &[], "user");
    match part.wait_up() {
        Ok(()) => {}
        Err(said) if said.contains("this user may not make the namespaces") => {
            anstream::eprintln!("skipped: {said}");
            return Ok(());
        }
        Err(said) => return Err(said.into()),
    }
    let mark = part.mark.clone();
    kill(part.caller(), Signal::SIGTERM)?;
    assert_eq!(part.end(), (Some(0), String::new()));
    assert_eq!(marked(&mark), []);
    Ok(())
}

fn no_permission() -> Result<(), Failed> {
    let mut command = me();
    // SAFETY: between fork and exec only system calls are made.
    unsafe { command.pre_exec(|| forbid(libc::SYS_unshare, None, libc::EPERM)) };
    let (code, said) = part(command, &["exit", "0"], "refused").end();
    assert_eq!(code, Some(255));
    assert!(said.starts_with("this user may not make the namespaces a cluster lives in"), "{said}");
    assert!(said.contains("run grudge with sudo"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    Ok(())
}

fn exhausted() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c"]);
    command.arg("echo 0 > /proc/sys/user/max_net_namespaces && exec \"$0\" exit 0");
    command.arg(std::env::current_exe()?);
    let (code, said) = part(command, &[], "exhausted").end();
    assert_eq!(code, Some(255));
    assert!(said.starts_with("the kernel has no namespaces left for this user"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    Ok(())
}

fn with_threads() -> Result<(), Failed> {
    let (code, said) = part(me(), &["late"], "late").end();
    assert_eq!(code, Some(255));
    assert!(said.contains("before the first thread"), "{said}");
    Ok(())
}

fn doctor() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    for (call, said) in [
        (libc::SYS_ptrace, "threads: no thread of a running process can be held: "),
        (libc::SYS_prlimit64, "memory: the memory of no process can be squeezed: "),
    ] {
        let mut command = grudge();
        // SAFETY: between fork and exec only system calls are made.
        unsafe { command.arg("doctor").pre_exec(move || forbid(call, None, libc::EPERM)) };
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find(|line| line.contains(said)).unwrap_or_else(|| panic!("{text}"));
        assert!(line.starts_with("degraded") && line.contains("not permitted"), "{line}");
    }
    Ok(())
}
