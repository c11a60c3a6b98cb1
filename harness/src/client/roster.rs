//! The clients' processes of a run, one seat a worker.

use std::io;
use std::sync::{Arc, Mutex};

use futures::future::try_join_all;
use grudge_workloads::client::{Connect, Target};
use grudge_workloads::holders::Holders;
use tokio::sync::watch;

use super::seat::{Fate, Seat, Staff, lock};
use crate::fault::resolve::Crew;

/// See the module's text. A clone is the same one.
#[derive(Clone)]
pub struct Roster {
    seats: Arc<[Seat]>,
    holders: Arc<Mutex<Holders>>,
}

impl Roster {
    /// A seat for each of so many workers. Who has no process yet gets one once it needs it.
    ///
    /// # Errors
    /// The folder for what they write on standard error cannot be made.
    pub fn new(staff: Staff, workers: usize) -> io::Result<Roster> {
        std::fs::create_dir_all(&staff.logs)?;
        let (staff, holders) = (Arc::new(staff), Arc::<Mutex<Holders>>::default());
        let seat = |worker| Seat::new(worker, Arc::clone(&staff), Arc::clone(&holders));
        Ok(Roster { seats: (0..workers).map(seat).collect(), holders })
    }

    /// Starts a client in each seat, the i-th for target i modulo their number, so that faults find somebody from the
    /// beginning.
    ///
    /// # Errors
    /// One of them does not say that it is there: which, and a short token.
    pub async fn fill(&self, targets: &[Target]) -> Result<(), String> {
        let filled = self.seats.iter().enumerate().map(async |(worker, seat)| {
            let filled = seat.fill(&targets[worker % targets.len()]).await;
            filled.map_err(|token| format!("client {worker}: {token}"))
        });
        try_join_all(filled).await.map(drop)
    }

    /// How a worker reaches its node.
    #[must_use]
    pub fn connect(&self, worker: usize) -> Arc<dyn Connect> {
        Arc::new(self.seats[worker].clone())
    }

    /// The seat of a worker.
    pub(crate) fn seat(&self, worker: usize) -> &Seat {
        &self.seats[worker]
    }

    /// Whom a fault of clients may mean.
    pub(crate) fn crew(&self) -> Crew {
        let free = (0..self.seats.len()).filter(|worker| self.seats[*worker].is_free()).collect();
        let holders = lock(&self.holders);
        let holder = holders.fresh().or(holders.last());
        Crew { free, holder: holder.map(|worker| worker.0) }
    }

    /// Whether a client holds a lock and has done nothing with it yet.
    pub(crate) fn has_fresh_holder(&self) -> bool {
        lock(&self.holders).fresh().is_some()
    }
}

/// What a run's clients are.
#[derive(Clone)]
pub enum Clients {
    /// Tasks of the harness.
    Tasks(Arc<dyn Connect>),
    /// Processes of their own, which faults can hit.
    Processes(Roster),
}

impl Clients {
    /// How that worker reaches its node, and what faults do to its client.
    pub(crate) fn of(&self, worker: usize) -> (Arc<dyn Connect>, watch::Receiver<Fate>) {
        match self {
            Clients::Tasks(connect) => (Arc::clone(connect), watch::channel(Fate::Free).1),
            Clients::Processes(roster) => (roster.connect(worker), roster.seat(worker).fate()),
        }
    }
}
