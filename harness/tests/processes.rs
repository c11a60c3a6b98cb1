//! Faults of processes on real processes: restarts, one thread held, little memory, little processor time. In a
//! sandbox of the test's own; without permission for one, the tests are skipped and say so.

mod fixture;
mod standin;
mod trials;

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fixture::{Fixture, nodes, trial};
use grudge::fault::{Active, Evidence, Fault, HeldThread, MemorySeen, Receipt, Restarts, Targets};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::{LimitValue, ProcState};
use standin::Manner;

fn main() -> ExitCode {
    standin::replica_if_asked();
    let trials = vec![
        trial("a_rolling_restart_gives_every_node_another_life", rolling),
        trial("a_storm_restarts_as_often_as_it_says", storm),
        trial("a_storm_that_is_taken_away_early_says_what_was_left", storm_cut_short),
        trial("a_storm_waits_for_a_node_that_another_fault_has_paused", storm_beside_a_pause),
        trial("a_restart_whose_last_life_died_has_no_receipt", died_after_restart),
        trial("one_thread_is_held_and_the_others_go_on", thread),
        trial("a_thread_whose_holder_dies_goes_on_and_has_no_receipt", holder_died),
        trial("a_thread_stays_held_through_a_pause", thread_and_pause),
        trial("a_node_dies_and_lives_again_with_a_thread_held", thread_and_kill),
        trial("a_process_gets_no_more_memory_until_its_limit_comes_back", memory),
        trial("a_limit_that_somebody_has_raised_has_no_receipt", memory_raised),
        trial("the_tighter_of_two_squeezes_holds_until_it_ends", memory_twice),
        trial("who_dies_of_a_squeeze_is_no_crash_and_is_started_again", memory_kills),
        trial("a_node_dies_and_lives_again_without_its_squeeze", memory_and_kill),
        trial("a_busy_process_gets_its_share_of_a_processor_and_no_more", cpu),
        trial("a_share_that_somebody_widens_has_no_receipt", cpu_widened),
        trial("a_squeezed_node_stays_paused_for_as_long_as_it_should", cpu_and_pause),
        trial("a_node_dies_and_lives_again_at_full_speed", cpu_and_kill),
    ];
    fixture::run(Ok(()), trials)
}

/// A stand-in's process: the one of this number.
fn pid(node: usize) -> Pid {
    let id = node.to_string();
    let found = procfs::process::all_processes().expect("/proc is there").flatten().find(|process| {
        let line = process.cmdline().unwrap_or_default();
        line.get(1).map(String::as_str) == Some("replica") && line.get(2) == Some(&id)
    });
    Pid::from_raw(found.expect("it lives").pid)
}

/// The log of a node that lives, which counts its lives.
struct Log(PathBuf);

impl Log {
    fn of(node: usize) -> Log {
        Log(std::fs::read_link(format!("/proc/{}/fd/1", pid(node))).expect("its output goes to its log"))
    }

    fn lives(&self) -> usize {
        std::fs::read_to_string(&self.0).expect("it is text").lines().filter(|line| *line == "born").count()
    }
}

/// Waits until it is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < deadline, "it does not come to this: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn rolling() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let before: Vec<_> = (1..=3).map(pid).collect();
    let logs: Vec<_> = (1..=3).map(Log::of).collect();
    let active = fixture.start(Fault::Restart { targets: Targets::All, manner: Restarts::Rolling }).await;
    assert!(matches!(&active.receipt.evidence, Evidence::Killed(first) if first.len() == 1), "{:?}", active.receipt);
    until("every node has had a second life", || logs.iter().all(|log| log.lives() == 2)).await;
    let receipt = fixture.stop(active).await;
    let Evidence::Lives { lives, left: 0 } = receipt.evidence else { panic!("{receipt:?}") };
    let killed: Vec<_> = lives.iter().map(|life| life.killed).collect();
    assert_eq!(killed, before.iter().map(|pid| pid.as_raw()).collect::<Vec<_>>(), "one after the other, each once");
    assert!(lives.iter().all(|life| life.accepted && life.pid != life.killed), "{lives:?}");
    assert_eq!(fixture.cluster.crashes(), [], "deaths of our making are no crashes");
}

