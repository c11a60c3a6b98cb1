//! Locks: acquire, prove or work a few times, release, and again.
//!
//! A lock that rests on leases cannot exclude a holder that was paused or cut off. What is judged of holders that prove
//! is the fenced promise; strict exclusion, as the clients saw it, is a finding beside it. Holders that trust their lock
//! and only work need strict exclusion, and have no right to it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use grudge_checkers::history::{Event, Kind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::generator::{Boxed, Build, Generator, Next, PerWorker, Worker};
use crate::operation::Invocation;

/// A holder proves or works at most so often before it releases.
const MOST_PROOFS: u32 = 5;

/// The longest pause of a worker that was refused or has released: the others shall have their chance, and a lock
/// that is taken is not asked for in a busy loop.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The main phase of so many workers. After `time`, counted from a worker's first question, who holds releases, and
/// then there is nothing more: nobody leaves a lock behind.
pub(crate) fn lockers(seed: u64, keys: usize, time: Duration, trust: Trust) -> Boxed<Invocation> {
    let locker = move |worker: Worker| {
        // Each worker draws from a stream of its own, so that one worker's luck does not change another's.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(worker.0 as u64);
        let keys = (0..keys).map(|key| key.to_string()).collect();
        Locker { worker, rng, keys, trust, time, end: None, rest: Duration::ZERO, state: State::Free }.boxed()
    };
    PerWorker::new(locker).boxed()
}

/// What a holder does with its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It proves to the system that it still holds.
    Fenced,
    /// It works, and asks nobody.
    Blind,
}

impl Trust {
    fn f(self) -> &'static str {
        match self {
            Trust::Fenced => "prove",
            Trust::Blind => "work",
        }
    }
}

struct Locker {
    worker: Worker,
    rng: ChaCha8Rng,
    keys: Vec<String>,
    trust: Trust,
    time: Duration,
    end: Option<Duration>,
    rest: Duration,
    state: State,
}

/// What a worker believes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Free,
    Holding { key: String, token: i64, proofs: u32 },
}

impl Generator<Invocation> for Locker {
    fn next(&mut self, now: Duration, _: Worker) -> Next<Invocation> {
        let end = *self.end.get_or_insert(now + self.time);
        match &mut self.state {
            State::Free if now >= end => Next::Done,
            State::Free if now < self.rest => Next::At(self.rest.min(end)),
            State::Free => {
                let key = &self.keys[self.rng.random_range(0..self.keys.len())];
                Next::Op(Invocation::new("acquire").on(key))
            }
            State::Holding { key, token, proofs } if *proofs > 0 && now < end => {
                *proofs -= 1;
                Next::Op(Invocation::new(self.trust.f()).on(key.as_str()).with(*token))
            }
            State::Holding { key, token, .. } => Next::Op(Invocation::new("release").on(key.as_str()).with(*token)),
        }
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        if worker != Some(self.worker) || event.kind == Kind::Invoke {
            return;
        }
        self.state = match (event.kind, event.f.as_str(), event.value.as_i64(), &event.key) {
            (Kind::Ok, "acquire", Some(token), Some(key)) => {
                State::Holding { key: key.clone(), token, proofs: self.rng.random_range(1..=MOST_PROOFS) }
            }
            (Kind::Ok, "prove" | "work", ..) => return,
            // Released, refused, lost or unknown: in each case the worker has no claim any more.
            _ => State::Free,
        };
        if self.state == State::Free {
            self.rest = now + LONGEST_PAUSE.mul_f64(self.rng.random_range(0.0..1.0));
        }
    }
}

/// The liveness phase: each worker acquires and releases each lock once. Each one, since a lock may be stuck as seen
/// from a single node only.
pub(crate) struct Recovered {
    keys: usize,
    open: BTreeMap<Worker, Round>,
}

struct Round {
    /// What is still to be done, in an order that differs from worker to worker.
    keys: VecDeque<usize>,
    rest: Duration,
    state: State,
}

impl Recovered {
    pub(crate) fn new(keys: usize) -> Self {
        Recovered { keys, open: BTreeMap::new() }
    }
}

