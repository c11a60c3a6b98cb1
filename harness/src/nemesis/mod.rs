//! The nemesis: breaks the cluster beside the clients, one step after the other, and writes down what it did.
//!
//! Every step is three rows of the history a fault: decided, in force (with the receipt as value), taken away. What
//! could not be put in force, or could not be shown to be, is a `fail`, and the run proves nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use async_trait::async_trait;
use clap::ValueEnum;
use grudge_checkers::history::Kind;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::cluster::{Cluster, Crash};
use crate::fault::{Active, Fault, FaultError, Receipt};
use crate::runner::interpreter::NemesisRow;
use crate::runner::stop::Stop;

mod choice;
mod plan;
mod schedule;

pub use choice::Choice;
pub(crate) use plan::Plan;
pub(crate) use schedule::Schedule;

/// The streams of the seed, one a purpose, so that more draws here never change what is drawn there.
const PLAN_STREAM: u64 = 1;
const TARGET_STREAM: u64 = 2;
/// How often the nemesis looks whether a replica has died by itself.
const WATCH: Duration = Duration::from_millis(250);

/// A kind of fault, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Some nodes no longer hear some others
    Partition,
    /// Processes stand still for a while (SIGSTOP, SIGCONT)
    Pause,
    /// Processes are killed and started again (SIGKILL)
    Kill,
}

/// What can be broken: a cluster, or its like in a test.
#[async_trait]
pub trait Breakable: Send + Sync {
    /// Puts a fault in force and measures it.
    ///
    /// # Errors
    /// It could not be put in force, or not be measured.
    async fn start(&self, fault: &Fault, rng: &mut ChaCha8Rng) -> Result<Active, FaultError>;

    /// Takes a fault away and measures that it is gone.
    ///
    /// # Errors
    /// It could not be shown to be gone.
    async fn stop(&self, active: Active) -> Result<Receipt, FaultError>;

    /// Stops whatever is still in force.
    ///
    /// # Errors
    /// Something could not be shown to be gone.
    async fn heal_all(&self) -> Result<Vec<Receipt>, FaultError>;

    /// The replicas that died of themselves so far.
    fn crashes(&self) -> Vec<Crash>;
}

#[async_trait]
impl Breakable for Cluster {
    async fn start(&self, fault: &Fault, rng: &mut ChaCha8Rng) -> Result<Active, FaultError> {
        Cluster::start(self, fault, rng).await
    }

    async fn stop(&self, active: Active) -> Result<Receipt, FaultError> {
        Cluster::stop(self, active).await
    }

    async fn heal_all(&self) -> Result<Vec<Receipt>, FaultError> {
        Cluster::heal_all(self).await
    }

    fn crashes(&self) -> Vec<Crash> {
        Cluster::crashes(self)
    }
}

/// What is left to say when the nemesis has finished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Toll {
    /// How many faults were in force, with a receipt.
    pub(crate) in_force: usize,
    /// Faults of which nobody knows what they did, in words.
    pub(crate) unproven: Vec<String>,
    /// Why the cluster may not be whole again.
    pub(crate) unhealed: Option<String>,
}

/// The nemesis of one run.
pub(crate) struct Nemesis {
    pub(crate) cluster: Arc<dyn Breakable>,
    pub(crate) plan: Plan,
    pub(crate) schedule: Schedule,
    pub(crate) seed: u64,
    /// Where its rows are written.
    pub(crate) rows: mpsc::UnboundedSender<NemesisRow>,
    /// When it stops at the latest.
    pub(crate) end: Instant,
    /// Asks it to stop earlier.
    pub(crate) stop: Stop,
}

/// A fault in force and its place in the schedule.
struct InForce {
    active: Active,
    place: usize,
}

