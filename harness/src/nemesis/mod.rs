//! The nemesis: breaks the cluster beside the clients, and writes down what it did.
//!
//! What it does and when is the [`Agenda`]'s to say, which follows a [`Plan`] drawn from the seed, or a script. Here
//! is its driver for real processes. Every fault is three rows of the history: decided, in force (with the receipt as
//! value), taken away. What could not be put in force, or could not be shown to be, is a `fail`, and in the latter
//! case the run proves nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use grudge_checkers::history::Kind;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::fault::{Active, Fault, FaultError, Process, Receipt};
use crate::runner::interpreter::NemesisRow;
use crate::runner::stop::Stop;
use crate::spec::kebab;

pub mod agenda;
mod breakable;
mod choice;
mod plan;
pub mod schedule;
pub mod script;
pub mod sign;

pub use agenda::{Action, Agenda, Do, Landmarks, StepId, Wait};
pub use breakable::Breakable;
pub use choice::{Choice, Menu};
pub use plan::Leaders;
pub(crate) use plan::Plan;
pub use schedule::Schedule;
pub use script::{Step, Trap, Trigger};
pub use sign::Sign;

/// The streams of the seed, one a purpose, so that more draws here never change what is drawn there.
const PLAN_STREAM: u64 = 1;
const TARGET_STREAM: u64 = 2;
/// How often the nemesis looks whether a replica has died by itself.
const WATCH: Duration = Duration::from_millis(250);

/// From which it is drawn whom a fault means.
pub(crate) fn target_rng(seed: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(TARGET_STREAM);
    rng
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
    pub(crate) agenda: Agenda,
    /// Where the schedule is kept.
    pub(crate) schedule: PathBuf,
    pub(crate) seed: u64,
    /// Where its rows are written.
    pub(crate) rows: mpsc::UnboundedSender<NemesisRow>,
    /// How many operations were acknowledged so far.
    pub(crate) acknowledged: watch::Receiver<u64>,
    /// When the run began.
    pub(crate) start: Instant,
    /// When it stops at the latest.
    pub(crate) end: Instant,
    /// Asks it to stop earlier.
    pub(crate) stop: Stop,
}

/// What it has on its hands.
struct Hands {
    rng: ChaCha8Rng,
    in_force: BTreeMap<StepId, Active>,
    armed: Option<(StepId, Trap)>,
    /// Signs that are looked for; answered with the node at which they were seen.
    looking: FuturesUnordered<BoxFuture<'static, (StepId, String)>>,
    /// Who was caught, and where.
    caught: Option<(Process, Trap)>,
    /// How often a node began to lead.
    leaders: watch::Receiver<u64>,
    toll: Toll,
}

impl Nemesis {
    /// Breaks and heals until the end, then heals everything. Ends early if a replica dies by itself: that run is
    /// decided.
    ///
    /// # Errors
    /// The harness failed: the schedule or the history cannot be written.
    pub(crate) async fn rage(mut self) -> Result<Toll> {
        let mut hands = Hands {
            rng: target_rng(self.seed),
            in_force: BTreeMap::new(),
            armed: None,
            looking: FuturesUnordered::new(),
            caught: None,
            leaders: self.cluster.leaders(),
            toll: Toll::default(),
        };
        self.save()?;
        loop {
            let ending = Instant::now() >= self.end || self.stop.requested() || !self.cluster.crashes().is_empty();
            if ending {
                self.agenda.end();
            }
            let landmarks =
                Landmarks { leaders: *hands.leaders.borrow_and_update(), acknowledged: *self.acknowledged.borrow() };
            match self.agenda.next(self.start.elapsed(), &landmarks) {
                Do::Act(action) => self.act(action, &mut hands).await?,
                Do::Wait(wait) => self.wait(wait, &mut hands).await,
                Do::Done if ending => break,
                Do::Done => self.wait(Wait::default(), &mut hands).await,
            }
        }
        if let Err(error) = self.cluster.heal_all().await {
            hands.toll.unhealed = Some(error.to_string());
        }
        Ok(hands.toll)
    }

    async fn act(&mut self, action: Action, hands: &mut Hands) -> Result<()> {
        match action {
            Action::Arm { step, trap } => match self.cluster.arm(&trap).await {
                Ok(()) => hands.armed = Some((step, trap)),
                // The trap that is not set catches nobody, and is given up in its time.
                Err(error) => tracing::warn!("{error}"),
            },
            Action::Look { step, sign } => {
                let sight = self.cluster.sight(&sign);
                hands.looking.push(sight.map(move |node| (step, node)).boxed());
            }
            Action::Start { step, fault, held } => {
                let caught = hands.caught.take().filter(|_| held.is_some());
                self.start(step, &fault, caught, hands).await?;
                if held.is_some() {
                    self.release(hands).await;
                }
            }
            Action::Stop { step } => self.stop(step, hands).await?,
            Action::GiveUp { fault, armed, why } => {
                if armed {
                    self.release(hands).await;
                }
                tracing::info!("{fault}: {why}");
                let f = format!("start-{}", fault.kind());
                self.write(Kind::Invoke, &f, Value::String(fault.to_string()), None).await?;
                self.write(Kind::Fail, &f, Value::Null, Some(why)).await?;
                self.save()?;
            }
        }
        Ok(())
    }

