//! Clients as processes, and faults that hit them. In a sandbox of the test's own; without permission for one, the tests
//! are skipped and say so.

mod fixture;
mod forbid;
mod namespace;
mod standin;
mod trials;

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::time::Duration;

use fixture::{Fixture, nodes, trial};
use forbid::forbid;
use grudge::client::{Roster, Staff};
use grudge::fault::{Active, ClientTrouble, Evidence, Fault, FaultError, Process, Workers};
use grudge_workloads::client::{Client, Target};
use grudge_workloads::operation::{Invocation, Outcome};
use namespace::within;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use standin::Manner;

fn main() -> ExitCode {
    client_if_asked();
    standin::replica_if_asked();
    let trials = vec![
        trial("a_client_makes_calls_and_says_goodbye", calls),
        trial("whatever_a_client_does_wrong_is_an_outcome", misbehaviour),
        trial("a_paused_client_stands_still_and_answers_afterwards", pause),
        trial("a_pause_that_somebody_ends_early_has_no_receipt", pause_cut_short),
        trial("a_dead_client_is_not_replaced_before_its_time", death),
        trial("a_dead_client_whose_successor_is_of_no_use_has_no_receipt", barren),
        trial("the_connections_of_one_client_are_cut", cut),
        trial("a_connection_that_the_kernel_does_not_reset_is_no_fault", cut_refused),
        trial("clients_that_are_there_from_the_beginning_work_when_they_are_needed", filled),
        trial("the_holder_of_a_lock_is_the_last_that_has_acquired_it", holder),
        trial("one_fault_at_a_time_hits_a_client", one_at_a_time),
    ];
    fixture::run(Ok(()), trials)
}

/// The stand-in for a client: this very binary, when its first argument is `client`. The second is a file; once that
/// exists, it ends at its start.
fn client_if_asked() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, command, barren] = arguments.as_slice() else { return };
    if command != "client" {
        return;
    }
    if Path::new(barren).exists() {
        exit(3);
    }
    let (mut address, mut connection) = (None::<SocketAddr>, None);
    for line in std::io::stdin().lock().lines() {
        let told: Value = serde_json::from_str(&line.expect("lines are text")).expect("lines are JSON");
        let answer = match (told["type"].as_str(), told["f"].as_str()) {
            (Some("start"), _) => {
                address = told["address"].as_str().and_then(|address| address.parse().ok());
                json!({ "type": "ok" })
            }
            (Some("open"), _) => {
                connection = address.and_then(|address| TcpStream::connect(address).ok());
                json!({ "type": if connection.is_some() { "ok" } else { "fail" }, "error": "refused" })
            }
            (_, Some("pid")) => json!({ "type": "ok", "value": std::process::id(), "version": 1 }),
            (_, Some("over")) => json!({ "type": "fail", "error": "lost", "over": true }),
            (_, Some("exit")) => exit(0),
            (_, Some("babble")) => json!("hello"),
            (_, Some("rave")) => Value::String("x".repeat(17 << 20)),
            (_, Some("hang")) => loop {
                std::thread::park();
            },
            _ => json!({ "type": "ok", "value": told["value"] }),
        };
        let mut output = std::io::stdout().lock();
        writeln!(output, "{answer}").and_then(|()| output.flush()).expect("somebody listens");
    }
    drop(connection);
    exit(0);
}

/// Stand-ins for nodes, and so many stand-ins for clients, each of node 1.
struct Stage {
    fixture: Fixture,
    roster: Roster,
    target: Target,
    barren: PathBuf,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn up(workers: usize) -> Stage {
        let fixture = Fixture::up(Manner::Serve, 2).await;
        let dir = tempfile::tempdir().expect("a folder for the test");
        let barren = dir.path().join("barren");
        let this = std::env::current_exe().expect("this binary is somewhere");
        let words = [this.as_path(), Path::new("client"), &barren];
        let staff = Staff {
            command: words.map(|word| word.display().to_string()).to_vec(),
            workload: "lock".to_owned(),
            logs: dir.path().join("clients"),
            asks: Arc::new(standin::AskRole),
        };
        let roster = Roster::new(staff, workers).expect("a folder can be made");
        fixture.cluster.employ(roster.clone()).await;
        let target = Target {
            node: "n1".to_owned(),
            address: fixture.cluster.nodes()[0].client_address,
            cluster: Arc::default(),
            timeout: Duration::from_secs(5),
            ttl: Duration::from_secs(1),
        };
        Stage { fixture, roster, target, barren, _dir: dir }
    }

