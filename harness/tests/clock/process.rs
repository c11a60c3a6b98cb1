//! Single processes: a stand-in that asks for the time all the time, and a Java program where there is a Java.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grudge::clock::{Answer, COMMAND, Clock, Course, Dial, Look, Order, Request, Seen, Since, ask};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::target::Busy;
use crate::fixture::trial;

const HOUR: i64 = 3_600_000_000_000;
/// The clocks that are set at every tick only have passed a moment by then.
const TICKS: i64 = 20_000_000;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("the_clocks_of_a_busy_process_go_as_asked_and_are_right_again", as_asked),
        trial("a_monotonic_clock_never_goes_backwards_when_clocks_are_turned_again_and_again", again_and_again),
        trial("the_helper_may_be_killed_at_any_moment", helper_killed),
        trial("a_stopped_process_is_turned_and_stays_stopped", stopped),
        trial("two_processes_change_at_one_moment", two_at_once),
        trial("a_process_that_has_ended_is_an_error_of_its_own", ended),
        trial("a_java_program_sees_the_clock_turned", java),
    ]
}

fn turn(dial: Dial) -> Order {
    Order::Turn { dial, since: None }
}

fn wall(course: Course) -> Dial {
    Dial { wall: course, ..Dial::RIGHT }
}

async fn order(pids: &[i32], order: Order, look: Look) -> Answer {
    ask(&Request { pids: pids.to_vec(), order, look }).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Orders it of one process that is expected to live.
async fn order_one(pid: i32, what: Order, after: i64) -> (Since, Seen) {
    let answer = order(&[pid], what, Look { after, during: 100_000_000 }).await;
    let seen = answer.seen.into_iter().next().expect("one process was named");
    (answer.since, seen.unwrap_or_else(|error| panic!("{error}")))
}

fn ahead(seen: &Seen, clock: Clock) -> (i64, i64) {
    let reading = seen.readings.iter().find(|reading| reading.clock == clock);
    reading.unwrap_or_else(|| panic!("{clock:?} was not read: {seen:?}")).ahead
}

fn is_ahead(seen: &Seen, clock: Clock, by: i64) -> bool {
    let (least, most) = ahead(seen, clock);
    (least - 10_000..=most + 10_000).contains(&by)
}

async fn as_asked() {
    let mut busy = Busy::start();
    let pid = busy.pid();
    for by in [HOUR, -HOUR] {
        let (_, seen) = order_one(pid, turn(wall(Course::ahead(by))), TICKS).await;
        for reading in &seen.readings {
            let expected = if reading.clock.is_wall() { by } else { 0 };
            assert!(is_ahead(&seen, reading.clock, expected), "{by}: {reading:?}");
        }
        assert!((busy.say().ahead - by as f64 / 1e6).abs() < 1_000.0, "the process itself sees it");
    }
    let drift = Course::drift(-50_000);
    let (since, _) = order_one(pid, turn(Dial { wall: drift, monotonic: drift }), TICKS).await;
    let (_, seen) = order_one(pid, Order::Read { since }, 1_000_000_000).await;
    for reading in &seen.readings {
        let expected = drift.deviation(reading.since.0);
        assert!(expected < -45_000_000 || reading.clock == Clock::Time, "a second has passed: {reading:?}");
        assert!(is_ahead(&seen, reading.clock, expected), "{expected}: {reading:?}");
    }
    let strobe = Course::strobe(200_000_000, 5_000_000);
    let (since, seen) = order_one(pid, turn(wall(strobe)), TICKS).await;
    assert!((15..=21).contains(&seen.flips), "twenty flips in 100 ms, and none unseen but by a held-up look: {seen:?}");
    assert!(is_ahead(&seen, Clock::Monotonic, 0), "a strobe leaves the monotonic clock alone: {since:?}, {seen:?}");
    let (_, seen) = order_one(pid, Order::Right, 0).await;
    assert!(Clock::ALL.iter().all(|clock| is_ahead(&seen, *clock, 0)), "{seen:?}");
    assert!(busy.say().ahead.abs() < 1_000.0, "the process itself sees it");
}

async fn again_and_again() {
    let mut busy = Busy::start();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut asked = busy.say().asked;
    for round in 0..15 {
        let rate = rng.random_range(-300_000..300_000);
        let monotonic = Course { ahead: rng.random_range(0..20_000_000), ..Course::drift(rate) };
        order_one(busy.pid(), turn(Dial { wall: Course::ahead(HOUR), monotonic }), TICKS).await;
        let (_, seen) = order_one(busy.pid(), Order::Right, 0).await;
        assert!(is_ahead(&seen, Clock::Monotonic, 0), "round {round}: {seen:?}");
        let now = busy.say().asked;
        assert!(now > asked, "round {round}: it has gone on");
        asked = now;
    }
}

async fn helper_killed() {
    const KILLS: usize = 50;
    let mut busy = Busy::start();
    let pid = busy.pid();
    let mut rng = ChaCha8Rng::seed_from_u64(50);
    for round in 0..KILLS {
        let what = if round % 2 == 0 { turn(wall(Course::ahead(HOUR))) } else { Order::Right };
        let request = Request { pids: vec![pid], order: what, look: Look::default() };
        let mut helper = helper(&request);
        std::thread::sleep(Duration::from_micros(rng.random_range(0..60_000)));
        // One that has answered by now is as good as any.
        helper.kill().expect("it was not waited for");
        helper.wait().expect("it is ours");
        let tracer = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the target lives");
        assert!(tracer.contains("TracerPid:\t0"), "round {round}: {tracer}");
        let before = busy.say().asked;
        until(|| busy.say().asked > before + 400, "the target goes on");
        let off = busy.say().ahead;
        assert!(off.abs() < 1_000.0 || (off - 3_600_000.0).abs() < 1_000.0, "round {round}: {off} ms ahead");
    }
    let (_, seen) = order_one(pid, Order::Right, 0).await;
    assert!(is_ahead(&seen, Clock::Realtime, 0), "{seen:?}");
}

/// The process that turns clocks, with that request.
fn helper(request: &Request) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("this program can be run");
    let text = serde_json::to_vec(request).expect("a request is JSON");
    child.stdin.take().expect("it was asked for").write_all(&text).expect("it reads");
    child
}

