//! The interpreter: asks generators, hands calls to workers, and writes everything down.
//!
//! It is one task, so generators need no locks and the history has one writer. An invocation is written, and handed
//! to the operating system, *before* its worker is told of it; a completion is written after the worker reported it.
//! An operation's real interval therefore lies inside its recorded one, and an order that the history shows was real.

use std::time::Duration;

use anyhow::{Result, anyhow};
use grudge_checkers::history::Kind;
use grudge_workloads::client::Target;
use grudge_workloads::generator::{Generator, Worker};
use grudge_workloads::operation::Invocation;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::core::{Completion, Core, Record, Row, Straggler};
use super::journal::Journal;
use super::progress::Progress;
use super::stop::{Stop, Stopper};
use super::watchdog::{Caught, Watchdog};
use super::worker::work;
use crate::client::Clients;

/// How often the interpreter looks whether its workers are still there.
const WATCH: Duration = Duration::from_secs(1);
/// How long calls are awaited that are still on their way when a run is cut short.
const LAST_CALLS: Duration = Duration::from_millis(500);

/// A row that the nemesis wants written, and whom to tell once it is.
pub(crate) struct NemesisRow {
    pub(crate) kind: Kind,
    pub(crate) f: String,
    pub(crate) value: Value,
    pub(crate) error: Option<String>,
    pub(crate) written: oneshot::Sender<Duration>,
}

/// A worker's task and how it is told of calls.
struct Hand {
    calls: mpsc::Sender<Invocation>,
    task: JoinHandle<()>,
}

/// See the module's text.
pub(crate) struct Interpreter {
    core: Core<Journal>,
    hands: Vec<Hand>,
    completions: mpsc::UnboundedReceiver<Completion>,
    rows: mpsc::UnboundedReceiver<NemesisRow>,
    progress: Progress,
    /// Asked when the run is cut short.
    cutter: Stopper,
}

impl Interpreter {
    /// Starts `concurrency` workers, the i-th bound to target i modulo their number.
    pub(crate) fn new(
        journal: Journal,
        (watchdog, cutter): (Watchdog, Stopper),
        targets: &[Target],
        concurrency: usize,
        clients: &Clients,
        rows: mpsc::UnboundedReceiver<NemesisRow>,
        progress: Progress,
    ) -> Interpreter {
        let (sender, completions) = mpsc::unbounded_channel();
        let nodes: Vec<String> = targets.iter().map(|target| target.node.clone()).collect();
        let hands = (0..concurrency)
            .map(|i| {
                let target = targets[i % targets.len()].clone();
                let (calls, inbox) = mpsc::channel(1);
                let task = tokio::spawn(work(Worker(i), target, clients.of(i), inbox, sender.clone()));
                Hand { calls, task }
            })
            .collect();
        let core = Core::new(journal, watchdog, &nodes, concurrency);
        Interpreter { core, hands, completions, rows, progress, cutter }
    }

    /// Time since the start of the run.
    pub(crate) fn now(&self) -> Duration {
        self.core.journal().now()
    }

    /// What cut the run short, if anything did.
    pub(crate) fn caught(&self) -> Option<&Caught> {
        self.core.caught()
    }

    /// Runs one generator until it has nothing more for anybody, `limit` has passed, the run is stopped, or a promise is
    /// seen to be broken. Calls still on their way at the end are awaited, in the last case not for long. Answers who was
    /// not done.
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
        let mut ended = Vec::new();
        self.core.begin();
        loop {
            if self.caught().is_some() {
                self.cutter.stop();
                break;
            }
            if stop.requested() || self.now() >= end {
                break;
            }
            let wake = self.dispatch(generator, end).await?;
            if self.core.finished() {
                break;
            }
            let wake = self.core.journal().moment(wake.min(self.now() + WATCH));
            tokio::select! {
                () = stop.wait() => {}
                _ = self.completions.recv_many(&mut ended, self.hands.len()) => self.complete(&mut ended, generator)?,
                Some(row) = self.rows.recv() => self.nemesis(row, Some(&mut *generator))?,
                () = sleep_until(wake) => self.check_workers()?,
            }
            self.progress.tick(self.now());
        }
        let stragglers = self.core.stragglers();
        let end = Instant::now() + LAST_CALLS;
        while self.core.busy() {
            let cut = self.caught().is_some();
            tokio::select! {
                () = sleep_until(end), if cut => break,
                _ = self.completions.recv_many(&mut ended, self.hands.len()) => self.complete(&mut ended, generator)?,
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

    /// Lets every client say goodbye. Whoever still waits for an answer is not heard any more.
    ///
    /// # Errors
    /// A worker panicked.
    pub(crate) async fn finish(mut self) -> Result<()> {
        let abandon = self.core.busy();
        let tasks: Vec<JoinHandle<()>> = self
            .hands
            .drain(..)
            .map(|hand| {
                drop(hand.calls);
                if abandon {
                    hand.task.abort();
                }
                hand.task
            })
            .collect();
        for task in tasks {
            match task.await {
                Err(error) if error.is_panic() => {
                    return Err(anyhow!("a worker panicked, which is a defect of its client: {error}"));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Hands out work; answers when to ask again at the latest.
    async fn dispatch(&mut self, generator: &mut dyn Generator<Invocation>, end: Duration) -> Result<Duration> {
        let round = self.core.dispatch(generator, end)?;
        // Written before sent.
        self.core.journal_mut().flush()?;
        for (worker, invocation) in round.calls {
            if self.hands[worker.0].calls.send(invocation).await.is_err() {
                self.check_workers()?;
            }
        }
        Ok(round.wake)
    }

    /// Takes all calls that have ended by now: what many have in common is paid once.
    fn complete(&mut self, ended: &mut Vec<Completion>, generator: &mut dyn Generator<Invocation>) -> Result<()> {
        if ended.is_empty() {
            return Err(anyhow!("all workers are gone, which is a defect of the harness"));
        }
        for completion in ended.drain(..) {
            let kind = self.core.complete(completion, generator)?;
            self.progress.count(kind);
        }
        self.core.journal_mut().flush()
    }

    fn check_workers(&self) -> Result<()> {
        match self.hands.iter().position(|hand| hand.task.is_finished()) {
            None => Ok(()),
            Some(i) => Err(anyhow!("worker {i} panicked, which is a defect of its client; see grudge.log")),
        }
    }

    fn nemesis(&mut self, row: NemesisRow, generator: Option<&mut (dyn Generator<Invocation> + '_)>) -> Result<()> {
        self.progress.nemesis(&row);
        let NemesisRow { kind, f, value, error, written } = row;
        let time = self.core.nemesis(Row { kind, f, value, error }, generator)?;
        // Written before done.
        self.core.journal_mut().flush()?;
        // A nemesis that has gone away meanwhile needs no answer.
        let _ = written.send(time);
        Ok(())
    }
}
