//! Clusters and faults on real processes, in a sandbox of the test's own. Without permission for one, the tests are
//! skipped and say so.

mod beside;
mod fixture;
mod members;
mod standin;
mod trials;

use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use fixture::{Fixture, nodes, trial};
use grudge::cluster::{Cluster, ClusterError};
use grudge::fault::{Evidence, Fault, FaultError, Shape, Targets};
use grudge::nemesis::Sign;
use grudge::nemesis::sign::Seen;
use grudge::net::FilterPlace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use standin::Manner;

fn main() -> ExitCode {
    standin::replica_if_asked();
    let trials = vec![
        trial("five_nodes_serve_and_leave_nothing_when_they_are_down", up_and_down),
        trial("a_replica_runs_in_its_node_s_folder", own_folder),
        trial("every_shape_of_partition_has_a_receipt", every_shape),
        trial("rules_in_each_node_cut_the_same_links", rules_in_each_node),
        trial("clients_reach_both_sides_of_a_partition", clients_reach_all),
        trial("two_partitions_at_once_heal_one_by_one", two_partitions),
        trial("an_exact_fault_does_the_same_again", exact_again),
        trial("a_partition_whose_rules_do_nothing_has_no_receipt", unhooked_rules),
        trial("a_partition_flushed_behind_the_back_has_no_receipt", flushed_rules),
        trial("pause_and_resume_have_receipts", pause_and_resume),
        trial("a_pause_ended_by_somebody_else_has_no_receipt", resumed_by_another),
        trial("kill_and_restart_have_receipts", kill_and_restart),
        trial("a_paused_or_dead_node_is_not_hit_again", not_hit_again),
        trial("a_member_is_removed_and_comes_back_as_a_new_one", members::removed_and_back),
        trial("a_member_that_somebody_else_has_added_has_no_receipt", members::added_by_another),
        trial("heal_all_undoes_everything", heal_all),
        trial("a_line_in_a_log_is_seen_at_the_node_that_wrote_it", line_in_a_log),
        trial("a_death_not_of_our_making_is_a_crash", crash),
        trial("both_processes_of_a_node_are_hit_together", beside::hit_together),
        trial("neither_process_of_a_node_goes_on_without_the_other", beside::die_together),
        trial("a_replica_that_dies_at_its_start_is_named", dies_at_start),
        trial("a_program_that_does_not_exist_is_named", no_program),
        trial("a_cluster_without_a_leader_does_not_serve", leaderless),
        trial("a_run_folder_that_cannot_be_made_is_named", no_folder),
    ];
    fixture::run(Ok(()), trials)
}

async fn five() -> Fixture {
    Fixture::up(Manner::Serve, 5).await
}

/// The numbers of the processes a receipt names.
fn pids(evidence: &Evidence) -> Vec<Pid> {
    match evidence {
        Evidence::Stopped(list) | Evidence::Running(list) | Evidence::Killed(list) | Evidence::Restarted(list) => {
            list.iter().map(|process| Pid::from_raw(process.pid)).collect()
        }
        Evidence::Lives { lives, .. } => lives.iter().map(|life| Pid::from_raw(life.pid)).collect(),
        _ => Vec::new(),
    }
}

fn silent(evidence: &Evidence) -> (usize, usize) {
    match evidence {
        Evidence::Links { silent, passing } => (silent.len(), *passing),
        other => panic!("a partition is proven by links, not {other:?}"),
    }
}

fn iptables(arguments: &[&str]) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let status =
        Command::new("iptables").args(arguments).env("PATH", path).env("XTABLES_LOCKFILE", "/dev/null").status();
    assert!(status.expect("iptables is installed").success(), "iptables {arguments:?}");
}

async fn reachable(address: SocketAddr) -> bool {
    let connect = tokio::net::TcpStream::connect(address);
    matches!(tokio::time::timeout(Duration::from_secs(5), connect).await, Ok(Ok(_)))
}

async fn up_and_down() {
    for _ in 0..3 {
        let fixture = five().await;
        assert_eq!(fixture.cluster.leader().await.map(|node| node.name), Some("n1".to_owned()));
        fixture.cluster.down().await;
        let links = Command::new("ip").args(["-o", "link"]).output().expect("iproute2 is installed").stdout;
        assert_eq!(String::from_utf8_lossy(&links).lines().count(), 1, "only the loopback link is left");
    }
}

async fn own_folder() {
    let mut fixture = five().await;
    let active = fixture.start(Fault::Pause(nodes(&["n2"]))).await;
    let runs_in = std::fs::read_link(format!("/proc/{}/cwd", pids(&active.receipt.evidence)[0])).expect("it lives");
    assert!(runs_in.ends_with("nodes/n2"), "{}", runs_in.display());
}