    async fn client(&self, worker: usize) -> Box<dyn Client> {
        self.try_client(worker).await.unwrap_or_else(|token| panic!("client {worker}: {token}"))
    }

    async fn try_client(&self, worker: usize) -> Result<Box<dyn Client>, String> {
        self.roster.connect(worker).connect(&self.target).await
    }

    async fn start(&mut self, targets: Workers, trouble: ClientTrouble) -> Active {
        self.fixture.start(Fault::Client { targets, trouble }).await
    }

    async fn refused(&mut self, targets: Workers, trouble: ClientTrouble) -> FaultError {
        let fault = Fault::Client { targets, trouble };
        self.fixture.try_start(fault).await.expect_err("it cannot be done")
    }
}

fn only(worker: usize) -> Workers {
    Workers::Numbers(vec![worker])
}

async fn pid(client: &mut dyn Client) -> i32 {
    let Outcome::Ok { value, version: Some(1) } = client.invoke(&Invocation::new("pid")).await else {
        panic!("it says its number")
    };
    value.as_i64().and_then(|pid| pid.try_into().ok()).expect("a number")
}

/// What `/proc` says of a process: `T (stopped)`.
fn state(pid: i32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    state.expect("a process has a state").trim().to_owned()
}

async fn calls() {
    let stage = Stage::up(2).await;
    let (mut one, mut other) = (stage.client(0).await, stage.client(1).await);
    assert_ne!(pid(&mut *one).await, pid(&mut *other).await, "each is a process");
    let write = Invocation::new("write").on("x").with(json!([1, "two"]));
    assert_eq!(one.invoke(&write).await, Outcome::ok(json!([1, "two"]), None));
    assert!(one.alive());
    one.close().await;
    assert!(!one.alive());
}

async fn misbehaviour() {
    let stage = Stage::up(1).await;
    let table = [("exit", "client-died"), ("babble", "client-garbage"), ("rave", "client-garbage")];
    for (f, token) in table {
        let mut client = stage.client(0).await;
        let before = pid(&mut *client).await;
        assert_eq!(client.invoke(&Invocation::new(f)).await, Outcome::info(token), "{f}");
        assert!(!client.alive());
        drop(client);
        let mut next = stage.client(0).await;
        assert_ne!(pid(&mut *next).await, before, "another takes its place after {f}");
    }
    let mut client = stage.client(0).await;
    let before = pid(&mut *client).await;
    assert_eq!(client.invoke(&Invocation::new("over")).await, Outcome::fail("lost"));
    assert!(!client.alive(), "it has said so");
    drop(client);
    let mut client = stage.client(0).await;
    assert_eq!(pid(&mut *client).await, before, "the same process opens another session");
    // Whoever gives it up takes its process with it.
    let patience = Duration::from_millis(50);
    assert!(tokio::time::timeout(patience, client.invoke(&Invocation::new("hang"))).await.is_err());
    drop(client);
    assert_ne!(pid(&mut *stage.client(0).await).await, before);
}

/// The only process that evidence is about.
fn single(processes: &[Process]) -> &Process {
    match processes {
        [process] => process,
        more => panic!("one client was meant: {more:?}"),
    }
}

async fn pause() {
    let mut stage = Stage::up(2).await;
    let (mut one, mut other) = (stage.client(0).await, stage.client(1).await);
    let victim = pid(&mut *one).await;
    let active = stage.start(only(0), ClientTrouble::Pause).await;
    let Evidence::Stopped(stopped) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
    assert_eq!((single(stopped).node.as_str(), single(stopped).pid), ("client 0", victim));
    assert_eq!(state(victim), "T (stopped)");
    let call = tokio::spawn(async move { one.invoke(&Invocation::new("pid")).await });
    pid(&mut *other).await;
    assert!(!call.is_finished(), "who stands still does not answer");
    let receipt = stage.fixture.stop(active).await;
    assert!(matches!(&receipt.evidence, Evidence::Running(running) if single(running).pid == victim), "{receipt:?}");
    assert_eq!(call.await.expect("it did not panic"), Outcome::ok(victim, Some(1)), "the same process, the same call");
}

