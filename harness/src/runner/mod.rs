//! The runner: clients and nemesis against a cluster, then everything healed and liveness demanded, then judged.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use grudge_checkers::history::History;
use grudge_nodes::replica::NodeId;
use grudge_workloads::client::Target;
use grudge_workloads::workload::{Judgement, Workload};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Clients;
use crate::nemesis::{Agenda, Breakable, Nemesis, Toll};
use crate::store;

pub(crate) mod core;
pub(crate) mod interpreter;
mod journal;
pub(crate) mod judge;
#[cfg(test)]
mod memory;
pub(crate) mod progress;
pub mod stop;
#[cfg(test)]
mod tests;
pub(crate) mod watchdog;
mod worker;

use self::core::Straggler;
use interpreter::Interpreter;
use journal::Journal;
use progress::Progress;
use stop::{Stop, Stopper};
use watchdog::{Caught, Watchdog};

/// How much longer than the nemesis a workload's main phase may take to come to its own end: who holds a lock gives
/// it back.
pub(crate) const WIND_DOWN: Duration = Duration::from_secs(10);

/// A run: what is needed besides a cluster.
pub struct Run {
    /// What clients do.
    pub workload: Workload,
    /// Who does it.
    pub clients: Clients,
    /// One a node; worker i is bound to target i modulo their number.
    pub targets: Vec<Target>,
    /// How many workers.
    pub concurrency: usize,
    /// What is broken, and when.
    pub agenda: Agenda,
    /// From which it is drawn whom a fault means.
    pub seed: u64,
    /// How long the main phase lasts.
    pub time: Duration,
    /// How long after the final heal every worker must have succeeded again.
    pub recovery: Duration,
    /// Whether the run ends as soon as a promise is seen to be broken.
    pub fail_fast: bool,
    /// The file of the history.
    pub history: PathBuf,
    /// The file of the schedule.
    pub schedule: PathBuf,
    /// The files in which the nodes write their events down, if they are replicas of ours.
    pub events: Vec<(NodeId, PathBuf)>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// Everything that happened.
    pub history: History,
    /// Every promise, the workload's and the harness's own.
    pub judgements: Vec<Judgement>,
}

/// A run that is over and not judged yet.
pub struct Recorded {
    judge: fn(&History) -> Vec<Judgement>,
    history: PathBuf,
    events: Vec<(NodeId, PathBuf)>,
    ending: Ending,
    /// Whether anything was to be broken.
    faults: bool,
    recovery: Duration,
}

impl Recorded {
    /// Reads the history, which nobody has kept in memory, and judges it.
    ///
    /// # Errors
    /// The harness failed; nothing is said of the system.
    pub async fn judge(self) -> Result<Ran> {
        // Checkers compute; the clients' and the cluster's tasks must go on meanwhile.
        tokio::task::spawn_blocking(move || {
            let history = journal::read(&self.history)?;
            let mut judgements = (self.judge)(&history);
            judgements.extend(judge::replicas(&self.events));
            judgements.extend(judge::harness(&history, &self.ending, self.faults, self.recovery));
            Ok(Ran { history, judgements })
        })
        .await
        .context("a checker panicked, which is a defect of the checker; the history is kept")?
    }
}

/// How a run ended, before anything is judged.
pub(crate) struct Ending {
    pub(crate) toll: Toll,
    pub(crate) crashes: Vec<crate::cluster::Crash>,
    /// Who did not succeed again; none if nobody was asked to.
    pub(crate) stragglers: Option<Vec<Straggler>>,
    pub(crate) interrupted: bool,
    /// What cut it short, if anything did.
    pub(crate) caught: Option<Caught>,
}

impl Run {
    /// Runs against a cluster that serves, and judges. The cluster is whole again afterwards, or the judgements say
    /// why not.
    ///
    /// # Errors
    /// The harness failed; nothing is said of the system.
    pub async fn execute(self, cluster: Arc<dyn Breakable>, stop: Stop) -> Result<Ran> {
        self.record(&cluster, stop).await?.judge().await
    }