async fn every_shape() {
    let mut fixture = five().await;
    for (shape, cut) in [
        (Shape::Halves, 12),
        (Shape::One, 8),
        (Shape::MajoritiesRing, 10),
        (Shape::Bridge, 8),
        (Shape::OneWay, 6),
        (Shape::Leader, 8),
    ] {
        let active = fixture.start(Fault::Partition(shape.clone())).await;
        assert_eq!(silent(&active.receipt.evidence), (cut, 30 - cut), "{shape}");
        if shape == Shape::Leader {
            assert!(active.fault.to_string().contains("n2+n3+n4+n5→n1"), "{}", active.fault);
        }
        let healed = fixture.stop(active).await;
        assert_eq!(silent(&healed.evidence), (0, 30), "{shape}");
    }
}

async fn rules_in_each_node() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let spec = standin::spec(Manner::Serve, 5, dir.path());
    let cluster = Cluster::up_with_rules_in(spec, &[FilterPlace::EachNode]).await.expect("stand-ins come up");
    assert_eq!(cluster.filter_place().await, Some(FilterPlace::EachNode));
    let mut fixture = Fixture::of(cluster, dir);
    for (shape, cut) in [(Shape::Halves, 12), (Shape::MajoritiesRing, 10), (Shape::OneWay, 6)] {
        let active = fixture.start(Fault::Partition(shape.clone())).await;
        assert_eq!(silent(&active.receipt.evidence), (cut, 30 - cut), "{shape}");
        let healed = fixture.stop(active).await;
        assert_eq!(silent(&healed.evidence), (0, 30), "{shape}");
    }
}

async fn clients_reach_all() {
    let mut fixture = five().await;
    fixture.start(Fault::Partition(Shape::Halves)).await;
    for node in fixture.cluster.nodes() {
        assert!(reachable(node.client_address).await, "{}", node.name);
    }
}

async fn two_partitions() {
    let mut fixture = five().await;
    let cut = |node: &str, deaf_to: &str| {
        Fault::Partition(Shape::Cuts([(node.to_owned(), [deaf_to.to_owned()].into())].into()))
    };
    let first = fixture.start(cut("n1", "n2")).await;
    let second = fixture.start(cut("n2", "n3")).await;
    assert_eq!(silent(&second.receipt.evidence).0, 2);
    let receipt = fixture.stop(first).await;
    assert_eq!(receipt.evidence, Evidence::Links { silent: vec!["n3→n2".into()], passing: 29 });
    let receipt = fixture.stop(second).await;
    assert_eq!(silent(&receipt.evidence), (0, 30));
}

async fn exact_again() {
    let mut fixture = five().await;
    let first = fixture.start(Fault::Partition(Shape::MajoritiesRing)).await;
    let (exact, evidence) = (first.fault.clone(), first.receipt.evidence.clone());
    fixture.stop(first).await;
    let again = fixture.start(exact).await;
    assert_eq!(again.receipt.evidence, evidence);
}

/// Whether the chain that a test wants to sabotage is there.
async fn rules_are_in_the_hub(fixture: &Fixture) -> bool {
    let there = fixture.cluster.filter_place().await == Some(FilterPlace::Hub);
    if !there {
        anstream::eprintln!("skipped: no br_netfilter here, so there are no rules in the hub to sabotage");
    }
    there
}

/// A cut between a node and the clients, and what is said when it does not cut.
const FROM_CLIENTS: (Shape, &str) = (Shape::LeaderFromClients, "cut and yet passing: n1→clients, clients→n1");

async fn unhooked_rules() {
    let mut fixture = five().await;
    if !rules_are_in_the_hub(&fixture).await {
        return;
    }
    ["FORWARD", "INPUT", "OUTPUT"].into_iter().for_each(|hook| iptables(&["-F", hook]));
    for (shape, passing) in [(Shape::Halves, "cut and yet passing: "), FROM_CLIENTS] {
        let error = fixture.try_start(Fault::Partition(shape)).await.expect_err("the rules do nothing");
        assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
        assert!(error.to_string().contains(passing), "{error}");
    }
}

async fn flushed_rules() {
    let mut fixture = five().await;
    if !rules_are_in_the_hub(&fixture).await {
        return;
    }
    for (shape, passing) in [(Shape::Halves, "cut and yet passing: "), FROM_CLIENTS] {
        let active = fixture.start(Fault::Partition(shape)).await;
        iptables(&["-F", "GRUDGE"]);
        let error = fixture.cluster.stop(active).await.expect_err("it had not lasted");
        assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
        assert!(error.to_string().contains(passing), "{error}");
    }
}

async fn pause_and_resume() {
    let mut fixture = five().await;
    let active = fixture.start(Fault::Pause(Targets::Minority)).await;
    let Evidence::Stopped(processes) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
    assert_eq!(processes.len(), 2);
    assert!(processes.iter().all(|process| process.threads >= 2), "all threads were looked at: {processes:?}");
    let paused: Vec<Pid> = pids(&active.receipt.evidence);
    for pid in &paused {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
        assert!(status.contains("State:\tT"), "{status}");
    }
    let receipt = fixture.stop(active).await;
    assert_eq!(pids(&receipt.evidence), paused);
    assert_eq!(fixture.cluster.crashes(), []);
}