async fn pause_cut_short() {
    let mut stage = Stage::up(1).await;
    let victim = pid(&mut *stage.client(0).await).await;
    let active = stage.start(only(0), ClientTrouble::Pause).await;
    kill(Pid::from_raw(victim), Signal::SIGCONT).expect("it lives");
    let error = stage.fixture.cluster.stop(active).await.expect_err("it had not lasted");
    assert!(matches!(&error, FaultError::NoReceipt { .. }), "{error}");
    assert!(error.to_string().contains("at its end 0 of 1 threads of client 0"), "{error}");
    assert_eq!(pid(&mut *stage.client(0).await).await, victim, "it is whole nevertheless");
}

async fn death() {
    let mut stage = Stage::up(1).await;
    let mut client = stage.client(0).await;
    let victim = pid(&mut *client).await;
    let call = tokio::spawn(async move { client.invoke(&Invocation::new("hang")).await });
    let active = stage.start(Workers::One, ClientTrouble::Die).await;
    let Evidence::Killed(killed) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
    assert_eq!(single(killed).pid, victim);
    assert_eq!(active.fault, Fault::Client { targets: only(0), trouble: ClientTrouble::Die });
    let outcome = call.await.expect("it did not panic");
    // Either it was dead before it was told, or it died of what it was told.
    assert!([Outcome::info("client-died"), Outcome::fail("client-gone")].contains(&outcome), "{outcome:?}");
    assert_eq!(stage.try_client(0).await.err().as_deref(), Some("client-dead"));
    let receipt = stage.fixture.stop(active).await;
    let Evidence::Restarted(new) = &receipt.evidence else { panic!("{receipt:?}") };
    assert_ne!(single(new).pid, victim);
    assert_eq!(pid(&mut *stage.client(0).await).await, single(new).pid, "and works");
}

async fn barren() {
    let mut stage = Stage::up(1).await;
    drop(stage.client(0).await);
    let active = stage.start(only(0), ClientTrouble::Die).await;
    std::fs::write(&stage.barren, "").expect("a temporary file");
    let error = stage.fixture.cluster.stop(active).await.expect_err("it ends at its start");
    assert!(matches!(&error, FaultError::NoReceipt { .. }), "{error}");
    assert!(error.to_string().contains("the new client 0 is of no use"), "{error}");
    std::fs::remove_file(&stage.barren).expect("it is there");
    pid(&mut *stage.client(0).await).await;
}

