//! A worker's seat: the process that makes its calls, whoever that is at the moment.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use grudge_workloads::client::{Client, Connect, Role, Target};
use grudge_workloads::generator::Worker;
use grudge_workloads::holders::Holders;
use grudge_workloads::operation::{Invocation, Outcome};
use tokio::sync::watch;

use super::lines::{Answer, Request, Start};
use super::process::{Broken, Line, Process};

/// What all clients of a run have in common.
pub struct Staff {
    /// Their program and its arguments.
    pub command: Vec<String>,
    /// What they are told to do.
    pub workload: String,
    /// The folder of what they write on standard error.
    pub logs: PathBuf,
    /// How the harness itself asks a node for its role.
    pub asks: Arc<dyn Connect>,
}

/// What a fault does to the client of a seat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    #[default]
    Free,
    /// It stands still: no time passes for it, and none for who waits for it.
    Paused,
    /// It is dead, and nobody takes its place.
    Dead,
}

/// One worker's seat. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Seat(Arc<Inner>);

struct Inner {
    worker: usize,
    staff: Arc<Staff>,
    holders: Arc<Mutex<Holders>>,
    fate: watch::Sender<Fate>,
    /// Who sits there, or sat there last.
    process: Mutex<Option<Arc<Process>>>,
    /// The way to that process, while nobody speaks to it.
    line: Mutex<Option<Line>>,
    /// Whom a client of this seat works for, once somebody has.
    target: Mutex<Option<Target>>,
}

/// A session of the seat's present process.
struct Session {
    seat: Seat,
    process: Arc<Process>,
    over: bool,
}

impl Seat {
    pub(super) fn new(worker: usize, staff: Arc<Staff>, holders: Arc<Mutex<Holders>>) -> Seat {
        Seat(Arc::new(Inner {
            worker,
            staff,
            holders,
            fate: watch::Sender::default(),
            process: Mutex::default(),
            line: Mutex::default(),
            target: Mutex::default(),
        }))
    }

    /// What happens to its client.
    pub(crate) fn fate(&self) -> watch::Receiver<Fate> {
        self.0.fate.subscribe()
    }

    /// The process that sits there, if it lives.
    pub(crate) fn process(&self) -> Option<Arc<Process>> {
        lock(&self.0.process).clone().filter(|process| process.ended().is_none())
    }

    /// Whether a client lives there and no fault is on it.
    pub(crate) fn is_free(&self) -> bool {
        self.process().is_some() && *self.0.fate.borrow() == Fate::Free
    }

    /// Decides what happens to its client from now on; answers the client, if it lives. Nobody sits down in between.
    pub(crate) fn doom(&self, fate: Fate) -> Option<Arc<Process>> {
        let process = lock(&self.0.process);
        self.0.fate.send_replace(fate);
        process.clone().filter(|process| process.ended().is_none())
    }

    /// Lets the first process take the seat.
    pub(super) async fn fill(&self, target: &Target) -> Result<(), String> {
        *lock(&self.0.target) = Some(target.clone());
        self.refill().await.map(drop)
    }

    /// Lets a new process take the seat before anybody needs it, and answers it once it has said that it is there.
    pub(crate) async fn refill(&self) -> Result<Arc<Process>, String> {
        let target = lock(&self.0.target).clone().ok_or("nobody has worked there yet")?;
        let line = self.hire(&mut lock(&self.0.process))?;
        let line = self.instruct(line, &target).await?;
        let process = Arc::clone(&line.process);
        self.park(line);
        Ok(process)
    }

    /// The way to a process that lives: the present one's, or that of a new one, which has been told where to work.
    async fn take(&self, target: &Target) -> Result<Line, String> {
        *lock(&self.0.target) = Some(target.clone());
        let parked = lock(&self.0.line).take();
        if let Some(line) = parked.filter(|line| line.process.ended().is_none()) {
            return Ok(line);
        }
        let line = {
            let mut process = lock(&self.0.process);
            if *self.0.fate.borrow() == Fate::Dead {
                return Err("client-dead".to_owned());
            }
            self.hire(&mut process)?
        };
        self.instruct(line, target).await
    }

