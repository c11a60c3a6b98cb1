//! A workload: what clients do, how, and what is promised of it.

use std::sync::Arc;
use std::time::Duration;

use grudge_checkers::history::History;
use grudge_checkers::judgement::Checking;
use grudge_checkers::verdict::Verdict;

use crate::client::Connect;
use crate::generator::Generator;
use crate::operation::Invocation;

/// What a person can choose of a workload.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything that is drawn is drawn from this.
    pub seed: u64,
    /// How many workers there will be.
    pub workers: usize,
    /// How many objects (locks, registers or sets open at a time, leases of a worker) there are; none for the workload's
    /// own choice.
    pub keys: Option<usize>,
    /// Operations a second over all workers; none for as fast as they come.
    pub rate: Option<f64>,
    /// How long the main phase lasts.
    pub time: Duration,
}

/// One promise and whether it was kept.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The checker's name, with its model: `linearizable cas-register`.
    pub checker: String,
    /// What it says.
    pub verdict: Verdict,
    /// A finding is reported beside the verdict and does not count into it.
    pub finding: bool,
}

/// A promise that is watched while the system runs.
pub struct Watched {
    /// The checker's name, as in [`Judgement`].
    pub checker: String,
    /// Answers at the event that breaks the promise.
    pub check: Box<dyn Checking>,
}

/// A workload, ready to run against one kind of client protocol.
pub struct Workload {
    /// Its name on the command line.
    pub name: &'static str,
    /// How to reach a node.
    pub connect: Arc<dyn Connect>,
    /// The main phase.
    pub main: Box<dyn Generator<Invocation>>,
    /// The liveness phase, after everything was healed: the same operations until each worker has succeeded once;
    /// it answers [`crate::generator::Next::Done`] to a worker that has.
    pub liveness: Box<dyn Generator<Invocation>>,
    /// Judges the whole history.
    pub judge: fn(&History) -> Vec<Judgement>,
    /// Of the promises that are judged, those that can be watched.
    pub watch: fn() -> Vec<Watched>,
}