    /// Takes the trap away; whoever was caught goes on.
    async fn release(&self, hands: &mut Hands) {
        (hands.armed, hands.caught) = (None, None);
        if let Err(error) = self.cluster.disarm().await {
            tracing::warn!("{error}");
            hands.toll.unproven.push(error.to_string());
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self, wait: Wait, hands: &mut Hands) {
        let until = wait.until.and_then(|until| self.start.checked_add(until));
        let until = until.unwrap_or(self.end).min(self.end).min(Instant::now() + WATCH);
        let target = wait.acknowledged.unwrap_or(u64::MAX);
        tokio::select! {
            () = sleep_until(until) => {}
            () = self.stop.wait() => {}
            Ok(_) = self.acknowledged.wait_for(|count| *count >= target) => {}
            Ok(()) = hands.leaders.changed() => {}
            Some((step, node)) = hands.looking.next() => {
                tracing::info!("{node} gives the sign that was waited for");
                self.agenda.reached(step, &node);
            }
            process = self.cluster.caught(), if hands.caught.is_none() => {
                if let Some((step, trap)) = hands.armed.take() {
                    tracing::info!("{} halted at {}", process.node, kebab(&trap.point));
                    self.agenda.reached(step, &process.node);
                    hands.caught = Some((process, trap));
                }
            }
        }
    }

    async fn start(
        &mut self,
        step: StepId,
        fault: &Fault,
        caught: Option<(Process, Trap)>,
        hands: &mut Hands,
    ) -> Result<()> {
        let f = format!("start-{}", fault.kind());
        self.write(Kind::Invoke, &f, Value::String(fault.to_string()), None).await?;
        match self.cluster.start(fault, &mut hands.rng).await {
            Ok(active) => {
                tracing::info!("{fault}: in force");
                hands.toll.in_force += 1;
                let time = self.write(Kind::Ok, &f, receipt(&active.receipt, caught)?, None).await?;
                self.agenda.started(step, time, Ok(&active.fault));
                hands.in_force.insert(step, active);
            }
            Err(error) => {
                tracing::info!("{fault}: {error}");
                if !matches!(error, FaultError::Inapplicable(_)) {
                    hands.toll.unproven.push(error.to_string());
                }
                let time = self.write(Kind::Fail, &f, Value::Null, Some(error.to_string())).await?;
                self.agenda.started(step, time, Err(&error.to_string()));
            }
        }
        self.save()
    }

    async fn stop(&mut self, step: StepId, hands: &mut Hands) -> Result<()> {
        let active = hands.in_force.remove(&step).expect("the agenda stops only what it was told is in force");
        let f = format!("stop-{}", active.fault.kind());
        self.write(Kind::Invoke, &f, Value::String(active.fault.to_string()), None).await?;
        let stopped = match self.cluster.stop(active).await {
            Ok(gone) => self.write(Kind::Ok, &f, receipt(&gone, None)?, None).await?,
            Err(error) => {
                tracing::warn!("{f}: {error}");
                hands.toll.unproven.push(error.to_string());
                self.write(Kind::Fail, &f, Value::Null, Some(error.to_string())).await?
            }
        };
        self.agenda.stopped(step, stopped);
        self.save()
    }

    fn save(&self) -> Result<()> {
        self.agenda.schedule().save(&self.schedule)
    }

    /// Has a row written; answers its time.
    async fn write(&self, kind: Kind, f: &str, value: Value, error: Option<String>) -> Result<Duration> {
        let (written, time) = oneshot::channel();
        let gone = || anyhow!("the history's writer is gone");
        self.rows.send(NemesisRow { kind, f: f.to_owned(), value, error, written }).map_err(|_| gone())?;
        time.await.map_err(|_| gone())
    }
}

/// A receipt as the value of its row, with the process that was held at a point when the fault came into force.
fn receipt(receipt: &Receipt, caught: Option<(Process, Trap)>) -> Result<Value> {
    let mut value = serde_json::to_value(receipt)?;
    if let Some((process, trap)) = caught {
        value["held"] = serde_json::json!({ "process": process, "point": trap.point });
    }
    Ok(value)
}
