//! Parts of a test in processes of their own, and the machine around them: what lives, and what is left behind.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::unistd::Pid;

/// Every process of a test carries it in its environment, with a value of its own.
const MARK: &str = "GRUDGE_TEST_MARK";
/// Long enough for a loaded machine; nothing waits so long if all is well.
const LIMIT: Duration = Duration::from_secs(30);

pub fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
    true
}

pub fn numbered_processes() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw)).collect()
}

/// The processes that carry this mark and are not zombies.
pub fn marked(mark: &str) -> Vec<Pid> {
    let needle = format!("{MARK}={mark}");
    let carries = |pid: &Pid| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == needle.as_bytes()))
    };
    numbered_processes().into_iter().filter(carries).collect()
}

pub fn children(parent: Pid) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)).collect()
}

/// The namespaces these processes are in and the test is not.
pub fn namespaces(pids: &[Pid]) -> BTreeSet<PathBuf> {
    let of = |pid: String| {
        let links = ["net", "mnt", "pid", "user"].map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")));
        links.into_iter().flatten().collect::<BTreeSet<_>>()
    };
    let ours = of("self".to_owned());
    pids.iter().flat_map(|pid| of(pid.to_string())).filter(|namespace| !ours.contains(namespace)).collect()
}

/// Keeps the namespaces of these processes from being freed, and so their numbers from being given to those of another
/// sandbox on this machine. It keeps no process alive.
pub fn hold_namespaces(pids: &[Pid]) -> Vec<File> {
    let of = |pid: &Pid| ["net", "mnt", "pid", "user"].map(|kind| File::open(format!("/proc/{pid}/ns/{kind}")));
    pids.iter().flat_map(of).flatten().collect()
}

/// What a cluster could have left on the host itself: links, mounts, rules of packet filters and of routing, and what
/// bears our name in memory that processes share.
pub struct Host(BTreeSet<String>);

impl Host {
    pub fn now() -> Host {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
        let filters = said("iptables-save", &[]).into_iter().filter(|line| !line.starts_with(['#', ':']));
        let shared = listed("/dev/shm").filter(|path| path.contains("grudge"));
        let mounts = mounts.lines().map(|line| format!("mount {line}"));
        Host(listed("/sys/class/net").chain(shared).chain(mounts).chain(filters).chain(said("ip", &["rule"])).collect())
    }

    /// What is there and was not, or the other way round.
    pub fn changed_since(&self, before: &Host) -> Vec<String> {
        self.0.symmetric_difference(&before.0).cloned().collect()
    }
}

/// The paths in a folder; none if there is no such folder.
fn listed(folder: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string())
}

/// The lines that a program writes. An ordinary user may not ask some; then there is nothing that user could have left.
fn said(program: &str, arguments: &[&str]) -> Vec<String> {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).args(arguments).env("PATH", path).stderr(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A part that runs; killed if the test fails before its end.
pub struct Part {
    pub child: Child,
    pub mark: String,
    _dir: tempfile::TempDir,
}

impl Drop for Part {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn grudge() -> Command {
    Command::new(env!("CARGO_BIN_EXE_grudge"))
}

pub fn me() -> Command {
    Command::new(std::env::current_exe().expect("the test is a file"))
}

/// Starts a part. `{dir}` in its arguments is a folder that lives as long as the part.
pub fn part(mut command: Command, arguments: &[&str], tag: &str) -> Part {
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
    pub fn caller(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process number"))
    }

    /// The first line it writes to its standard output; empty if it ends without one.
    pub fn first_line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        let out = self.child.stdout.as_mut().expect("a pipe");
        BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
        Ok(line)
    }

    /// Waits until it says `up`; the error is what it said instead.
    pub fn wait_up(&mut self) -> Result<(), String> {
        let line = self.first_line()?;
        if line == "up\n" { Ok(()) } else { Err(self.complaint()) }
    }

    pub fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.as_mut().expect("a pipe").read_to_string(&mut text).expect("text");
        text
    }

    /// Its exit code and what it wrote to its standard error.
    pub fn end(mut self) -> (Option<i32>, String) {
        let text = self.complaint();
        (self.child.wait().expect("it is our child").code(), text)
    }
}

/// Whether a sandbox is refused to this user here; the test is skipped then, and says why.
pub fn refused_here() -> bool {
    let (code, said) = part(me(), &["exit", "0"], "probe").end();
    let refused = code == Some(255) && said.contains("this user may not make the namespaces");
    if refused {
        anstream::eprintln!("skipped: {said}");
    }
    refused
}