async fn storm() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let logs: Vec<_> = (1..=3).map(Log::of).collect();
    let active = fixture.start(Fault::Restart { targets: nodes(&["n1", "n3"]), manner: Restarts::Storm(3) }).await;
    until("both have had four lives", || logs[0].lives() == 4 && logs[2].lives() == 4).await;
    let receipt = fixture.stop(active).await;
    let Evidence::Lives { lives, left: 0 } = receipt.evidence else { panic!("{receipt:?}") };
    assert_eq!(lives.iter().filter(|life| life.node == "n1" && life.accepted).count(), 3, "{lives:?}");
    assert_eq!(lives.len(), 6, "{lives:?}");
    assert_eq!(logs[1].lives(), 1, "nobody else was hit");
}

async fn storm_cut_short() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let log = Log::of(2);
    let active = fixture.start(Fault::Restart { targets: nodes(&["n2"]), manner: Restarts::Storm(255) }).await;
    until("it has begun", || log.lives() > 2).await;
    let receipt = fixture.stop(active).await;
    let Evidence::Lives { lives, left } = receipt.evidence else { panic!("{receipt:?}") };
    assert!(
        left > 0 && lives.len() + left == 255 && lives.iter().all(|life| life.accepted),
        "{left} left of {lives:?}"
    );
    assert_eq!(lives.last().map(|life| life.pid), Some(pid(2).as_raw()), "and that is the one that lives");
}

async fn storm_beside_a_pause() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let log = Log::of(1);
    let storm = fixture.start(Fault::Restart { targets: nodes(&["n1"]), manner: Restarts::Storm(255) }).await;
    let pause = fixture.start(Fault::Pause(nodes(&["n1"]))).await;
    // The pause finds the process that it had paused.
    fixture.stop(pause).await;
    let lives = log.lives();
    until("the storm goes on", || log.lives() > lives).await;
    fixture.stop(storm).await;
}

async fn died_after_restart() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let log = Log::of(2);
    let active = fixture.start(Fault::Restart { targets: nodes(&["n2"]), manner: Restarts::Storm(1) }).await;
    until("it lives again", || log.lives() == 2).await;
    kill(pid(2), Signal::SIGKILL).expect("it lives");
    until("its death is known", || !fixture.cluster.crashes().is_empty()).await;
    let error = fixture.cluster.stop(active).await.expect_err("it serves no more");
    assert!(error.to_string().contains("n2 died") && error.to_string().contains("SIGKILL"), "{error}");
}

/// The only thread that a receipt says is held.
fn held(active: &Active) -> HeldThread {
    match &active.receipt.evidence {
        Evidence::Held(threads) if threads.len() == 1 => threads[0].clone(),
        other => panic!("one thread is held: {other:?}"),
    }
}

/// What `/proc` says of a thread: `State: t (tracing stop)`.
fn state(thread: &HeldThread) -> String {
    let path = format!("/proc/{}/task/{}/status", thread.pid, thread.thread);
    let status = std::fs::read_to_string(path).expect("it lives");
    status.lines().find(|line| line.starts_with("State:")).expect("a thread has a state").to_owned()
}

/// The process that holds a thread.
fn holder(thread: &HeldThread) -> Pid {
    let task = procfs::process::Process::new(thread.pid).and_then(|process| process.task_from_tid(thread.thread));
    Pid::from_raw(task.and_then(|task| task.status()).expect("it lives").tracerpid)
}

async fn thread() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let active = fixture.start(Fault::Thread(nodes(&["n2"]))).await;
    let thread = held(&active);
    assert_eq!((thread.node.as_str(), thread.pid), ("n2", pid(2).as_raw()));
    assert!(thread.others > 0 && state(&thread).contains("tracing stop"), "{thread:?}: {}", state(&thread));
    let holder = holder(&thread);
    let receipt = fixture.stop(active).await;
    assert!(matches!(&receipt.evidence, Evidence::Running(processes) if processes.len() == 1), "{receipt:?}");
    assert!(!state(&thread).contains("tracing stop"), "{}", state(&thread));
    assert!(procfs::process::Process::new(holder.as_raw()).is_err(), "nobody is left who held it");
}