async fn resumed_by_another() {
    let mut fixture = five().await;
    let active = fixture.start(Fault::Pause(Targets::One)).await;
    kill(pids(&active.receipt.evidence)[0], Signal::SIGCONT).expect("it lives");
    let error = fixture.cluster.stop(active).await.expect_err("it had not lasted");
    assert!(error.to_string().contains("at its end 0 of 2 threads"), "{error}");
}

async fn kill_and_restart() {
    let mut fixture = five().await;
    let active = fixture.start(Fault::Kill(Targets::Leader)).await;
    assert_eq!(active.fault, Fault::Kill(nodes(&["n1"])));
    let dead = pids(&active.receipt.evidence);
    assert!(!std::path::Path::new(&format!("/proc/{}", dead[0])).exists(), "it was reaped");
    assert_eq!(fixture.cluster.leader().await, None);
    let receipt = fixture.stop(active).await;
    assert_ne!(pids(&receipt.evidence), dead);
    assert_eq!(fixture.cluster.leader().await.map(|node| node.name), Some("n1".to_owned()));
    assert_eq!(fixture.cluster.crashes(), [], "a death of our making is no crash");
}

async fn not_hit_again() {
    let mut fixture = five().await;
    fixture.start(Fault::Pause(nodes(&["n1", "n2"]))).await;
    let killed = fixture.start(Fault::Kill(Targets::All)).await;
    assert_eq!(killed.fault, Fault::Kill(nodes(&["n3", "n4", "n5"])));
    let error = fixture.try_start(Fault::Pause(Targets::One)).await;
    assert!(matches!(error, Err(FaultError::Inapplicable(_))), "{error:?}");
}

async fn heal_all() {
    let mut fixture = five().await;
    fixture.start(Fault::Partition(Shape::Halves)).await;
    fixture.start(Fault::Kill(nodes(&["n4"]))).await;
    fixture.start(Fault::Pause(nodes(&["n5"]))).await;
    let receipts = fixture.cluster.heal_all().await.expect("all heal");
    let evidence: Vec<Evidence> = receipts.into_iter().map(|receipt| receipt.evidence).collect();
    assert!(matches!(
        evidence.as_slice(),
        [Evidence::Running(_), Evidence::Restarted(_), Evidence::Links { silent, passing: 30 }] if silent.is_empty()
    ));
    for node in fixture.cluster.nodes() {
        assert!(reachable(node.client_address).await, "{}", node.name);
    }
}

async fn line_in_a_log() {
    let mut fixture = five().await;
    let sign = |nth| Sign { what: Seen::Log("born".to_owned()), node: None, nth };
    let (first, third) = (fixture.cluster.known().sight(&sign(1)), fixture.cluster.known().sight(&sign(3)));
    let active = fixture.start(Fault::Kill(nodes(&["n4"]))).await;
    fixture.stop(active).await;
    let patience = Duration::from_secs(30);
    assert_eq!(tokio::time::timeout(patience, first).await.as_deref(), Ok("n4"));
    let active = fixture.start(Fault::Kill(nodes(&["n2", "n5"]))).await;
    fixture.stop(active).await;
    assert_eq!(tokio::time::timeout(patience, third).await.as_deref(), Ok("n5"), "the last of three");
}

async fn crash() {
    let mut fixture = five().await;
    let active = fixture.start(Fault::Pause(nodes(&["n3"]))).await;
    let pid = pids(&active.receipt.evidence)[0];
    fixture.stop(active).await;
    kill(pid, Signal::SIGABRT).expect("it lives");
    let deadline = Instant::now() + Duration::from_secs(10);
    while fixture.cluster.crashes().is_empty() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let crashes = fixture.cluster.crashes();
    assert_eq!(crashes.len(), 1, "{crashes:?}");
    assert_eq!((crashes[0].node.as_str(), crashes[0].status.as_str()), ("n3", "killed by SIGABRT"));
}

async fn failure(manner: Manner, patience: Duration) -> ClusterError {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let spec = grudge::cluster::Spec { patience, ..standin::spec(manner, 3, dir.path()) };
    match Cluster::up(spec).await {
        Ok(_) => panic!("it must not come up"),
        Err(error) => error,
    }
}

async fn dies_at_start() {
    let error = failure(Manner::Die, Duration::from_secs(20)).await;
    let expected = "n2 died at its start (exit code 3); its log ends:\n  the disk is made of cheese";
    assert_eq!(error.to_string(), expected);
}

async fn leaderless() {
    let error = failure(Manner::Leaderless, Duration::from_millis(200)).await;
    assert!(error.to_string().contains("n1 follower, n2 follower, n3 follower"), "{error}");
}

async fn no_program() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let mut spec = standin::spec(Manner::Serve, 3, dir.path());
    spec.system.command = vec!["/no/such/program".to_owned()];
    let error = Cluster::up(spec).await.err().expect("there is no such program");
    assert_eq!(error.to_string(), "n1 could not be started: /no/such/program: No such file or directory (os error 2)");
}

async fn no_folder() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").expect("a small file can be written");
    let error = Cluster::up(standin::spec(Manner::Serve, 3, &file)).await.err().expect("a file is in the way");
    assert!(error.to_string().starts_with(&format!("cannot use {}", file.display())), "{error}");
}
