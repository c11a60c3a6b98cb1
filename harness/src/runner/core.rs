//! The runner's logic without I/O: who is free, busy or done, under which process number, and what is written down.
//!
//! Two runners drive it: the [`interpreter`](super::interpreter) with workers that are tasks, on the wall clock, and
//! the [simulated one](crate::sim) in virtual time. So both record the same kind of history. The journal brings the
//! clock; nothing here waits.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use anyhow::Result;
use grudge_checkers::history::{Event, Kind, Process};
use grudge_workloads::generator::{Generator, Next, Worker};
use grudge_workloads::operation::{Invocation, Outcome};
use serde_json::Value;

use super::watchdog::{Caught, Watchdog};

/// How long a worker rests after its node could not be reached, doubling from the first to the second.
const REST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// A generator that names a time in the past is asked again this much later, so that it cannot spin the loop.
const STEP: Duration = Duration::from_micros(200);
/// How many of a worker's last errors are kept for the liveness verdict.
const ERRORS: usize = 3;

/// An event without its place in the history: what, but not when.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) process: Process,
    pub(crate) kind: Kind,
    pub(crate) f: String,
    pub(crate) key: Option<String>,
    pub(crate) value: Value,
    pub(crate) node: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) version: Option<i64>,
}

impl Entry {
    /// This entry at its place in the history.
    pub(crate) fn at(self, index: usize, time: Duration) -> Event {
        Event {
            index: index as u64,
            time: u64::try_from(time.as_nanos()).expect("a run is shorter than 584 years"),
            process: self.process,
            kind: self.kind,
            f: self.f,
            key: self.key,
            value: self.value,
            node: self.node,
            error: self.error,
            version: self.version,
            extra: Vec::new(),
        }
    }
}

/// Where events are written, and the clock that stamps them.
pub(crate) trait Record {
    /// Time since the start of the run.
    fn now(&self) -> Duration;

    /// Appends an event, now.
    ///
    /// # Errors
    /// The history cannot be written, which is a failure of the harness.
    fn append(&mut self, entry: Entry) -> Result<&Event>;
}

/// A row that the nemesis wants written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) f: String,
    pub(crate) value: Value,
    pub(crate) error: Option<String>,
}

/// How a worker's call ended.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) worker: Worker,
    pub(crate) outcome: Outcome,
    /// Whether the node was reached at all: if not, the worker rests a little.
    pub(crate) reached: bool,
}

/// What workers are to do now, and when to ask again at the latest if nothing happens before.
#[derive(Debug, PartialEq)]
pub(crate) struct Round {
    pub(crate) calls: Vec<(Worker, Invocation)>,
    pub(crate) wake: Duration,
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
    current: Option<Invocation>,
    rest: Duration,
    errors: VecDeque<String>,
}

/// See the module's text.
pub(crate) struct Core<J> {
    journal: J,
    watchdog: Watchdog,
    slots: Vec<Slot>,
    /// Who is neither busy nor done, so that nobody looks at all of them.
    free: BTreeSet<usize>,
    busy: usize,
    turn: usize,
    /// Nobody gets work before this time, unless something is written first.
    idle_until: Option<Duration>,
}

impl<J: Record> Core<J> {
    /// So many workers, the i-th bound to node i modulo their number.
    pub(crate) fn new(journal: J, watchdog: Watchdog, nodes: &[String], concurrency: usize) -> Core<J> {
        let slots = (0..concurrency)
            .map(|i| Slot {
                state: State::Free(Duration::ZERO),
                process: i as u64,
                node: nodes[i % nodes.len()].clone(),
                current: None,
                rest: REST.0,
                errors: VecDeque::new(),
            })
            .collect();
        let free = (0..concurrency).collect();
        Core { journal, watchdog, slots, free, busy: 0, turn: 0, idle_until: None }
    }

    /// Where everything is written.
    pub(crate) fn journal(&self) -> &J {
        &self.journal
    }

    /// The same, to set its clock.
    pub(crate) fn journal_mut(&mut self) -> &mut J {
        &mut self.journal
    }

    /// Hands the journal out.
    pub(crate) fn into_journal(self) -> J {
        self.journal
    }

    /// A phase begins: whoever was done in the last one is free.
    pub(crate) fn begin(&mut self) {
        self.idle_until = None;
        for i in 0..self.slots.len() {
            if self.slots[i].state == State::Done {
                self.enter(i, State::Free(Duration::ZERO));
            }
        }
    }