impl Nemesis {
    /// Breaks and heals until the end, then heals everything. Ends early if a replica dies by itself: that run is
    /// decided.
    ///
    /// # Errors
    /// The harness failed: the schedule or the history cannot be written.
    pub(crate) async fn rage(mut self) -> Result<Toll> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(TARGET_STREAM);
        let mut toll = Toll::default();
        self.schedule.save()?;
        while let Some(step) = self.plan.next() {
            if !self.rest(step.gap).await {
                break;
            }
            let mut in_force = Vec::new();
            self.start(&step.first, &mut rng, &mut in_force, &mut toll).await?;
            let mut on = true;
            if let Some((delay, second)) = &step.second {
                on = self.rest(*delay).await;
                if on {
                    self.start(second, &mut rng, &mut in_force, &mut toll).await?;
                }
            }
            if on && !in_force.is_empty() {
                self.rest(step.hold).await;
            }
            for fault in in_force.into_iter().rev() {
                self.stop(fault, &mut toll).await?;
            }
        }
        while self.rest(Duration::MAX).await {}
        if let Err(error) = self.cluster.heal_all().await {
            toll.unhealed = Some(error.to_string());
        }
        Ok(toll)
    }

    /// Waits that long; answers whether the run goes on.
    async fn rest(&mut self, time: Duration) -> bool {
        let now = Instant::now();
        let until = now.checked_add(time).map_or(self.end, |until| until.min(self.end));
        loop {
            let now = Instant::now();
            if now >= self.end || self.stop.requested() || !self.cluster.crashes().is_empty() {
                return false;
            }
            if now >= until {
                return true;
            }
            tokio::select! {
                () = sleep_until(until.min(now + WATCH)) => {}
                () = self.stop.wait() => {}
            }
        }
    }

    async fn start(
        &mut self,
        fault: &Fault,
        rng: &mut ChaCha8Rng,
        in_force: &mut Vec<InForce>,
        toll: &mut Toll,
    ) -> Result<()> {
        let f = format!("start-{}", fault.kind());
        let decided = self.write(Kind::Invoke, &f, Value::String(fault.to_string()), None).await?;
        let place = self.schedule.decided(decided, fault);
        match self.cluster.start(fault, rng).await {
            Ok(active) => {
                tracing::info!("{fault}: in force");
                toll.in_force += 1;
                self.write(Kind::Ok, &f, value(&active.receipt)?, None).await?;
                self.schedule.in_force(place, &active.fault)?;
                in_force.push(InForce { active, place });
            }
            Err(error) => {
                tracing::info!("{fault}: {error}");
                if !matches!(error, FaultError::Inapplicable(_)) {
                    toll.unproven.push(error.to_string());
                }
                self.schedule.refused(place, &error.to_string())?;
                self.write(Kind::Fail, &f, Value::Null, Some(error.to_string())).await?;
            }
        }
        Ok(())
    }

    async fn stop(&mut self, fault: InForce, toll: &mut Toll) -> Result<()> {
        let InForce { active, place } = fault;
        let f = format!("stop-{}", active.fault.kind());
        self.write(Kind::Invoke, &f, Value::String(active.fault.to_string()), None).await?;
        let stopped = match self.cluster.stop(active).await {
            Ok(receipt) => self.write(Kind::Ok, &f, value(&receipt)?, None).await?,
            Err(error) => {
                tracing::warn!("{f}: {error}");
                toll.unproven.push(error.to_string());
                self.write(Kind::Fail, &f, Value::Null, Some(error.to_string())).await?
            }
        };
        self.schedule.stopped(place, stopped)
    }

    /// Has a row written; answers its time.
    async fn write(&self, kind: Kind, f: &str, value: Value, error: Option<String>) -> Result<Duration> {
        let (written, time) = oneshot::channel();
        let gone = || anyhow!("the history's writer is gone");
        self.rows.send(NemesisRow { kind, f: f.to_owned(), value, error, written }).map_err(|_| gone())?;
        time.await.map_err(|_| gone())
    }
}

fn value(receipt: &Receipt) -> Result<Value> {
    Ok(serde_json::to_value(receipt)?)
}