    /// Tells a new process where to work.
    async fn instruct(&self, mut line: Line, target: &Target) -> Result<Line, String> {
        let start = Request::Start(Start::new(self.0.worker, &self.0.staff.workload, target));
        match line.ask(&start).await {
            Ok(Answer::Ok { .. }) => Ok(line),
            Ok(Answer::Fail { error, .. } | Answer::Info { error }) => Err(error),
            Err(broken) => Err(self.warn(&broken)),
        }
    }

    fn hire(&self, process: &mut Option<Arc<Process>>) -> Result<Line, String> {
        let Staff { command, logs, .. } = &*self.0.staff;
        let log = logs.join(format!("{}.log", self.0.worker));
        let line = Line::hire(command, &log).map_err(|error: io::Error| {
            tracing::warn!("client {} cannot be started as `{}`: {error}", self.0.worker, command.join(" "));
            "client-missing".to_owned()
        })?;
        *process = Some(Arc::clone(&line.process));
        Ok(line)
    }

    fn park(&self, line: Line) {
        *lock(&self.0.line) = Some(line);
    }

    /// Tells the people what the history has a short word for.
    fn warn(&self, broken: &Broken) -> String {
        if *self.0.fate.borrow() != Fate::Dead {
            tracing::warn!("client {}: {broken}", self.0.worker);
        }
        broken.token().to_owned()
    }
}

#[async_trait]
impl Connect for Seat {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Client>, String> {
        let mut line = self.take(target).await?;
        let opened = line.ask(&Request::Open).await.map_err(|broken| self.warn(&broken))?;
        let process = Arc::clone(&line.process);
        self.park(line);
        match opened {
            Answer::Ok { .. } => Ok(Box::new(Session { seat: self.clone(), process, over: false })),
            Answer::Fail { error, .. } | Answer::Info { error } => Err(error),
        }
    }

    async fn role(&self, target: &Target) -> Result<Role, String> {
        self.0.staff.asks.role(target).await
    }
}

impl Session {
    /// Notes what this worker's calls say of who holds locks.
    fn note(&self, what: impl FnOnce(&mut Holders, Worker)) {
        what(&mut lock(&self.seat.0.holders), Worker(self.seat.0.worker));
    }

    fn lives_in(&self, line: &Line) -> bool {
        Arc::ptr_eq(&line.process, &self.process) && self.process.ended().is_none()
    }

    async fn ask(&mut self, request: &Request) -> Result<Answer, Broken> {
        // A process that has taken its place knows nothing of this session.
        let mut line = lock(&self.seat.0.line).take_if(|line| self.lives_in(line)).ok_or(Broken::Gone)?;
        let answer = line.ask(request).await?;
        self.seat.park(line);
        Ok(answer)
    }
}

#[async_trait]
impl Client for Session {
    async fn invoke(&mut self, invocation: &Invocation) -> Outcome {
        let Invocation { f, key, value } = invocation.clone();
        self.note(|holders, worker| holders.called(worker, invocation));
        let (outcome, over) = match self.ask(&Request::Invoke { f: f.to_owned(), key, value }).await {
            Ok(answer) => answer.outcome_of(invocation),
            Err(broken) => {
                self.seat.warn(&broken);
                (broken.outcome(), true)
            }
        };
        self.note(|holders, worker| holders.ended(worker, invocation, &outcome));
        self.over = over;
        outcome
    }

    fn alive(&self) -> bool {
        !self.over && self.process.ended().is_none()
    }

    async fn close(&mut self) {
        self.over = true;
        if let Err(broken) = self.ask(&Request::Close).await {
            self.seat.warn(&broken);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.note(Holders::gone);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
