//! A small runner: a workload's generator against real clients, without faults.

pub mod promises;
pub mod server;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use grudge_checkers::history::{Event, History, Kind, Process};
use grudge_workloads::client::{Client, Peer, Target};
use grudge_workloads::generator::{Boxed, Next, Worker};
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::workload::Workload;

/// A node at that address, asked with patience: these machines are busy.
pub fn target(address: SocketAddr) -> Target {
    let cluster = Arc::new([Peer { node: "n1".into(), address }]);
    Target { node: "n1".into(), address, cluster, timeout: Duration::from_secs(5), ttl: Duration::from_secs(4) }
}

/// How long a main phase goes on if it never comes to enough.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// When a main phase has shown enough: each of these operations has succeeded so often.
#[derive(Clone, Copy)]
pub struct Enough<'a> {
    pub each: &'a [&'a str],
    pub times: usize,
}

impl Enough<'_> {
    fn is_in(self, history: &History) -> bool {
        let succeeded = |f: &str| history.events.iter().filter(|event| event.kind == Kind::Ok && event.f == f).count();
        self.each.iter().all(|f| succeeded(f) >= self.times)
    }
}

struct Shared {
    generator: Boxed<Invocation>,
    history: History,
    start: Instant,
    /// By how much its clock is ahead, so that a phase that has shown enough comes to its own end.
    ahead: Duration,
}

impl Shared {
    fn now(&self) -> Duration {
        self.start.elapsed() + self.ahead
    }

    fn record(&mut self, worker: usize, process: u64, invocation: &Invocation, outcome: Option<&Outcome>) {
        let argument = invocation.value.clone();
        let (kind, value, error, version) = match outcome.cloned() {
            None => (Kind::Invoke, argument, None, None),
            Some(Outcome::Ok { value, version }) => (Kind::Ok, value, None, version),
            Some(Outcome::Fail { error }) => (Kind::Fail, argument, Some(error), None),
            Some(Outcome::Info { error }) => (Kind::Info, argument, Some(error), None),
        };
        let now = self.now();
        let event = Event {
            index: self.history.events.len() as u64,
            time: u64::try_from(now.as_nanos()).expect("a test is short"),
            process: Process::Client(process),
            kind,
            f: invocation.f.to_owned(),
            key: invocation.key.clone(),
            value,
            node: Some("n1".into()),
            error,
            version,
            extra: Vec::new(),
        };
        self.generator.update(now, Some(Worker(worker)), &event);
        self.history.events.push(event);
    }
}

/// Runs the main phase until it has shown enough, and then the liveness phase; the history of both.
pub async fn run(workload: &mut Workload, workers: usize, targets: &[Target], enough: Enough<'_>) -> History {
    let done: fn() -> Boxed<Invocation> = || Box::new(grudge_workloads::generator::Sequence::new([]));
    let main = std::mem::replace(&mut workload.main, done());
    let liveness = std::mem::replace(&mut workload.liveness, done());
    let history = phase(main, History::default(), workload, workers, targets, Some(enough)).await;
    phase(liveness, history, workload, workers, targets, None).await
}

async fn phase(
    generator: Boxed<Invocation>,
    history: History,
    workload: &Workload,
    workers: usize,
    targets: &[Target],
    enough: Option<Enough<'_>>,
) -> History {
    let elapsed = Duration::from_nanos(history.events.last().map_or(0, |event| event.time));
    // Processes of an earlier phase are not taken up again.
    let processes = history.events.iter().filter_map(|event| match event.process {
        Process::Client(process) => Some(process + 1),
        Process::Nemesis => None,
    });
    let base = processes.max().unwrap_or(0);
    let start = Instant::now().checked_sub(elapsed).expect("the clock has run that long");
    let shared = Arc::new(Mutex::new(Shared { generator, history, start, ahead: Duration::ZERO }));
    let hands = (0..workers).map(|worker| {
        let target = targets[worker % targets.len()].clone();
        let (shared, connect) = (shared.clone(), workload.connect.clone());
        tokio::spawn(async move {
            let mut process = base + worker as u64;
            let mut client: Option<Box<dyn Client>> = None;
            loop {
                let invocation = {
                    let mut shared = shared.lock().expect("no test thread panics with the lock");
                    let now = shared.now();
                    match shared.generator.next(now, Worker(worker)) {
                        Next::Op(invocation) => {
                            shared.record(worker, process, &invocation, None);
                            Some(invocation)
                        }
                        Next::At(_) | Next::Wait => None,
                        Next::Done => break,
                    }
                };
                let Some(invocation) = invocation else {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    continue;
                };
                if !client.as_ref().is_some_and(|client| client.alive()) {
                    client = connect.connect(&target).await.ok();
                }
                let outcome = match &mut client {
                    Some(client) => client.invoke(&invocation).await,
                    None => Outcome::fail("refused"),
                };
                let lost = matches!(outcome, Outcome::Info { .. });
                shared.lock().expect("no test thread panics with the lock").record(
                    worker,
                    process,
                    &invocation,
                    Some(&outcome),
                );
                if lost {
                    process += workers as u64;
                    client = None;
                }
            }
            if let Some(client) = &mut client {
                client.close().await;
            }
        })
    });
    let hands = hands.collect::<Vec<_>>();
    if let Some(enough) = enough {
        while !enough.is_in(&shared.lock().expect("no test thread panics with the lock").history)
            && !hands.iter().all(tokio::task::JoinHandle::is_finished)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shared.lock().expect("no test thread panics with the lock").ahead = PATIENCE;
    }
    for hand in hands {
        hand.await.expect("no worker panics");
    }
    let shared = Arc::into_inner(shared).expect("the workers are done").into_inner();
    shared.expect("no test thread panicked with the lock").history
}

/// How often each operation ended how.
pub fn counts(history: &History) -> BTreeMap<(String, &'static str), usize> {
    let mut counts = BTreeMap::new();
    for event in &history.events {
        let end = match event.kind {
            Kind::Invoke => continue,
            Kind::Ok => "ok",
            Kind::Fail => "fail",
            Kind::Info => "info",
        };
        *counts.entry((event.f.clone(), end)).or_insert(0) += 1;
    }
    counts
}
