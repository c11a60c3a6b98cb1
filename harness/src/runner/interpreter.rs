//! The interpreter: asks generators, hands calls to workers, and writes everything down.
//!
//! It is one task, so generators need no locks and the history has one writer. An invocation is written, and handed
//! to the operating system, *before* its worker is told of it; a completion is written after the worker reported it.
//! An operation's real interval therefore lies inside its recorded one, and an order that the history shows was real.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use grudge_checkers::history::{History, Kind, Process};
use grudge_workloads::client::{Connect, Target};
use grudge_workloads::generator::{Generator, Next, Worker};
use grudge_workloads::operation::{Invocation, Outcome};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, sleep_until};

use super::journal::{Entry, Journal};
use super::progress::Progress;
use super::stop::Stop;
use super::worker::{Completion, work};

/// How long a worker rests after its node could not be reached, doubling from the first to the second.
const REST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// A generator that names a time in the past is asked again this much later, so that it cannot spin the loop.
const STEP: Duration = Duration::from_micros(200);
/// How often the interpreter looks whether its workers are still there.
const WATCH: Duration = Duration::from_secs(1);
/// How many of a worker's last errors are kept for the liveness verdict.
const ERRORS: usize = 3;

/// A row that the nemesis wants written, and whom to tell once it is.
pub(crate) struct NemesisRow {
    pub(crate) kind: Kind,
    pub(crate) f: String,
    pub(crate) value: Value,
    pub(crate) error: Option<String>,
    pub(crate) written: oneshot::Sender<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It may be asked for work from this time on.
    Free(Duration),
    /// It makes a call.
    Busy,
    /// The phase's generator has nothing more for it.
    Done,
}

struct Slot {
    state: State,
    process: u64,
    node: String,
    calls: mpsc::Sender<Invocation>,
    current: Option<Invocation>,
    rest: Duration,
    errors: VecDeque<String>,
    task: JoinHandle<()>,
}

/// A worker that a phase has left unfinished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Straggler {
    pub(crate) worker: Worker,
    pub(crate) process: u64,
    pub(crate) node: String,
    /// Its last errors, oldest first.
    pub(crate) errors: Vec<String>,
}

/// See the module's text.
pub(crate) struct Interpreter {
    journal: Journal,
    slots: Vec<Slot>,
    completions: mpsc::UnboundedReceiver<Completion>,
    rows: mpsc::UnboundedReceiver<NemesisRow>,
    progress: Progress,
    turn: usize,
}

impl Interpreter {
    /// Starts `concurrency` workers, the i-th bound to target i modulo their number.
    pub(crate) fn new(
        journal: Journal,
        targets: &[Target],
        concurrency: usize,
        connect: &Arc<dyn Connect>,
        rows: mpsc::UnboundedReceiver<NemesisRow>,
        progress: Progress,
    ) -> Interpreter {
        let (sender, completions) = mpsc::unbounded_channel();
        let slots = (0..concurrency)
            .map(|i| {
                let target = targets[i % targets.len()].clone();
                let node = target.node.clone();
                let (calls, inbox) = mpsc::channel(1);
                let task = tokio::spawn(work(Worker(i), target, Arc::clone(connect), inbox, sender.clone()));
                Slot {
                    state: State::Free(Duration::ZERO),
                    process: i as u64,
                    node,
                    calls,
                    current: None,
                    rest: REST.0,
                    errors: VecDeque::new(),
                    task,
                }
            })
            .collect();
        Interpreter { journal, slots, completions, rows, progress, turn: 0 }
    }

    /// Time since the start of the run.
    pub(crate) fn now(&self) -> Duration {
        self.journal.now()
    }

