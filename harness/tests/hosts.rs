//! Clusters of hosts: agents in networks of their own, their faults, and what is left when one of them dies.

mod machines;
mod trials;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grudge::client::Clients;
use grudge::cluster::{ClusterError, Spec};
use grudge::fault::{
    Active, ClockChange, Clocks, DiskTrouble, Evidence, Fault, FaultError, FaultKind, Receipt, Shape, Targets,
};
use grudge::host::{Fleet, Host};
use grudge::nemesis::{Agenda, Breakable, Step};
use grudge::runner::stop;
use grudge::runner::{Ran, Run};
use grudge::system::System;
use grudge_workloads::client::{Peer, Target};
use grudge_workloads::registry;
use grudge_workloads::workload::Options;
use jiff::SignedDuration;
use machines::{Machine, Machines, is_gone};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use trials::{nodes, trial};

/// Long enough for a loaded machine; nothing waits so long if all is well.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let trials = vec![
        trial("three_hosts_are_cut_paused_killed_and_misled_with_receipts", usual_faults),
        trial("disks_lose_power_and_threads_stand_still_on_hosts", other_faults),
        trial("a_cut_spares_the_rules_of_the_host_and_the_connection_of_control", spared),
        trial("a_death_not_of_our_making_is_told_as_a_crash", crash),
        trial("an_agent_that_is_killed_leaves_nothing", killed_agent),
        trial("what_a_killed_keeper_leaves_is_cleared_up_by_the_next_agent", killed_keeper),
        trial("agents_whose_control_is_gone_leave_nothing", lost_control),
        trial("a_run_on_hosts_is_judged_by_what_the_hosts_tell", judged_run),
        trial("a_host_that_dies_in_a_run_is_a_failure_that_names_it", dies_in_a_run),
        trial("a_second_agent_on_a_host_is_refused", second_agent),
        trial("what_a_host_lacks_is_named_before_anything_is_started", lacks),
    ];
    trials::run(Ok(()), trials)
}

/// A cluster of hosts that serves.
struct Lab {
    fleet: Arc<Fleet>,
    rng: ChaCha8Rng,
    folders: Vec<PathBuf>,
    dir: tempfile::TempDir,
    machines: Machines,
}

fn spec(system: &str, nodes: usize, faults: &[FaultKind], dir: &Path) -> Spec {
    let system = System::named(system).expect("it is known");
    Spec {
        connect: system.asks(),
        patience: LIMIT,
        system,
        nodes,
        dir: dir.to_owned(),
        bugs: Vec::new(),
        seed: 1,
        env: BTreeMap::new(),
        faults: faults.iter().copied().collect::<BTreeSet<_>>(),
    }
}

impl Lab {
    async fn up(faults: &[FaultKind]) -> Lab {
        let (machines, dir) = (Machines::up(3), tempfile::tempdir().expect("a folder"));
        let hosts = machines.hosts().await;
        let folders = hosts.iter().map(|host| host.hello.folder.clone()).collect();
        let fleet =
            Fleet::up(spec("raft", 3, faults, dir.path()), hosts).await.unwrap_or_else(|error| panic!("{error}"));
        Lab { fleet: Arc::new(fleet), rng: ChaCha8Rng::seed_from_u64(1), folders, dir, machines }
    }