    /// As [`Run::execute`], without the judging: the history is in its file.
    ///
    /// # Errors
    /// The harness failed; nothing is said of the system.
    pub async fn record(mut self, cluster: &Arc<dyn Breakable>, mut stop: Stop) -> Result<Recorded> {
        let faults = !self.agenda.is_empty();
        let ending = self.drive(cluster, &mut stop).await?;
        let Run { workload, recovery, history, events, .. } = self;
        Ok(Recorded { judge: workload.judge, history, events, ending, faults, recovery })
    }

    async fn drive(&mut self, cluster: &Arc<dyn Breakable>, stop: &mut Stop) -> Result<Ending> {
        let (rows, inbox) = mpsc::unbounded_channel();
        let journal = Journal::create(&self.history)?;
        let (cutter, mut cut) = stop::pair();
        stop.forward(cutter.clone());
        let nemesis = Nemesis {
            cluster: Arc::clone(cluster),
            agenda: mem::take(&mut self.agenda),
            schedule: self.schedule.clone(),
            seed: self.seed,
            rows,
            acknowledged: journal.acknowledged(),
            start: journal.moment(Duration::ZERO),
            end: Instant::now() + self.time,
            stop: cut.clone(),
        };
        let (halt, halted) = stop::pair();
        cut.forward(halt.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(rage(nemesis, Arc::clone(cluster), halt));
        let progress = Progress::new(self.time);
        let watchdog = if self.fail_fast { Watchdog::new((self.workload.watch)()) } else { Watchdog::default() };
        let watch = (watchdog, cutter);
        let interpreter =
            Interpreter::new(journal, watch, &self.targets, self.concurrency, &self.clients, inbox, progress);
        let (history, lost) = (self.history.display().to_string(), cluster.lost());
        let ended = tokio::select! {
            ended = self.phases(interpreter, &mut tasks, cluster, halted, &mut cut) => ended,
            why = lost => Err(anyhow!("{why}; the history until then is in {history}")),
        };
        // After a failure the nemesis may wait for a history that nobody writes any more, and it holds the cluster.
        tasks.shutdown().await;
        ended
    }

    /// The main phase beside the nemesis, its end, and the liveness phase.
    async fn phases(
        &mut self,
        mut interpreter: Interpreter,
        nemesis: &mut JoinSet<Result<Toll>>,
        cluster: &Arc<dyn Breakable>,
        mut halted: Stop,
        stop: &mut Stop,
    ) -> Result<Ending> {
        interpreter.phase(&mut *self.workload.main, self.time + WIND_DOWN, &mut halted).await?;
        let toll = interpreter.listen(nemesis).await??;
        let stragglers = if stop.requested() || !cluster.crashes().is_empty() || toll.unhealed.is_some() {
            None
        } else {
            Some(interpreter.phase(&mut *self.workload.liveness, self.recovery, stop).await?)
        };
        let caught = interpreter.caught().cloned();
        let interrupted = stop.requested() && caught.is_none();
        interpreter.finish().await?;
        let crashes = cluster.crashes();
        if let Some(first) = crashes.first() {
            store::demand_room(&self.history).with_context(|| {
                format!("{} died by itself ({}), which says nothing about the system", first.node, first.status)
            })?;
        }
        let stragglers = stragglers.filter(|_| !stop.requested());
        Ok(Ending { toll, crashes, stragglers, interrupted, caught })
    }
}

/// The nemesis's life; asks the workers to stop if that ends with a replica that died by itself.
async fn rage(nemesis: Nemesis, cluster: Arc<dyn Breakable>, halt: Stopper) -> Result<Toll> {
    let toll = nemesis.rage().await;
    if toll.is_err() || !cluster.crashes().is_empty() {
        halt.stop();
    }
    toll
}