    /// Whether the phase's generator has nothing more for anybody.
    pub(crate) fn finished(&self) -> bool {
        self.free.is_empty() && self.busy == 0
    }

    /// What was seen to be broken beyond repair, if anything was.
    pub(crate) fn caught(&self) -> Option<&Caught> {
        self.watchdog.caught()
    }

    /// Whether a call is on its way.
    pub(crate) fn busy(&self) -> bool {
        self.busy > 0
    }

    /// Asks the generator for every free worker until nobody gets work. The invocations are written before this
    /// returns, so that none is sent before.
    pub(crate) fn dispatch(&mut self, generator: &mut dyn Generator<Invocation>, end: Duration) -> Result<Round> {
        let mut calls = Vec::new();
        if let Some(wake) = self.idle_until.filter(|wake| self.journal.now() < *wake) {
            return Ok(Round { calls, wake });
        }
        loop {
            let mut wake = end;
            let before = calls.len();
            let in_turn: Vec<usize> =
                self.free.range(self.turn..).chain(self.free.range(..self.turn)).copied().collect();
            for i in in_turn {
                let now = self.journal.now();
                if let State::Free(from) = self.slots[i].state
                    && from > now
                {
                    wake = wake.min(from);
                    continue;
                }
                match generator.next(now, Worker(i)) {
                    Next::Op(invocation) => {
                        self.invoke(i, &invocation, generator)?;
                        calls.push((Worker(i), invocation));
                    }
                    Next::At(time) => wake = wake.min(time.max(now + STEP)),
                    Next::Wait => {}
                    Next::Done => self.enter(i, State::Done),
                }
            }
            if calls.len() == before {
                self.idle_until = Some(wake);
                return Ok(Round { calls, wake });
            }
            // The next round begins with another worker, so that a scarce operation does not always go to the first. A
            // round in which nobody got work changes nothing: how often somebody asks in vain leaves no trace.
            self.turn = (self.turn + 1) % self.slots.len();
        }
    }

    fn invoke(&mut self, i: usize, invocation: &Invocation, generator: &mut dyn Generator<Invocation>) -> Result<()> {
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
        self.watchdog.see(event);
        generator.update(Duration::from_nanos(event.time), Some(Worker(i)), event);
        slot.current = Some(invocation.clone());
        self.enter(i, State::Busy);
        Ok(())
    }

    fn enter(&mut self, i: usize, state: State) {
        let before = std::mem::replace(&mut self.slots[i].state, state);
        self.busy += usize::from(state == State::Busy);
        self.busy -= usize::from(before == State::Busy);
        match state {
            State::Free(_) => self.free.insert(i),
            State::Busy | State::Done => self.free.remove(&i),
        };
    }

    /// A call has ended. Answers how it is written down.
    pub(crate) fn complete(
        &mut self,
        completion: Completion,
        generator: &mut dyn Generator<Invocation>,
    ) -> Result<Kind> {
        let Completion { worker, outcome, reached } = completion;
        let concurrency = self.slots.len() as u64;
        self.idle_until = None;
        let slot = &mut self.slots[worker.0];
        let invocation = slot.current.take().expect("only a call that was made completes");
        let process = Process::Client(slot.process);
        let (kind, value, error, version) = match outcome {
            Outcome::Ok { value, version } => (Kind::Ok, value, None, version),
            Outcome::Fail { error } => (Kind::Fail, invocation.value, Some(error), None),
            Outcome::Info { error } => {
                // Nobody knows whether the process is through with its call: another one goes on in its place.
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
        let mut free_from = Duration::ZERO;
        if reached {
            slot.rest = REST.0;
        } else {
            free_from = self.journal.now() + slot.rest;
            slot.rest = (slot.rest * 2).min(REST.1);
        }
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
        self.watchdog.see(event);
        generator.update(Duration::from_nanos(event.time), Some(worker), event);
        self.enter(worker.0, State::Free(free_from));
        Ok(kind)
    }

    /// Writes what the nemesis says. Answers when that was.
    pub(crate) fn nemesis(
        &mut self,
        row: Row,
        generator: Option<&mut (dyn Generator<Invocation> + '_)>,
    ) -> Result<Duration> {
        self.idle_until = None;
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
        self.watchdog.see(event);
        let time = Duration::from_nanos(event.time);
        if let Some(generator) = generator {
            generator.update(time, None, event);
        }
        Ok(time)
    }

    /// Who is not done.
    pub(crate) fn stragglers(&self) -> Vec<Straggler> {
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