    /// Starts it as soon as it means somebody: on a busy machine there may be no leader for a while.
    async fn start(&mut self, fault: Fault) -> Active {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.fleet.start(&fault, &mut self.rng).await {
                Ok(active) => return active,
                Err(FaultError::Inapplicable(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{fault}: {error}"),
            }
        }
    }

    async fn stop(&self, active: Active) -> Receipt {
        let name = active.fault.to_string();
        self.fleet.stop(active).await.unwrap_or_else(|error| panic!("end of {name}: {error}"))
    }

    /// What is kept here of what a node wrote.
    fn kept(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.path().join("nodes").join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn machine(&self, node: usize) -> &Machine {
        &self.machines.all()[node]
    }

    fn left_nothing(&self, node: usize) -> bool {
        is_gone(self.machine(node), &self.folders[node])
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}, after {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn links(receipt: &Receipt) -> (usize, usize) {
    match &receipt.evidence {
        Evidence::Links { silent, passing } => (silent.len(), *passing),
        other => panic!("a partition is proven by links, not {other:?}"),
    }
}

async fn usual_faults() {
    let mut lab = Lab::up(&[FaultKind::Partition]).await;
    for (shape, silent) in [(Shape::Leader, 4), (Shape::LeaderFromClients, 2), (Shape::MajoritiesRing, 3)] {
        let active = lab.start(Fault::Partition(shape.clone())).await;
        assert_eq!(links(&active.receipt), (silent, 12 - silent), "{shape}");
        assert_eq!(links(&lab.stop(active).await), (0, 12), "{shape}");
    }

    let paused = lab.start(Fault::Pause(nodes(&["n1", "n3"]))).await;
    let Evidence::Stopped(stopped) = &paused.receipt.evidence else { panic!("{:?}", paused.receipt) };
    assert_eq!(stopped.iter().map(|process| process.node.as_str()).collect::<Vec<_>>(), ["n1", "n3"]);
    let next = lab.start(Fault::Kill(Targets::All)).await;
    assert_eq!(next.fault, Fault::Kill(nodes(&["n2"])), "who is paused does not run");
    let restarted = lab.stop(next).await;
    assert!(matches!(&restarted.evidence, Evidence::Restarted(new) if new.len() == 1), "{restarted:?}");
    let running = lab.stop(paused).await;
    assert!(matches!(&running.evidence, Evidence::Running(again) if again.len() == 2), "{running:?}");

    let change = ClockChange::Jump(SignedDuration::from_hours(-1));
    let clock = lab.start(Fault::Clock { targets: Targets::All, change, of: Clocks::Usual }).await;
    let Evidence::Clocks(read) = &clock.receipt.evidence else { panic!("{:?}", clock.receipt) };
    assert!(read.len() == 3 && read.iter().all(|clock| clock.wall.ahead < -3_599_000_000_000), "{read:?}");
    lab.stop(clock).await;

    assert_eq!(lab.fleet.crashes(), []);
    // A replica accepts clients before it has read its disk, and says that it lives afterwards.
    let lives = |lab: &Lab| lab.kept("n2/events").lines().filter(|line| *line == "life").count();
    until("nobody tells of the new life of n2", || lives(&lab) == 2).await;
    let led = ["n1/events", "n2/events", "n3/events"].iter().any(|file| lab.kept(file).contains("\nleading "));
    assert!(led, "nobody has told that it led");
    let Lab { fleet, folders, machines, .. } = lab;
    Arc::into_inner(fleet).expect("nobody else has it").down().await;
    for (machine, folder) in machines.all().iter().zip(&folders) {
        assert!(is_gone(machine, folder), "{}: {:?} {}", machine.name(), machine.processes(), machine.rules());
    }
}

async fn other_faults() {
    let mut lab = Lab::up(&[FaultKind::Power, FaultKind::Disk, FaultKind::Thread, FaultKind::Memory]).await;
    let faults = [
        (Fault::Power(nodes(&["n1", "n2"])), 2),
        (Fault::Disk { targets: nodes(&["n3"]), trouble: DiskTrouble::Slow(Duration::from_millis(20)) }, 1),
        (Fault::Thread(Targets::All), 3),
        (Fault::Cpu { targets: nodes(&["n2"]), percent: 30 }, 1),
        (Fault::Memory { targets: nodes(&["n1", "n3"]), headroom: 256 }, 2),
    ];
    for (fault, hit) in faults {
        let active = lab.start(fault).await;
        let seen = match &active.receipt.evidence {
            Evidence::PowerLost(seen) => seen.len(),
            Evidence::Disks(seen) => seen.len(),
            Evidence::Held(seen) => seen.len(),
            Evidence::Processor(seen) => seen.len(),
            Evidence::Memory(seen) => seen.len(),
            other => panic!("{}: {other:?}", active.fault),
        };
        assert_eq!((seen, active.receipt.nodes.len()), (hit, hit), "{}", active.fault);
        lab.stop(active).await;
    }
    assert_eq!(lab.fleet.crashes(), []);
    let refused = lab.fleet.start(&Fault::Reset(Targets::One), &mut lab.rng).await.expect_err("it is not for hosts");
    assert!(refused.to_string().contains("where all nodes are on this machine only"), "{refused}");
    Arc::into_inner(lab.fleet).expect("nobody else has it").down().await;
}

async fn spared() {
    let machines = Machines::up(1);
    let machine = &machines.all()[0];
    machine.add_rule(&["-A", "INPUT", "-p", "tcp", "--dport", "5555", "-j", "DROP"]);
    let before = machine.rules();
    let dir = tempfile::tempdir().expect("a folder");
    let spec = spec("raft", 1, &[FaultKind::Partition], dir.path());
    let fleet = Fleet::up(spec, machines.hosts().await).await.unwrap_or_else(|error| panic!("{error}"));
    let cut = Shape::Cuts(
        [("n1".to_owned(), ["clients".to_owned()].into()), ("clients".to_owned(), ["n1".to_owned()].into())].into(),
    );
    fleet
        .start(&Fault::Partition(cut), &mut ChaCha8Rng::seed_from_u64(1))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let rules = machine.rules();
    let ours: Vec<&str> = rules.lines().filter(|line| line.starts_with("-A GRUDGE")).collect();
    assert_eq!(ours.len(), 4, "{rules}");
    assert!(ours[..2].iter().all(|rule| rule.contains("40000") && rule.ends_with("-j RETURN")), "{rules}");
    assert!(ours[2..].iter().all(|rule| rule.contains("10.43.0.254/32") && rule.ends_with("-j DROP")), "{rules}");
    assert!(rules.contains("--dport 5555 -j DROP"), "{rules}");
    fleet.down().await;
    assert_eq!(machine.rules(), before);
}

/// Two nodes in trouble on each of which something could be left.
async fn in_trouble() -> Lab {
    let mut lab = Lab::up(&[FaultKind::Partition, FaultKind::Power]).await;
    lab.start(Fault::Partition(Shape::Node("n1".to_owned()))).await;
    lab.start(Fault::Pause(nodes(&["n1", "n2"]))).await;
    assert!(lab.machine(0).rules().contains("-j DROP"), "{}", lab.machine(0).rules());
    lab
}

async fn crash() {
    let lab = Lab::up(&[]).await;
    let replica = lab.machine(1).processes().pop().expect("the newest process of a quiet host is its replica");
    kill(Pid::from_raw(replica), Signal::SIGKILL).expect("it lives");
    until("nobody tells of the crash", || !lab.fleet.crashes().is_empty()).await;
    let crashes = lab.fleet.crashes();
    assert_eq!((crashes.len(), crashes[0].node.as_str(), crashes[0].status.as_str()), (1, "n2", "killed by SIGKILL"));
}

async fn killed_agent() {
    let lab = in_trouble().await;
    let processes = lab.machine(0).processes();
    // Who waits outside, the sandbox's caller, its init, the agent.
    kill(Pid::from_raw(processes[3]), Signal::SIGKILL).expect("it lives");
    let lost = tokio::time::timeout(LIMIT, lab.fleet.lost()).await.expect("it is noticed");
    assert!(lost.contains("host machine-1 is lost"), "{lost}");
    until("something is left of the killed agent", || lab.left_nothing(0)).await;
    assert!(!lab.left_nothing(1), "the others live");
}

async fn killed_keeper() {
    let lab = in_trouble().await;
    kill(Pid::from_raw(lab.machine(0).processes()[0]), Signal::SIGKILL).expect("it lives");
    until("a process is left of the killed agent", || lab.machine(0).processes().is_empty()).await;
    assert!(lab.machine(0).rules().contains("GRUDGE"), "nobody is there to take the rules away");
    let next = lab.machine(0).host().await.expect("the next agent settles");
    assert!(!lab.machine(0).rules().contains("GRUDGE"), "{}", lab.machine(0).rules());
    assert!(!lab.folders[0].exists() && next.hello.folder.exists());
}

async fn lost_control() {
    let Lab { fleet, folders, machines, .. } = in_trouble().await;
    drop(fleet);
    for (machine, folder) in machines.all().iter().zip(&folders) {
        until("something is left of an agent", || is_gone(machine, folder)).await;
    }
}

/// A run of registers on a lab, with a partition at its beginning.
fn run(lab: &Lab, time: Duration) -> Run {
    let options = Options { seed: 1, workers: 6, keys: None, rate: Some(100.0), time };
    let workload = registry::find("register", System::named("raft").expect("built in").speech(), &options);
    let workload = workload.expect("registers are known");
    let peer = |node: &grudge::cluster::Node| Peer { node: node.name.clone(), address: node.client_address };
    let cluster: Arc<[Peer]> = lab.fleet.known().nodes().iter().map(peer).collect();
    let target = |node: &grudge::cluster::Node| Target {
        node: node.name.clone(),
        address: node.client_address,
        cluster: Arc::clone(&cluster),
        timeout: Duration::from_secs(2),
        ttl: Duration::from_secs(4),
    };
    let step = "when = { at = '1s' }\nfault = { partition = 'one' }\nhold = '1s'";
    let script: [Step; 1] = [toml::from_str(step).expect("a step")];
    Run {
        clients: Clients::Tasks(Arc::clone(&workload.connect)),
        workload,
        targets: lab.fleet.known().nodes().iter().map(target).collect(),
        concurrency: 6,
        agenda: Agenda::scripted(&script),
        seed: 1,
        time,
        recovery: LIMIT,
        fail_fast: false,
        history: lab.dir.path().join("history.csv"),
        schedule: lab.dir.path().join("schedule.toml"),
        events: lab.fleet.known().events(),
    }
}

async fn judged_run() {
    let lab = Lab::up(&[FaultKind::Partition]).await;
    let (_stopper, stop) = stop::pair();
    let run = run(&lab, Duration::from_secs(4));
    let Ran { judgements, .. } = run.execute(Arc::clone(&lab.fleet) as _, stop).await.expect("it comes to its end");
    let others: Vec<_> = judgements.iter().filter(|it| it.verdict.name() != "valid").collect();
    assert!(others.is_empty(), "{others:?}");
    let judged: BTreeSet<&str> = judgements.iter().map(|it| it.checker.as_str()).collect();
    assert!(["faults", "liveness", "processes", "replicas"].iter().all(|it| judged.contains(it)), "{judged:?}");
}

async fn dies_in_a_run() {
    let lab = Lab::up(&[FaultKind::Partition]).await;
    let run = run(&lab, Duration::from_secs(3_600));
    let (history, third) = (run.history.clone(), lab.machine(2).processes()[3]);
    let (fleet, (_stopper, stop)) = (Arc::clone(&lab.fleet), stop::pair());
    let run = tokio::spawn(async move { run.execute(fleet as _, stop).await });
    let rows = || std::fs::read_to_string(&history).map_or(0, |text| text.lines().count());
    until("the run does not begin", || rows() > 100).await;
    kill(Pid::from_raw(third), Signal::SIGKILL).expect("it lives");
    let ended = tokio::time::timeout(LIMIT, run).await.expect("it is noticed").expect("it does not panic");
    let error = ended.expect_err("a host is lost").to_string();
    assert!(error.contains("host machine-3 is lost") && error.contains("history.csv"), "{error}");
    assert!(rows() > 100, "the history is kept");
}

async fn second_agent() {
    let machines = Machines::up(1);
    let first = machines.all()[0].host().await.expect("the first settles");
    let error = machines.all()[0].host().await.expect_err("the first is at work").to_string();
    assert!(error.contains("machine-1") && error.contains("ended before it said hello"), "{error}");
    assert!(first.hello.addresses.iter().any(|it| it.address == first.address && it.prefix == 24), "{:?}", first.hello);
}

async fn lacks() {
    let (machines, dir) = (Machines::up(1), tempfile::tempdir().expect("a folder"));
    let mut wanted = spec("raft", 1, &[], dir.path());
    let need = "[[needs]]\nfile = 'no-such-program'\ninstall = 'make it'";
    let base = "name = 'x'\nabout = 'x'\nprotocol = 'etcd'\nclient-port = 1\ncommand = ['no-such-program']";
    wanted.system = toml::from_str(&format!("{base}\n{need}")).expect("a system");
    let hosts: Vec<Host> = machines.hosts().await;
    let error = Fleet::up(wanted, hosts).await.err().expect("it is not there");
    assert!(matches!(error, ClusterError::Unfit { .. }), "{error}");
    assert!(error.to_string().contains("machine-1") && error.to_string().contains("make it"), "{error}");
}
