//! Faults of processes on real processes: restarts, one thread held, little memory, little processor time. In a
//! sandbox of the test's own; without permission for one, the tests are skipped and say so.

mod fixture;
mod standin;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fixture::{Fixture, nodes, trial};
use grudge::fault::{Evidence, Fault, Restarts, Targets};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use standin::Manner;

fn main() -> ExitCode {
    standin::replica_if_asked();
    fixture::run(vec![
        trial("a_rolling_restart_gives_every_node_another_life", rolling),
        trial("a_storm_restarts_as_often_as_it_says", storm),
        trial("a_storm_that_is_taken_away_early_says_what_was_left", storm_cut_short),
        trial("a_storm_waits_for_a_node_that_another_fault_has_paused", storm_beside_a_pause),
        trial("a_restart_whose_last_life_died_has_no_receipt", died_after_restart),
    ])
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
    let receipt = fixture.cluster.stop(active).await.expect("all of them serve");
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
    let receipt = fixture.cluster.stop(active).await.expect("both serve");
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
    let receipt = fixture.cluster.stop(active).await.expect("it serves");
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
    fixture.cluster.stop(pause).await.expect("the pause has found the process that it had paused");
    let lives = log.lives();
    until("the storm goes on", || log.lives() > lives).await;
    fixture.cluster.stop(storm).await.expect("it serves");
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
