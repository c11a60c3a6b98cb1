//! A system in memory: one register, reached by clients that may lie, hang or lose their node. It stands where a
//! cluster stands, so that the runner can be tested without one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use grudge_checkers::history::{Event, History, Kind};
use grudge_checkers::linearizability::{self, Limits};
use grudge_checkers::model::Register;
use grudge_checkers::online::{Reads, Watch};
use grudge_workloads::client::{Client, Connect, Role, Target};
use grudge_workloads::generator::{Build, Generator, Next, Worker};
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::workload::{Judgement, Watched, Workload};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::cluster::Crash;
use crate::fault::{Active, Evidence, Fault, FaultError, Receipt};
use crate::nemesis::Breakable;

/// How the system in memory behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As a register should.
    Correct,
    /// Every third read answers with the value before the last.
    Stale,
    /// Every third read finds nothing.
    Empty,
    /// The second call never returns, and from then on reads find nothing.
    EmptyAndStuck,
    /// Its second node can never be reached.
    Unreachable,
    /// Every fifth call ends in a timeout, having had its effect.
    Forgetful,
    /// A call never returns.
    Hanging,
    /// Nodes that were hurt once do not come back.
    Broken,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    value: Value,
    before: Value,
    hurt: BTreeSet<&'static str>,
    clients: u64,
    /// How many calls came, also those that never return.
    came: u64,
}

/// The system.
#[derive(Clone)]
pub(super) struct Memory {
    manner: Manner,
    state: Arc<Mutex<State>>,
}

impl Memory {
    pub(super) fn new(manner: Manner) -> Memory {
        Memory { manner, state: Arc::default() }
    }

    /// How many clients were ever made.
    pub(super) fn clients(&self) -> u64 {
        self.lock().clients
    }

    /// Counts a call that came.
    fn is_second(&self) -> bool {
        let mut state = self.lock();
        state.came += 1;
        state.came == 2
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A workload of unique writes and reads against it.
    pub(super) fn workload(&self, time: Duration) -> Workload {
        Workload {
            name: "memory",
            connect: Arc::new(self.clone()),
            main: WriteAndRead { next: 0 }.time_limit(time).boxed(),
            liveness: Box::new(UntilOk { done: BTreeSet::new() }),
            watch: || {
                let check = Box::new(Watch::registers(Reads::Judged));
                vec![Watched { checker: "linearizable register".to_owned(), check }]
            },
            judge: |history: &History| {
                let verdict = linearizability::check(history, &Register::default(), &Limits::default());
                vec![Judgement { checker: "linearizable register".to_owned(), verdict, finding: false }]
            },
        }
    }
}

struct OneClient {
    memory: Memory,
}

#[async_trait]
impl Client for OneClient {
    async fn invoke(&mut self, invocation: &Invocation) -> Outcome {
        if self.memory.manner == Manner::Hanging {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        if self.memory.is_second() && self.memory.manner == Manner::EmptyAndStuck {
            std::future::pending::<()>().await;
        }
        let mut state = self.memory.lock();
        if self.memory.manner == Manner::Broken && !state.hurt.is_empty() {
            return Outcome::fail("no-quorum");
        }
        state.calls += 1;
        let calls = state.calls;
        let outcome = if invocation.f == "write" {
            state.before = std::mem::replace(&mut state.value, invocation.value.clone());
            Outcome::ok(invocation.value.clone(), None)
        } else if self.memory.manner == Manner::Stale && calls.is_multiple_of(3) {
            Outcome::ok(state.before.clone(), None)
        } else if self.memory.manner == Manner::Empty && calls.is_multiple_of(3)
            || self.memory.manner == Manner::EmptyAndStuck && state.came >= 2
        {
            Outcome::ok(Value::Null, None)
        } else {
            Outcome::ok(state.value.clone(), None)
        };
        if self.memory.manner == Manner::Forgetful && calls.is_multiple_of(5) {
            return Outcome::info("timeout");
        }
        outcome
    }

    fn alive(&self) -> bool {
        true
    }

    async fn close(&mut self) {}
}

#[async_trait]
impl Connect for Memory {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Client>, String> {
        if self.manner == Manner::Unreachable && target.node == "n2" {
            return Err("refused".to_owned());
        }
        self.lock().clients += 1;
        Ok(Box::new(OneClient { memory: self.clone() }))
    }

    async fn role(&self, _: &Target) -> Result<Role, String> {
        Ok(Role::Leader)
    }
}

#[async_trait]
impl Breakable for Memory {
    async fn start(&self, fault: &Fault, _: &mut ChaCha8Rng) -> Result<Active, FaultError> {
        self.lock().hurt.insert(fault.kind());
        let receipt = receipt();
        Ok(Active { id: 1, fault: fault.clone(), receipt })
    }

    async fn stop(&self, _: Active) -> Result<Receipt, FaultError> {
        Ok(receipt())
    }

    async fn heal_all(&self) -> Result<Vec<Receipt>, FaultError> {
        Ok(Vec::new())
    }

    fn crashes(&self) -> Vec<Crash> {
        Vec::new()
    }
}

fn receipt() -> Receipt {
    let evidence = Evidence::Links { silent: vec!["n1→n2".to_owned()], passing: 5 };
    Receipt { nodes: vec!["n1".to_owned()], evidence, took: Duration::from_millis(1) }
}

/// Even workers write numbers that nobody else writes, odd ones read.
struct WriteAndRead {
    next: i64,
}

impl Generator<Invocation> for WriteAndRead {
    fn next(&mut self, _: Duration, worker: Worker) -> Next<Invocation> {
        if worker.0 % 2 == 1 {
            return Next::Op(Invocation::new("read"));
        }
        self.next += 1;
        Next::Op(Invocation::new("write").with(json!(self.next)))
    }

    fn update(&mut self, _: Duration, _: Option<Worker>, _: &Event) {}
}

/// Reads until each worker has read.
struct UntilOk {
    done: BTreeSet<Worker>,
}

impl Generator<Invocation> for UntilOk {
    fn next(&mut self, _: Duration, worker: Worker) -> Next<Invocation> {
        if self.done.contains(&worker) { Next::Done } else { Next::Op(Invocation::new("read")) }
    }

    fn update(&mut self, _: Duration, worker: Option<Worker>, event: &Event) {
        if let (Some(worker), Kind::Ok) = (worker, event.kind) {
            self.done.insert(worker);
        }
    }
}
