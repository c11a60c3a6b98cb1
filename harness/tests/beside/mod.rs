//! Nodes of two processes: a fault hits both, and the end of either is the end of the node.

use std::time::{Duration, Instant};

use grudge::cluster::Cluster;
use grudge::fault::{Evidence, Fault};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::{Process, all_processes};
use tokio::time::sleep;

use crate::fixture::{Fixture, nodes};
use crate::standin::{self, Manner};

/// Long enough for a loaded machine; nothing waits so long if all is well.
const LIMIT: Duration = Duration::from_secs(30);

/// Two nodes, each with a process beside it that only waits.
async fn two() -> Fixture {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let mut spec = standin::spec(Manner::Serve, 2, dir.path());
    spec.system.beside = vec!["sleep".to_owned(), "1000".to_owned()];
    Fixture::of(Cluster::up(spec).await.expect("stand-ins come up"), dir)
}

/// The processes of n1, and which of them is the one beside.
async fn of_n1(fixture: &mut Fixture) -> (Vec<Process>, Process) {
    let active = fixture.start(Fault::Pause(nodes(&["n1"]))).await;
    let Evidence::Stopped(stopped) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
    let group = stopped[0].pid;
    let of_group = |process: &Process| process.stat().is_ok_and(|stat| stat.pgrp == group);
    let all: Vec<Process> = all_processes().expect("/proc is mounted").flatten().filter(of_group).collect();
    assert_eq!(all.len(), 2, "a node of two processes");
    assert!(all.iter().all(|process| process.stat().is_ok_and(|stat| stat.state == 'T')), "both are stopped");
    fixture.stop(active).await;
    let beside = all.iter().find(|process| process.pid != group).map(|process| process.pid).expect("one is beside");
    (all, Process::new(beside).expect("it lives"))
}

fn lives(process: &Process) -> bool {
    process.stat().is_ok_and(|stat| stat.state != 'Z')
}

pub async fn hit_together() {
    let mut fixture = two().await;
    let (both, _) = of_n1(&mut fixture).await;
    let active = fixture.start(Fault::Kill(nodes(&["n1"]))).await;
    assert!(!both.iter().any(lives), "both are dead");
    fixture.stop(active).await;
    let (again, _) = of_n1(&mut fixture).await;
    assert!(again.iter().all(lives), "both are there again");
    assert_eq!(fixture.cluster.crashes(), [], "a death of our making is no crash");
    fixture.cluster.down().await;
}

pub async fn die_together() {
    let mut fixture = two().await;
    let (both, beside) = of_n1(&mut fixture).await;
    kill(Pid::from_raw(beside.pid), Signal::SIGTERM).expect("it lives");
    let deadline = Instant::now() + LIMIT;
    while both.iter().any(lives) || fixture.cluster.crashes().is_empty() {
        assert!(Instant::now() < deadline, "neither goes on without the other");
        sleep(Duration::from_millis(5)).await;
    }
    let crashes = fixture.cluster.crashes();
    assert_eq!(crashes.len(), 1, "{crashes:?}");
    let told = (crashes[0].node.as_str(), crashes[0].status.as_str());
    assert_eq!(told, ("n1", "what runs beside it: killed by SIGTERM"));
    fixture.cluster.down().await;
}
