//! The sandbox from the outside: whoever is killed, and whenever, nothing stays behind. The test binary plays every
//! part itself; its first argument says which.

mod standin;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio, exit};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use grudge::cluster::Cluster;
use grudge::sandbox;
use libtest_mimic::{Arguments, Failed, Trial};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use standin::Manner;

/// Every process of a test carries it in its environment, with a value of its own.
const MARK: &str = "GRUDGE_TEST_MARK";
/// Long enough for a loaded machine; nothing waits so long if all is well.
const LIMIT: Duration = Duration::from_secs(30);

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
    let trials = vec![
        Trial::test("nothing_is_left_when_anybody_is_killed_at_any_time", killed_at_random),
        Trial::test("nothing_is_left_of_a_test_that_is_killed_under_faults", killed_under_test),
        Trial::test("nothing_is_left_of_a_test_that_is_killed_under_disk_faults", killed_under_disk_faults),
        Trial::test("five_real_nodes_serve_until_they_are_interrupted", real_nodes),
        Trial::test("sigterm_reaches_the_harness_and_nothing_is_left", sigterm),
        Trial::test("a_cluster_that_does_not_come_up_leaves_nothing", failing_cluster),
        Trial::test("the_harness_exit_code_is_the_callers", exit_codes),
        Trial::test("orphans_are_reaped", orphans),
        Trial::test("an_ordinary_user_brings_a_cluster_up", ordinary_user),
        Trial::test("no_permission_is_one_clear_sentence", no_permission),
        Trial::test("no_namespaces_left_is_one_clear_sentence", exhausted),
        Trial::test("a_process_with_threads_is_refused", with_threads),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

// ---- the parts

fn enter_or_say_why() {
    if let Err(error) = sandbox::enter() {
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
    let refused = sandbox::enter();
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

// ---- looking at the machine

fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
    true
}

fn numbered_processes() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw)).collect()
}

/// The processes that carry this mark and are not zombies.
fn marked(mark: &str) -> Vec<Pid> {
    let needle = format!("{MARK}={mark}");
    let carries = |pid: &Pid| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == needle.as_bytes()))
    };
    numbered_processes().into_iter().filter(carries).collect()
}

fn children(parent: Pid) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)).collect()
}

/// The namespaces these processes are in and the test is not.
fn namespaces(pids: &[Pid]) -> BTreeSet<PathBuf> {
    let of = |pid: String| {
        let links = ["net", "mnt", "pid", "user"].map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")));
        links.into_iter().flatten().collect::<BTreeSet<_>>()
    };
    let ours = of("self".to_owned());
    pids.iter().flat_map(|pid| of(pid.to_string())).filter(|namespace| !ours.contains(namespace)).collect()
}

/// Keeps the namespaces of these processes from being freed, and so their numbers from being given to those of another
/// sandbox on this machine. It keeps no process alive.
fn hold_namespaces(pids: &[Pid]) -> Vec<File> {
    let of = |pid: &Pid| ["net", "mnt", "pid", "user"].map(|kind| File::open(format!("/proc/{pid}/ns/{kind}")));
    pids.iter().flat_map(of).flatten().collect()
}

/// What a cluster could have left on the host itself.
#[derive(Debug, PartialEq)]
struct Host {
    links: Vec<String>,
    proc_mounts: usize,
    /// Namespaces that a mount keeps alive.
    pinned: usize,
    rules: Vec<String>,
}

impl Host {
    fn now() -> Host {
        let links = fs::read_dir("/sys/class/net").expect("/sys is mounted").flatten();
        let links = links.filter_map(|entry| entry.file_name().into_string().ok());
        let ours = |name: &String| name == "grudge0" || (1..=5).any(|id| *name == format!("n{id}"));
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
        // An ordinary user may not ask; then there is nothing that user could have left.
        let rules = Command::new("iptables-save").stderr(Stdio::null()).output();
        let rules = rules.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        Host {
            links: links.filter(ours).collect(),
            proc_mounts: mounts.lines().filter(|line| line.split(' ').nth(4) == Some("/proc")).count(),
            pinned: mounts.lines().filter(|line| line.contains(" - nsfs ")).count(),
            rules: rules.lines().filter(|line| line.contains("GRUDGE")).map(str::to_owned).collect(),
        }
    }
}

// ---- running a part

/// A part that runs; killed if the test fails before its end.
struct Part {
    child: Child,
    mark: String,
    _dir: tempfile::TempDir,
}

impl Drop for Part {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn grudge() -> Command {
    Command::new(env!("CARGO_BIN_EXE_grudge"))
}

fn me() -> Command {
    Command::new(std::env::current_exe().expect("the test is a file"))
}

/// Starts a part. `{dir}` in its arguments is a folder that lives as long as the part.
fn part(mut command: Command, arguments: &[&str], tag: &str) -> Part {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let mark = format!("{tag}-{}-{}", std::process::id(), since.as_nanos());
    command.args(arguments.iter().map(|argument| argument.replace("{dir}", &dir.path().to_string_lossy())));
    let child = command
        .env(MARK, &mark)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this binary runs");
    Part { child, mark, _dir: dir }
}

impl Part {
    fn caller(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process number"))
    }

    /// The first line it writes to its standard output; empty if it ends without one.
    fn first_line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        let out = self.child.stdout.as_mut().expect("a pipe");
        BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
        Ok(line)
    }

