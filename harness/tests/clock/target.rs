//! A process that asks for the time all the time, with several threads, and says what is wrong with the answers.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio, exit};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc;

/// The argument that makes the test binary this process.
const BUSY: &str = "busy-with-the-time";
/// How many threads ask.
const THREADS: usize = 4;
/// The monotonic clocks that it asks.
const MONOTONIC: [libc::clockid_t; 4] =
    [libc::CLOCK_MONOTONIC, libc::CLOCK_MONOTONIC_COARSE, libc::CLOCK_MONOTONIC_RAW, libc::CLOCK_BOOTTIME];
/// How wrong the wall clock may be made by a test.
const FURTHEST: i128 = 2 * 3_600 * 1_000_000_000;

/// The busy process, from outside; dropped, it is killed.
pub struct Busy {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What it says of itself.
#[derive(Debug)]
pub struct Said {
    /// How often a thread has asked for the time.
    pub asked: u64,
    /// How far its wall clock is ahead, by a system call of its own, in milliseconds.
    pub ahead: f64,
}

impl Busy {
    pub fn start() -> Busy {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.arg(BUSY).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program can be run");
        let ask = child.stdin.take().expect("it was asked for");
        let answers = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut busy = Busy { child, ask, answers };
        busy.say();
        busy
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process numbers are small")
    }

    /// Asks it how it is. Fails if it does not live, or has seen a time that nobody asked for.
    pub fn say(&mut self) -> Said {
        writeln!(self.ask, "?").unwrap_or_else(|error| panic!("the target has ended: {error}"));
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it writes lines");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [asked, ahead] = words.as_slice() else { panic!("the target has ended, or says: {line:?}") };
        Said { asked: asked.parse().expect("a number"), ahead: ahead.parse().expect("a number") }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }
}

/// That process, if the arguments say so.
pub fn busy_if_asked() {
    if std::env::args().nth(1).as_deref() != Some(BUSY) {
        return;
    }
    let asked: &'static AtomicU64 = Box::leak(Box::default());
    let latest: &'static [AtomicI64; MONOTONIC.len()] = Box::leak(Box::default());
    for _ in 0..THREADS {
        thread::spawn(|| watch(asked, latest));
    }
    for line in std::io::stdin().lines() {
        drop(line);
        let ahead = (wall() - true_wall()) as f64 / 1e6;
        anstream::println!("{} {ahead}", asked.load(Ordering::Relaxed));
    }
    exit(0);
}

/// Asks for the time for ever. A monotonic clock that shows less than it has shown to any thread, or a wall clock that
/// shows what no test asks for, ends the process.
fn watch(asked: &AtomicU64, latest: &[AtomicI64; MONOTONIC.len()]) {
    loop {
        // It is mostly inside the clock's code; another thing to do are system calls.
        for _ in 0..100 {
            for (clock, latest) in MONOTONIC.into_iter().zip(latest) {
                let shown_before = latest.load(Ordering::SeqCst);
                let shown = now(clock);
                end_if(shown < shown_before, || {
                    format!("clock {clock} went backwards by {} ms", (shown_before - shown) as f64 / 1e6)
                });
                latest.fetch_max(shown, Ordering::SeqCst);
            }
            let ahead = wall() - true_wall();
            end_if(ahead.abs() > FURTHEST, || format!("the wall clock is ahead by {} ms", ahead as f64 / 1e6));
        }
        asked.fetch_add(100, Ordering::Relaxed);
        thread::sleep(Duration::from_micros(50));
    }
}

fn end_if(wrong: bool, what: impl FnOnce() -> String) {
    if wrong {
        anstream::eprintln!("the busy process ends: {}", what());
        exit(1);
    }
}

fn now(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, and there is room for it.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn wall() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i128::try_from(since.as_nanos()).expect("not so late")
}

fn true_wall() -> i128 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, and there is room for it.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &raw mut time) };
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}
