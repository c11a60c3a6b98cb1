//! Runs in simulated time: the same replicas, faults, workloads and checkers as on real processes, some thousand
//! times faster, and exactly repeatable.
//!
//! # What it promises
//!
//! A run is a function of its [`Spec`]: same spec, same history, byte for byte, on any machine. Time, delays, what a
//! crash leaves on a disk, timeouts and faults come from the spec's seed; nothing asks a clock of this machine, and
//! nothing depends on the order of a hash map or on other threads.
//!
//! # How
//!
//! Three parts that know no I/O meet here: the replicas in a [`World`](grudge_nodes::sim::World), the runner's
//! [core](crate::runner), and the nemesis's [`Agenda`](crate::nemesis::Agenda). Between them are simulated clients
//! ([`client`]). The [`stage`] lets them act in turn and moves the time. A run has the phases of a real one: clients
//! and faults; everything healed; everybody must succeed again; judgement.
//!
//! # What is left out
//!
//! The network between clients and nodes: their connections take time, but lose nothing and are never cut, as on real
//! processes. Receipts are not measured: the simulator does what it says.

mod client;
mod contain;
mod digest;
mod judge;
mod ledger;
mod protocol;
mod siege;
mod stage;
mod workers;

use std::time::{Duration, Instant};

use grudge_checkers::history::{History, Kind, Process, csv};
use grudge_checkers::verdict::Verdict;
use grudge_nodes::command::Protocol as Replicas;
use grudge_nodes::sim::Violation;
use grudge_nodes::{kv, znode};
use grudge_workloads::workload::Judgement;
use tracing::Level;
use tracing::subscriber::{NoSubscriber, with_default};

pub(crate) use contain::panic_is_contained;

use crate::exit::Failure;
use crate::nemesis::Schedule;
use crate::report::{Judged, overall};
use crate::spec::Spec;

/// What came of a simulated run.
#[derive(Debug)]
pub struct Simulated {
    /// Everything that clients and nemesis did.
    pub history: History,
    /// Every promise, the workload's and the harness's own.
    pub judgements: Vec<Judgement>,
    /// What the nemesis did, to be played again.
    pub schedule: Schedule,
    /// Invariants over the replicas that were broken.
    pub violations: Vec<Violation>,
    /// How much time passed in the world.
    pub simulated: Duration,
    /// How long that took here, judgement included.
    pub wall: Duration,
}

impl Simulated {
    /// The worst of what counts.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let judged: Vec<Judged> = self.judgements.iter().cloned().map(Judged::from).collect();
        overall(&judged)
    }

    /// How many calls clients made.
    #[must_use]
    pub fn operations(&self) -> u64 {
        let calls =
            |event: &&grudge_checkers::history::Event| event.kind == Kind::Invoke && event.process != Process::Nemesis;
        self.history.events.iter().filter(calls).count() as u64
    }

    /// The history as the file that a run keeps.
    ///
    /// # Errors
    /// None that a run can cause.
    pub fn csv(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        csv::write(&mut bytes, &self.history)?;
        Ok(bytes)
    }

    /// A digest of the history and the schedule: two runs with the same one are the same run.
    ///
    /// # Errors
    /// None that a run can cause.
    pub fn digest(&self) -> anyhow::Result<u32> {
        digest::of(&self.history, &self.schedule)
    }
}

/// Runs a test in simulated time.
///
/// # Errors
/// The test makes no sense in simulation, or the harness failed.
pub fn run(spec: &Spec) -> Result<Simulated, Failure> {
    let begun = Instant::now();
    let node = protocol::node(spec)?;
    let play = || match node.protocol {
        Replicas::Raft => stage::play::<kv::Replica>(spec, &node),
        Replicas::Zab => stage::play::<znode::Replica>(spec, &node),
    };
    // What replicas warn of is a consequence of what is done to them.
    let mut simulated = match tracing::enabled!(target: "grudge_nodes", Level::INFO) {
        true => play()?,
        false => with_default(NoSubscriber::new(), play)?,
    };
    simulated.wall = begun.elapsed();
    Ok(simulated)
}