async fn holder_died() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let active = fixture.start(Fault::Thread(nodes(&["n1"]))).await;
    let thread = held(&active);
    kill(holder(&thread), Signal::SIGKILL).expect("it lives");
    until("the thread goes on", || !state(&thread).contains("tracing stop")).await;
    let error = fixture.cluster.stop(active).await.expect_err("it had not lasted");
    assert!(error.to_string().contains("at its end thread"), "{error}");
    assert_eq!(fixture.cluster.crashes(), []);
}

async fn thread_and_pause() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let thread = fixture.start(Fault::Thread(nodes(&["n3"]))).await;
    let pause = fixture.start(Fault::Pause(nodes(&["n3"]))).await;
    fixture.stop(pause).await;
    assert!(state(&held(&thread)).contains("tracing stop"));
    let pause = fixture.start(Fault::Pause(nodes(&["n3"]))).await;
    fixture.stop(thread).await;
    // It was stopped with the others.
    fixture.stop(pause).await;
}

async fn thread_and_kill() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let thread = fixture.start(Fault::Thread(nodes(&["n1"]))).await;
    let death = fixture.start(Fault::Kill(nodes(&["n1"]))).await;
    fixture.stop(death).await;
    // The thread has gone with its process.
    let receipt = fixture.stop(thread).await;
    assert_eq!(receipt.evidence, Evidence::Running(Vec::new()));
    assert_eq!(fixture.cluster.crashes(), []);
}

fn squeezed(node: &str, headroom: u32) -> Fault {
    Fault::Memory { targets: nodes(&[node]), headroom }
}

/// The only process whose memory a receipt is about.
fn memory_seen(receipt: &Receipt) -> MemorySeen {
    match &receipt.evidence {
        Evidence::Memory(seen) if seen.len() == 1 => seen[0].clone(),
        other => panic!("one process is squeezed: {other:?}"),
    }
}

/// The soft limit of a process's data, in KiB.
fn limit(pid: Pid) -> Option<u64> {
    let limits = procfs::process::Process::new(pid.as_raw()).and_then(|process| process.limits()).expect("it lives");
    match limits.max_data_size.soft_limit {
        LimitValue::Unlimited => None,
        LimitValue::Value(bytes) => Some(bytes / 1024),
    }
}

async fn memory() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let before = limit(pid(2));
    let active = fixture.start(squeezed("n2", 2)).await;
    let seen = memory_seen(&active.receipt);
    let allowed = limit(pid(2)).expect("there is a limit now");
    assert_eq!(seen.limit_kib, Some(allowed));
    assert!(seen.used_kib <= allowed && allowed <= seen.used_kib + 2048, "{seen:?}");
    assert_eq!((limit(pid(1)), limit(pid(3))), (before, before), "nobody else was hit");
    let receipt = fixture.stop(active).await;
    assert_eq!((memory_seen(&receipt).limit_kib, limit(pid(2))), (before, before));
    assert!(!memory_seen(&receipt).restarted);
}

async fn memory_raised() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let before = limit(pid(3));
    let active = fixture.start(squeezed("n3", 1)).await;
    let raise = Command::new("prlimit").args(["--pid", &pid(3).to_string(), "--data=8589934592:"]).status();
    assert!(raise.expect("util-linux is installed").success());
    let error = fixture.cluster.stop(active).await.expect_err("it had not lasted");
    assert!(error.to_string().contains("at its end n3 may have 8388608 KiB of data instead of"), "{error}");
    assert_eq!(limit(pid(3)), before, "it is whole nevertheless");
}

async fn memory_twice() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let before = limit(pid(1));
    let wide = fixture.start(squeezed("n1", 64)).await;
    let tight = fixture.start(squeezed("n1", 4)).await;
    let held = memory_seen(&tight.receipt).limit_kib;
    assert!(held < memory_seen(&wide.receipt).limit_kib && limit(pid(1)) == held);
    // It was in force, if to no effect.
    let receipt = fixture.stop(wide).await;
    assert_eq!((memory_seen(&receipt).limit_kib, limit(pid(1))), (held, held));
    fixture.stop(tight).await;
    assert_eq!(limit(pid(1)), before);
}