    /// Runs one generator until it has nothing more for anybody, `limit` has passed, or the run is stopped. Calls
    /// still on their way at the end are awaited. Answers who was not done.
    ///
    /// # Errors
    /// The harness failed: the history cannot be written, or a worker is gone.
    pub(crate) async fn phase(
        &mut self,
        generator: &mut dyn Generator<Invocation>,
        limit: Duration,
        stop: &mut Stop,
    ) -> Result<Vec<Straggler>> {
        let end = self.now() + limit;
        for slot in &mut self.slots {
            if slot.state == State::Done {
                slot.state = State::Free(Duration::ZERO);
            }
        }
        loop {
            if stop.requested() || self.now() >= end {
                break;
            }
            let wake = self.dispatch(generator, end).await?;
            if self.slots.iter().all(|slot| slot.state == State::Done) {
                break;
            }
            let wake = self.journal.moment(wake.min(self.now() + WATCH));
            tokio::select! {
                () = stop.wait() => {}
                completion = self.completions.recv() => self.complete(completion, generator)?,
                Some(row) = self.rows.recv() => self.nemesis(row, Some(&mut *generator))?,
                () = sleep_until(wake) => self.check_workers()?,
            }
            self.progress.tick(self.journal.now());
        }
        let stragglers = self.stragglers();
        while self.slots.iter().any(|slot| slot.state == State::Busy) {
            tokio::select! {
                completion = self.completions.recv() => self.complete(completion, generator)?,
                Some(row) = self.rows.recv() => self.nemesis(row, Some(&mut *generator))?,
                () = sleep(WATCH) => self.check_workers()?,
            }
        }
        Ok(stragglers)
    }