fn until(mut condition: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn state(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let rest = stat.rsplit(") ").next().expect("a state follows the name");
    rest.chars().next().expect("a letter")
}

async fn stopped() {
    let mut busy = Busy::start();
    let pid = busy.pid();
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it lives");
    until(|| state(pid) == 'T', "it stops");
    let (_, seen) = order_one(pid, turn(wall(Course::ahead(HOUR))), TICKS).await;
    assert!(is_ahead(&seen, Clock::Realtime, HOUR), "{seen:?}");
    until(|| state(pid) == 'T', "it is stopped again");
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it lives");
    assert!((busy.say().ahead - 3_600_000.0).abs() < 1_000.0);
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it lives");
    order_one(pid, Order::Right, 0).await;
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it lives");
    assert!(busy.say().ahead.abs() < 1_000.0);
}

async fn two_at_once() {
    let (mut one, mut other) = (Busy::start(), Busy::start());
    let pids = [one.pid(), other.pid()];
    let answer = order(&pids, turn(wall(Course::ahead(HOUR))), Look { after: TICKS, during: 0 }).await;
    for seen in answer.seen {
        assert!(is_ahead(&seen.expect("both live"), Clock::Realtime, HOUR));
    }
    assert!(one.say().ahead > 3_599_000.0 && other.say().ahead > 3_599_000.0);
}

async fn ended() {
    let mut busy = Busy::start();
    let gone = {
        let mut child = Command::new("true").spawn().expect("true is installed");
        child.wait().expect("it is ours");
        i32::try_from(child.id()).expect("process numbers are small")
    };
    let answer = order(&[gone, busy.pid()], turn(wall(Course::ahead(HOUR))), Look { after: TICKS, during: 0 }).await;
    let [first, second] = answer.seen.as_slice() else { panic!("two were asked for") };
    assert!(first.is_err(), "{first:?}");
    assert!(second.as_ref().is_ok_and(|seen| is_ahead(seen, Clock::Realtime, HOUR)), "{second:?}");
    assert!(busy.say().ahead > 3_599_000.0);
}

/// Says the time of day and the monotonic time, in milliseconds, for every line that it reads.
const JAVA: &str = "public class Time {
    public static void main(String[] arguments) throws Exception {
        while (System.in.read() >= 0) {
            System.out.println(System.currentTimeMillis() + \" \" + System.nanoTime() / 1000000);
        }
    }
}";

async fn java() {
    if Command::new("java").arg("-version").stderr(Stdio::null()).status().is_err() {
        anstream::eprintln!("skipped: there is no java");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the test");
    let source = folder.path().join("Time.java");
    std::fs::write(&source, JAVA).expect("a small file can be written");
    let mut command = Command::new("java");
    command.arg("-Xmx64m").arg(&source).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("java runs");
    let mut ask = child.stdin.take().expect("it was asked for");
    let mut answers = BufReader::new(child.stdout.take().expect("it was asked for"));
    let mut say = || {
        ask.write_all(b"x").expect("it reads");
        let mut line = String::new();
        answers.read_line(&mut line).expect("it writes lines");
        let mut numbers = line.split_whitespace().map(|word| word.parse::<i64>().expect("a number"));
        (numbers.next().expect("the time of day"), numbers.next().expect("the monotonic time"))
    };
    let pid = i32::try_from(child.id()).expect("process numbers are small");
    let (began, before) = (Instant::now(), say());
    order_one(pid, turn(wall(Course::ahead(HOUR))), TICKS).await;
    let after = say();
    let passed = i64::try_from(began.elapsed().as_millis()).expect("not so long");
    assert!((3_600_000..=3_600_000 + passed + 2).contains(&(after.0 - before.0)), "{before:?}, {after:?}");
    assert!(after.1 - before.1 <= passed + 2, "its monotonic clock went on as ever: {before:?}, {after:?}");
    order_one(pid, Order::Right, 0).await;
    let passed = i64::try_from(began.elapsed().as_millis()).expect("not so long");
    assert!(say().0 - before.0 <= passed + 1_000);
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
}