impl Generator<Invocation> for Recovered {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<Invocation> {
        let keys = self.keys;
        let round = self.open.entry(worker).or_insert_with(|| Round {
            keys: (0..keys).map(|key| (key + worker.0) % keys).collect(),
            rest: Duration::ZERO,
            state: State::Free,
        });
        match (&round.state, round.keys.front()) {
            (State::Holding { key, token, .. }, _) => {
                Next::Op(Invocation::new("release").on(key.as_str()).with(*token))
            }
            (State::Free, None) => Next::Done,
            (State::Free, _) if now < round.rest => Next::At(round.rest),
            (State::Free, Some(key)) => Next::Op(Invocation::new("acquire").on(key.to_string())),
        }
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        let Some(round) = worker.and_then(|worker| self.open.get_mut(&worker)) else { return };
        round.state = match (event.kind, event.f.as_str(), event.value.as_i64(), &event.key) {
            (Kind::Invoke, ..) => return,
            (Kind::Ok, "acquire", Some(token), Some(key)) => State::Holding { key: key.clone(), token, proofs: 0 },
            (Kind::Ok, "release", _, Some(key)) => {
                round.keys.retain(|open| open.to_string() != *key);
                State::Free
            }
            _ => {
                // Another lock may be free meanwhile.
                round.keys.rotate_left(usize::from(!round.keys.is_empty()));
                round.rest = now + LONGEST_PAUSE / 2;
                State::Free
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use grudge_checkers::history::History;
    use serde_json::Value;

    use super::*;
    use crate::generator::simulate::{Answer, simulate};
    use crate::operation::Outcome;

    const MS: Duration = Duration::from_millis(1);

    /// Locks in memory. Every `lose`-th call loses its outcome, and the lock with it.
    struct Memory {
        holders: BTreeMap<String, i64>,
        tokens: i64,
        calls: u64,
        lose: u64,
    }

    impl Memory {
        fn new(lose: u64) -> Self {
            Memory { holders: BTreeMap::new(), tokens: 0, calls: 0, lose }
        }

        fn answer(&mut self, invocation: &Invocation) -> Answer {
            self.calls += 1;
            let key = invocation.key.clone().expect("every call has a key");
            if self.calls.is_multiple_of(self.lose) {
                self.holders.remove(&key);
                return (5 * MS, Outcome::info("timeout"));
            }
            let outcome = match (invocation.f, self.holders.get(&key)) {
                ("acquire", Some(_)) => Outcome::fail("taken"),
                ("acquire", None) => {
                    self.tokens += 1;
                    self.holders.insert(key, self.tokens);
                    Outcome::ok(self.tokens, Some(self.tokens))
                }
                (_, holder) if holder.copied() != invocation.value.as_i64() => Outcome::fail("lost"),
                ("prove" | "work", _) => Outcome::ok(invocation.value.clone(), None),
                ("release", _) => {
                    self.holders.remove(&key);
                    Outcome::ok(invocation.value.clone(), None)
                }
                (f, _) => panic!("no locker calls {f}"),
            };
            (MS, outcome)
        }
    }

    fn run(generator: &mut dyn Generator<Invocation>, workers: usize, memory: &mut Memory) -> History {
        simulate(generator, workers, |_, _, invocation| memory.answer(invocation))
    }

    fn completed(history: &History) -> impl Iterator<Item = &Event> + Clone {
        history.events.iter().filter(|event| event.kind != Kind::Invoke)
    }

    #[test]
    fn a_holder_proves_and_releases_what_it_acquired() {
        let history = run(&mut lockers(1, 1, 2000 * MS, Trust::Fenced), 1, &mut Memory::new(u64::MAX));
        let mut token = Value::Null;
        let mut proofs = 0;
        for event in completed(&history) {
            assert_eq!(event.kind, Kind::Ok, "nobody disturbs one worker: {event:?}");
            match event.f.as_str() {
                "acquire" => (token, proofs) = (event.value.clone(), 0),
                "prove" => proofs += 1,
                _ => assert!((1..=MOST_PROOFS).contains(&proofs), "{proofs} proofs before the release"),
            }
            assert_eq!(event.value, token);
        }
        assert!(history.events.len() > 50);
    }

    #[test]
    fn a_holder_that_trusts_its_lock_works_and_never_proves() {
        let mut memory = Memory::new(u64::MAX);
        let history = run(&mut lockers(1, 2, 2000 * MS, Trust::Blind), 3, &mut memory);
        let works = completed(&history).filter(|event| event.f == "work" && event.kind == Kind::Ok).count();
        assert!(works > 50 && history.events.iter().all(|event| event.f != "prove"), "{works} times");
        assert_eq!(memory.holders, BTreeMap::new());
    }

    #[test]
    fn nobody_holds_at_the_end_of_the_main_phase() {
        for seed in 0..20 {
            let mut memory = Memory::new(u64::MAX);
            run(&mut lockers(seed, 2, 300 * MS, Trust::Fenced), 4, &mut memory);
            assert_eq!(memory.holders, BTreeMap::new(), "seed {seed}");
        }
    }

    #[test]
    fn after_a_loss_a_worker_starts_over() {
        let history = run(&mut lockers(5, 2, 3000 * MS, Trust::Fenced), 4, &mut Memory::new(7));
        let lost =
            completed(&history).filter(|event| event.kind == Kind::Info || event.error.as_deref() == Some("lost"));
        assert!(lost.count() > 10);
        let acquired = completed(&history).filter(|event| event.f == "acquire" && event.kind == Kind::Ok).count();
        assert!(acquired > 40, "{acquired} acquisitions");
    }

    #[test]
    fn every_worker_gets_its_turn() {
        let mut turns = BTreeMap::new();
        let mut memory = Memory::new(u64::MAX);
        let mut generator = lockers(2, 2, 5000 * MS, Trust::Fenced);
        simulate(&mut *generator, 5, |_, worker, invocation| {
            let answer = memory.answer(invocation);
            if invocation.f == "acquire" && matches!(answer.1, Outcome::Ok { .. }) {
                *turns.entry(worker).or_insert(0) += 1;
            }
            answer
        });
        assert_eq!(turns.len(), 5);
        assert!(turns.values().all(|turns| *turns > 20), "{turns:?}");
    }

    #[test]
    fn in_the_liveness_phase_every_worker_has_every_lock() {
        for (workers, keys, lose) in [(1, 1, u64::MAX), (5, 2, 9), (2, 5, 4), (3, 3, 5)] {
            let mut memory = Memory::new(lose);
            let mut released = BTreeSet::new();
            simulate(&mut Recovered::new(keys), workers, |_, worker, invocation| {
                let answer = memory.answer(invocation);
                if invocation.f == "release" && matches!(answer.1, Outcome::Ok { .. }) {
                    released.insert((worker, invocation.key.clone()));
                }
                answer
            });
            assert_eq!(released.len(), workers * keys, "{workers} workers, {keys} keys");
        }
    }
}
