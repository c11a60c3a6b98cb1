//! A runner without processes: a generator drives a fake system in virtual time.

use std::time::Duration;

use grudge_checkers::history::{Event, History, Kind, Process};

use super::{Generator, Next, Worker};
use crate::operation::{Invocation, Outcome};

/// How the fake system answers: after how long, and what.
pub(crate) type Answer = (Duration, Outcome);

enum Hand {
    Free { asked: Option<Duration> },
    Busy { until: Duration, invocation: Invocation, outcome: Outcome },
    Finished,
}

struct Simulation<'a> {
    generator: &'a mut dyn Generator<Invocation>,
    hands: Vec<Hand>,
    processes: Vec<u64>,
    history: History,
}

/// Runs `generator` with so many workers until it is done for each of them. Virtual time stops at ten minutes; a
/// generator that waits for ever is a bug of the generator and panics.
pub(crate) fn simulate(
    generator: &mut dyn Generator<Invocation>,
    workers: usize,
    mut system: impl FnMut(Duration, Worker, &Invocation) -> Answer,
) -> History {
    let mut simulation = Simulation {
        generator,
        hands: (0..workers).map(|_| Hand::Free { asked: None }).collect(),
        processes: (0..workers as u64).collect(),
        history: History::default(),
    };
    let mut now = Duration::ZERO;
    loop {
        simulation.ask(now, &mut system);
        let Some(next) = simulation.next_time() else {
            let finished = simulation.hands.iter().all(|hand| matches!(hand, Hand::Finished));
            assert!(finished, "the generator waits for an event that will not come, at {now:?}");
            return simulation.history;
        };
        assert!(next > now || simulation.completes(next), "the generator asks to be asked in the past, at {now:?}");
        now = next;
        assert!(now < Duration::from_secs(600), "the generator never ends");
        simulation.complete(now);
    }
}

impl Simulation<'_> {
    fn ask(&mut self, now: Duration, system: &mut impl FnMut(Duration, Worker, &Invocation) -> Answer) {
        let mut worker = 0;
        while worker < self.hands.len() {
            let due = matches!(self.hands[worker], Hand::Free { asked } if asked.is_none_or(|at| at <= now));
            if due && self.ask_one(now, Worker(worker), system) {
                worker = 0;
            } else {
                worker += 1;
            }
        }
    }

    /// Whether this caused an event, after which everybody may ask again.
    fn ask_one(
        &mut self,
        now: Duration,
        worker: Worker,
        system: &mut impl FnMut(Duration, Worker, &Invocation) -> Answer,
    ) -> bool {
        match self.generator.next(now, worker) {
            Next::Op(invocation) => {
                let (latency, outcome) = system(now, worker, &invocation);
                let value = invocation.value.clone();
                self.record(now, worker, &invocation, Kind::Invoke, value, None, None);
                self.hands[worker.0] = Hand::Busy { until: now + latency, invocation, outcome };
                return true;
            }
            Next::At(at) => self.hands[worker.0] = Hand::Free { asked: Some(at) },
            Next::Wait => self.hands[worker.0] = Hand::Free { asked: Some(Duration::MAX) },
            Next::Done => self.hands[worker.0] = Hand::Finished,
        }
        false
    }

    fn next_time(&self) -> Option<Duration> {
        let times = self.hands.iter().filter_map(|hand| match hand {
            Hand::Busy { until, .. } => Some(*until),
            Hand::Free { asked } => asked.filter(|at| *at < Duration::MAX),
            Hand::Finished => None,
        });
        times.min()
    }

    fn completes(&self, now: Duration) -> bool {
        self.hands.iter().any(|hand| matches!(hand, Hand::Busy { until, .. } if *until <= now))
    }

    fn complete(&mut self, now: Duration) {
        for worker in 0..self.hands.len() {
            if !matches!(self.hands[worker], Hand::Busy { until, .. } if until <= now) {
                continue;
            }
            let hand = std::mem::replace(&mut self.hands[worker], Hand::Free { asked: None });
            let Hand::Busy { invocation, outcome, .. } = hand else { unreachable!("checked to be busy") };
            let argument = invocation.value.clone();
            let (kind, value, error, version) = match outcome {
                Outcome::Ok { value, version } => (Kind::Ok, value, None, version),
                Outcome::Fail { error } => (Kind::Fail, argument, Some(error), None),
                Outcome::Info { error } => (Kind::Info, argument, Some(error), None),
            };
            self.record(now, Worker(worker), &invocation, kind, value, error, version);
            if kind == Kind::Info {
                self.processes[worker] += self.hands.len() as u64;
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an event has that many columns")]
    fn record(
        &mut self,
        now: Duration,
        worker: Worker,
        invocation: &Invocation,
        kind: Kind,
        value: serde_json::Value,
        error: Option<String>,
        version: Option<i64>,
    ) {
        let event = Event {
            index: self.history.events.len() as u64,
            time: u64::try_from(now.as_nanos()).expect("virtual time is under ten minutes"),
            process: Process::Client(self.processes[worker.0]),
            kind,
            f: invocation.f.to_owned(),
            key: invocation.key.clone(),
            value,
            node: None,
            error,
            version,
            extra: Vec::new(),
        };
        self.generator.update(now, Some(worker), &event);
        self.history.events.push(event);
        for hand in &mut self.hands {
            if let Hand::Free { asked } = hand {
                *asked = None;
            }
        }
    }
}