    /// Waits until it says `up`; the error is what it said instead.
    fn wait_up(&mut self) -> Result<(), String> {
        let line = self.first_line()?;
        if line == "up\n" { Ok(()) } else { Err(self.complaint()) }
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.as_mut().expect("a pipe").read_to_string(&mut text).expect("text");
        text
    }

    /// Its exit code and what it wrote to its standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let text = self.complaint();
        (self.child.wait().expect("it is our child").code(), text)
    }
}

/// Whether a sandbox is refused to this user here; the test is skipped then, and says why.
fn refused_here() -> bool {
    let (code, said) = part(me(), &["exit", "0"], "probe").end();
    let refused = code == Some(255) && said.contains("this user may not make the namespaces");
    if refused {
        anstream::eprintln!("skipped: {said}");
    }
    refused
}

// ---- the tests

#[derive(Clone, Copy, Debug)]
enum Victim {
    Caller,
    Init,
    Harness,
}

fn killed_at_random() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    let seed = seed()?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for victim in [Victim::Caller, Victim::Init, Victim::Harness].into_iter().cycle().take(12) {
        let delay = Duration::from_millis(rng.random_range(0..500));
        killed_after(victim, delay, me(), &["hold", "serve", "{dir}"])
            .map_err(|error| format!("{victim:?} killed after {delay:?}: {error}; {}", again(seed)))?;
    }
    Ok(())
}

/// The real command, with clients and faults under way.
fn killed_under_test() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    let arguments = ["test", "zab", "--workload", "lock", "--time", "60s", "--seed", "1", "--store", "{dir}"];
    for (victim, after) in [(Victim::Caller, 3000), (Victim::Harness, 4000)] {
        killed_after(victim, Duration::from_millis(after), grudge(), &arguments)
            .map_err(|error| format!("{victim:?} killed after {after} ms: {error}"))?;
    }
    Ok(())
}

/// Whoever is killed, and whenever: nobody waits for ever for a disk whose layer is gone.
fn killed_under_disk_faults() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    let seed = seed()?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let script = "[[script]]\nwhen = { at = '300ms' }\nhold = '1m'\n\
                  fault = { disk = { targets = 'all', trouble = { slow = '900ms' } } }\n\
                  [[script]]\nwhen = { previous = '1s' }\nhold = '300ms'\nfault = { power = 'all' }\n";
    let head = "system = 'raft'\nworkload = 'register'\nnodes = 3\nconcurrency = 6\nseed = 1\ntime = '60s'\n\
                timeout = '1s'\nttl = '4s'\nrecovery = '30s'\n";
    let file = tempfile::NamedTempFile::with_suffix(".toml")?;
    fs::write(&file, format!("{head}{script}"))?;
    let arguments = ["test", &*file.path().to_string_lossy(), "--store", "{dir}"];
    for victim in [Victim::Caller, Victim::Init, Victim::Harness].into_iter().cycle().take(9) {
        let delay = Duration::from_millis(rng.random_range(100..4500));
        killed_after(victim, delay, grudge(), &arguments)
            .map_err(|error| format!("{victim:?} killed after {delay:?}: {error}; {}", again(seed)))?;
    }
    Ok(())
}

fn seed() -> Result<u64, Failed> {
    match std::env::var("GRUDGE_SEED") {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => Ok(u64::from(std::process::id())),
    }
}

fn again(seed: u64) -> String {
    format!("again: GRUDGE_SEED={seed} cargo test -p grudge --test sandbox -- killed")
}

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

/// Kills one of a part's processes after a while; the error is what is left.
fn killed_after(victim: Victim, delay: Duration, command: Command, arguments: &[&str]) -> Result<(), String> {
    let before = Host::now();
    let mut part = part(command, arguments, "killed");
    sleep(delay);
    let caller = part.caller();
    let init = children(caller).first().copied();
    let harness = init.and_then(|init| children(init).first().copied());
    let existing = marked(&part.mark);
    let held = hold_namespaces(&existing);
    let inside = namespaces(&existing);
    let target = match victim {
        Victim::Caller => Some(caller),
        Victim::Init => init,
        Victim::Harness => harness,
    };
    kill(target.unwrap_or(caller), Signal::SIGKILL).map_err(|error| error.to_string())?;
    if !wait_until(|| marked(&part.mark).is_empty()) {
        return Err(format!("processes are left: {:?}", marked(&part.mark)));
    }
    part.child.wait().map_err(|error| error.to_string())?;
    let left = || namespaces(&numbered_processes()).intersection(&inside).cloned().collect::<Vec<_>>();
    if !wait_until(|| left().is_empty()) {
        return Err(format!("namespaces are left: {:?}", left()));
    }
    drop(held);
    let after = Host::now();
    if before == after { Ok(()) } else { Err(format!("the host was {before:?} and is {after:?}")) }
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
    assert_eq!(Host::now(), before);
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
    assert_eq!(Host::now(), before);
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

/// Makes unshare(2) fail with EPERM from here on, as a kernel does that keeps namespaces to itself.
fn forbid_unshare() -> std::io::Result<()> {
    let rule = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut rules = [
        rule(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        rule(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_unshare as u32),
        rule(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        rule(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: rules.len() as u16, filter: rules.as_mut_ptr() };
    // SAFETY: plain system calls; the program and its rules outlive them.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn no_permission() -> Result<(), Failed> {
    let mut command = me();
    // SAFETY: between fork and exec only system calls are made.
    unsafe { command.pre_exec(forbid_unshare) };
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