async fn memory_kills() {
    let mut fixture = Fixture::up(Manner::Hungry, 3).await;
    let victim = pid(2);
    let active = fixture.start(squeezed("n2", 8)).await;
    let address = fixture.cluster.nodes()[1].client_address;
    until("it dies of its clients", || {
        drop(TcpStream::connect(address));
        procfs::process::Process::new(victim.as_raw()).is_err()
    })
    .await;
    let receipt = fixture.stop(active).await;
    let seen = memory_seen(&receipt);
    assert!(seen.restarted && seen.pid == pid(2).as_raw() && seen.pid != victim.as_raw(), "{seen:?}");
    assert_eq!(seen.limit_kib, limit(pid(1)), "without a squeeze");
    assert_eq!(fixture.cluster.crashes(), [], "it was the fault's doing");
    kill(pid(2), Signal::SIGABRT).expect("it lives");
    until("its death is known", || !fixture.cluster.crashes().is_empty()).await;
}

async fn memory_and_kill() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let before = limit(pid(1));
    let active = fixture.start(squeezed("n1", 8)).await;
    let death = fixture.start(Fault::Kill(nodes(&["n1"]))).await;
    fixture.stop(death).await;
    // Its limit has gone with its process.
    let receipt = fixture.stop(active).await;
    assert_eq!(receipt.evidence, Evidence::Memory(Vec::new()));
    assert_eq!(limit(pid(1)), before);
}

fn slowed(node: &str, percent: u8) -> Fault {
    Fault::Cpu { targets: nodes(&[node]), percent }
}

/// Whether a process is stopped, by its first thread.
fn is_stopped(pid: Pid) -> bool {
    let stat = procfs::process::Process::new(pid.as_raw()).and_then(|process| process.stat()).expect("it lives");
    stat.state().expect("it has a state") == ProcState::Stopped
}

async fn cpu() {
    let mut fixture = Fixture::up(Manner::Busy, 2).await;
    let active = fixture.start(slowed("n2", 10)).await;
    let Evidence::Processor(seen) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
    assert!(seen.len() == 1 && seen[0].stopped_percent >= 45 && seen[0].used_percent <= 38, "{seen:?}");
    until("it runs for its share", || !is_stopped(pid(2))).await;
    until("it is stopped for the rest", || is_stopped(pid(2))).await;
    let receipt = fixture.stop(active).await;
    assert!(matches!(&receipt.evidence, Evidence::Running(running) if running.len() == 1), "{receipt:?}");
    assert!(!is_stopped(pid(1)) && !is_stopped(pid(2)));
}

async fn cpu_widened() {
    let mut fixture = Fixture::up(Manner::Busy, 2).await;
    let active = fixture.start(slowed("n1", 10)).await;
    let (victim, widening) = (pid(1), Arc::new(AtomicBool::new(true)));
    let widens = Arc::clone(&widening);
    let saboteur = std::thread::spawn(move || {
        while widens.load(Ordering::SeqCst) {
            kill(victim, Signal::SIGCONT).expect("it lives");
        }
    });
    let error = fixture.cluster.stop(active).await.expect_err("it had more than its share");
    widening.store(false, Ordering::SeqCst);
    saboteur.join().expect("it ends when it is told to");
    assert!(error.to_string().contains("at its end n1"), "{error}");
    assert!(!is_stopped(victim), "it is whole nevertheless");
}

async fn cpu_and_pause() {
    let mut fixture = Fixture::up(Manner::Busy, 2).await;
    let squeeze = fixture.start(slowed("n2", 30)).await;
    let pause = fixture.start(Fault::Pause(nodes(&["n2"]))).await;
    // Several of its periods.
    for _ in 0..100 {
        assert!(is_stopped(pid(2)), "the squeeze has let it go on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fixture.stop(pause).await;
    let pause = fixture.start(Fault::Pause(nodes(&["n2"]))).await;
    // A paused one uses nothing.
    fixture.stop(squeeze).await;
    assert!(is_stopped(pid(2)), "the end of the squeeze has let it go on");
    fixture.stop(pause).await;
    assert!(!is_stopped(pid(2)));
}

async fn cpu_and_kill() {
    let mut fixture = Fixture::up(Manner::Busy, 2).await;
    let squeeze = fixture.start(slowed("n1", 5)).await;
    let death = fixture.start(Fault::Kill(nodes(&["n1"]))).await;
    fixture.stop(death).await;
    // The squeeze has gone with its process.
    let receipt = fixture.stop(squeeze).await;
    assert_eq!(receipt.evidence, Evidence::Running(Vec::new()));
    assert!(!is_stopped(pid(1)));
}