    /// Writes what the nemesis says until its task, the only one of `tasks`, has ended, and answers what it answers.
    ///
    /// # Errors
    /// The history cannot be written, or the task panicked.
    pub(crate) async fn listen<T: 'static>(&mut self, tasks: &mut JoinSet<T>) -> Result<T> {
        let ended = loop {
            tokio::select! {
                biased;
                Some(row) = self.rows.recv() => self.nemesis(row, None)?,
                ended = tasks.join_next() => break ended,
            }
        };
        while let Ok(row) = self.rows.try_recv() {
            self.nemesis(row, None)?;
        }
        let ended = ended.ok_or_else(|| anyhow!("there is no nemesis task, which is a defect of the harness"))?;
        ended.map_err(|error| anyhow!("the nemesis task panicked, which is a defect of the harness: {error}"))
    }

    /// Lets every client say goodbye and hands the history out.
    ///
    /// # Errors
    /// A worker panicked.
    pub(crate) async fn finish(mut self) -> Result<History> {
        let tasks: Vec<JoinHandle<()>> = self
            .slots
            .drain(..)
            .map(|slot| {
                drop(slot.calls);
                slot.task
            })
            .collect();
        for task in tasks {
            task.await.map_err(|error| anyhow!("a worker panicked, which is a defect of its client: {error}"))?;
        }
        Ok(self.journal.into_history())
    }

    /// Asks the generator for every free worker until nobody gets work; answers when to ask again at the latest.
    async fn dispatch(&mut self, generator: &mut dyn Generator<Invocation>, end: Duration) -> Result<Duration> {
        let mut batch: Vec<usize> = Vec::new();
        let wake = loop {
            let mut wake = end;
            let before = batch.len();
            // Each round begins with another worker, so that a scarce operation does not always go to the first.
            self.turn = (self.turn + 1) % self.slots.len();
            for i in 0..self.slots.len() {
                let i = (self.turn + i) % self.slots.len();
                let now = self.journal.now();
                match self.slots[i].state {
                    State::Free(from) if from <= now => {}
                    State::Free(from) => {
                        wake = wake.min(from);
                        continue;
                    }
                    State::Busy | State::Done => continue,
                }
                match generator.next(now, Worker(i)) {
                    Next::Op(invocation) => {
                        self.invoke(i, invocation, generator)?;
                        batch.push(i);
                    }
                    Next::At(time) => wake = wake.min(time.max(now + STEP)),
                    Next::Wait => {}
                    Next::Done => self.slots[i].state = State::Done,
                }
            }
            if batch.len() == before {
                break wake;
            }
        };
        // Written before sent: all of these rows have reached the operating system.
        for i in batch {
            let slot = &self.slots[i];
            let invocation = slot.current.clone().expect("a dispatched worker has a call");
            if slot.calls.send(invocation).await.is_err() {
                self.check_workers()?;
            }
        }
        Ok(wake)
    }

    fn invoke(&mut self, i: usize, invocation: Invocation, generator: &mut dyn Generator<Invocation>) -> Result<()> {
        let slot = &mut self.slots[i];
        let event = self.journal.append(Entry {
            process: Process::Client(slot.process),
            kind: Kind::Invoke,
            f: invocation.f.to_owned(),
            key: invocation.key.clone(),
            value: invocation.value.clone(),
            node: Some(slot.node.clone()),
            error: None,
            version: None,
        })?;
        generator.update(Duration::from_nanos(event.time), Some(Worker(i)), event);
        slot.state = State::Busy;
        slot.current = Some(invocation);
        Ok(())
    }

    fn complete(&mut self, completion: Option<Completion>, generator: &mut dyn Generator<Invocation>) -> Result<()> {
        let Completion { worker, outcome, reached } =
            completion.ok_or_else(|| anyhow!("all workers are gone, which is a defect of the harness"))?;
        let concurrency = self.slots.len() as u64;
        let slot = &mut self.slots[worker.0];
        let invocation = slot.current.take().expect("only a call that was made completes");
        let process = Process::Client(slot.process);
        let (kind, value, error, version) = match outcome {
            Outcome::Ok { value, version } => (Kind::Ok, value, None, version),
            Outcome::Fail { error } => (Kind::Fail, invocation.value, Some(error), None),
            Outcome::Info { error } => {
                slot.process += concurrency;
                (Kind::Info, invocation.value, Some(error), None)
            }
        };
        if let Some(error) = &error {
            if slot.errors.len() == ERRORS {
                slot.errors.pop_front();
            }
            slot.errors.push_back(format!("{} {error}", invocation.f));
        }
        slot.state = State::Free(Duration::ZERO);
        if reached {
            slot.rest = REST.0;
        } else {
            slot.state = State::Free(self.journal.now() + slot.rest);
            slot.rest = (slot.rest * 2).min(REST.1);
        }
        self.progress.count(kind);
        let event = self.journal.append(Entry {
            process,
            kind,
            f: invocation.f.to_owned(),
            key: invocation.key,
            value,
            node: Some(slot.node.clone()),
            error,
            version,
        })?;
        generator.update(Duration::from_nanos(event.time), Some(worker), event);
        Ok(())
    }

    fn check_workers(&self) -> Result<()> {
        match self.slots.iter().position(|slot| slot.task.is_finished()) {
            None => Ok(()),
            Some(i) => Err(anyhow!("worker {i} panicked, which is a defect of its client; see grudge.log")),
        }
    }

    fn nemesis(&mut self, row: NemesisRow, generator: Option<&mut dyn Generator<Invocation>>) -> Result<()> {
        self.progress.nemesis(&row);
        let event = self.journal.append(Entry {
            process: Process::Nemesis,
            kind: row.kind,
            f: row.f,
            key: None,
            value: row.value,
            node: None,
            error: row.error,
            version: None,
        })?;
        let time = Duration::from_nanos(event.time);
        if let Some(generator) = generator {
            generator.update(time, None, event);
        }
        // A nemesis that has gone away meanwhile needs no answer.
        let _ = row.written.send(time);
        Ok(())
    }

    fn stragglers(&self) -> Vec<Straggler> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.state != State::Done)
            .map(|(i, slot)| Straggler {
                worker: Worker(i),
                process: slot.process,
                node: slot.node.clone(),
                errors: slot.errors.iter().cloned().collect(),
            })
            .collect()
    }
}