async fn cut() {
    let mut stage = Stage::up(2).await;
    let address = SocketAddr::new(stage.target.address.ip(), 9_999);
    let listener =
        within(node(&mut stage).await, move || TcpListener::bind(address).expect("a port of its own is free"));
    stage.target.address = address;
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for worker in 0..2 {
        let mut client = stage.client(worker).await;
        pid(&mut *client).await;
        clients.push(client);
        servers.push(listener.accept().expect("it connects when it opens"));
    }
    let active = stage.start(only(0), ClientTrouble::Cut).await;
    let expected = format!("client 0:{}→n1:9999", servers[0].1.port());
    assert_eq!(active.receipt.evidence, Evidence::Reset(vec![expected]));
    let error = servers[0].0.read(&mut [0]).expect_err("it was reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    servers[1].0.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
    let quiet = servers[1].0.read(&mut [0]).expect_err("nobody says anything");
    assert_eq!(quiet.kind(), ErrorKind::WouldBlock, "the other's is left alone: {quiet}");
    let receipt = stage.fixture.stop(active).await;
    assert_eq!(receipt.evidence, Evidence::Reset(Vec::new()));
    let again = stage.refused(only(0), ClientTrouble::Cut).await;
    assert!(again.to_string().contains("client 0 has no connection with a node"), "{again}");
    drop(clients.remove(0));
    clients.push(stage.client(0).await);
    listener.accept().expect("it connects again");
}

/// As on a kernel that shows nobody its sockets. In a thread of its own, from which all others here have it.
async fn cut_refused() {
    let refused = std::thread::spawn(|| {
        let sockets = u32::try_from(libc::NETLINK_SOCK_DIAG).expect("a small number");
        forbid(libc::SYS_socket, Some(sockets), libc::EPROTONOSUPPORT).expect("anybody may have less");
        tokio::runtime::Runtime::new().expect("a runtime").block_on(not_cut());
    });
    refused.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

async fn not_cut() {
    let mut stage = Stage::up(1).await;
    let mut client = stage.client(0).await;
    let error = stage.refused(only(0), ClientTrouble::Cut).await;
    assert!(matches!(&error, FaultError::Failed { .. }), "{error}");
    pid(&mut *client).await;
}

async fn filled() {
    let mut stage = Stage::up(2).await;
    stage.roster.fill(std::slice::from_ref(&stage.target)).await.expect("both say that they are there");
    let active = stage.start(Workers::All, ClientTrouble::Pause).await;
    let Evidence::Stopped(stopped) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
    let there: Vec<i32> = stopped.iter().map(|process| process.pid).collect();
    stage.fixture.stop(active).await;
    assert_eq!([pid(&mut *stage.client(0).await).await, pid(&mut *stage.client(1).await).await], *there);
    drop(stage);
    let barren = Stage::up(1).await;
    std::fs::write(&barren.barren, "").expect("a temporary file");
    let error = barren.roster.fill(std::slice::from_ref(&barren.target)).await.expect_err("it ends at its start");
    assert!(["client 0: client-died", "client 0: client-gone"].contains(&error.as_str()), "{error}");
}

/// The process of node 1.
async fn node(stage: &mut Stage) -> i32 {
    let active = stage.fixture.start(Fault::Pause(nodes(&["n1"]))).await;
    let Evidence::Stopped(stopped) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
    let pid = single(stopped).pid;
    stage.fixture.stop(active).await;
    pid
}

async fn holder() {
    let mut stage = Stage::up(3).await;
    let mut clients = vec![stage.client(0).await, stage.client(1).await, stage.client(2).await];
    let nobody = stage.refused(Workers::Holder, ClientTrouble::Pause).await;
    assert!(matches!(&nobody, FaultError::Inapplicable(_)), "{nobody}");
    for worker in [0, 2] {
        clients[worker].invoke(&Invocation::new("acquire").on(worker.to_string()).with(7)).await;
    }
    let active = stage.start(Workers::Holder, ClientTrouble::Pause).await;
    assert_eq!(active.fault, Fault::Client { targets: only(2), trouble: ClientTrouble::Pause });
    stage.fixture.stop(active).await;
    clients[2].invoke(&Invocation::new("release").on("2").with(7)).await;
    let active = stage.start(Workers::Holder, ClientTrouble::Die).await;
    assert_eq!(active.receipt.nodes, ["client 0"]);
    stage.fixture.stop(active).await;
    drop(clients);
    let nobody = stage.refused(Workers::Holder, ClientTrouble::Pause).await;
    assert!(nobody.to_string().contains("no client is known to hold a lock"), "{nobody}");
}

async fn one_at_a_time() {
    let mut stage = Stage::up(2).await;
    let unborn = stage.refused(Workers::All, ClientTrouble::Die).await;
    assert!(unborn.to_string().contains("no client lives"), "{unborn}");
    let _clients = (stage.client(0).await, stage.client(1).await);
    let pause = stage.start(only(0), ClientTrouble::Pause).await;
    let twice = stage.refused(only(0), ClientTrouble::Die).await;
    assert!(matches!(&twice, FaultError::Inapplicable(_)), "{twice}");
    let death = stage.start(Workers::All, ClientTrouble::Die).await;
    assert_eq!(death.receipt.nodes, ["client 1"], "all that can be hit");
    stage.fixture.stop(death).await;
    stage.fixture.stop(pause).await;
}
