//! Sessions that move: each worker is one view of the world; it reads and writes a few registers and every so often goes
//! to another server.
//!
//! `read` and `write` are on the key's register, a read as the server that the client is with has it; `hop` of n goes to
//! the n-th server after the present one and presents what the client has seen. Every value is written once. Judged are
//! the session guarantees, by the versions: whatever is read is not older than what the same process has read or
//! written before. A server that is behind must not receive a client that is ahead of it.
//!
//! Few keys and many writes, so that a server that is behind is behind in what the client has just seen; after each hop
//! the worker looks at every key at once.

use std::collections::VecDeque;
use std::time::Duration;

use grudge_checkers::history::{Event, Kind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::generator::{Boxed, Build, Generator, Next, PerWorker, Worker};
use crate::operation::Invocation;

/// How often each operation is drawn, of twenty; the rest are hops.
const READS: u32 = 9;
const WRITES: u32 = 9;

/// A hop goes on by at most so many servers.
const LONGEST_HOP: u32 = 4;

/// The longest rest of a worker that no server received.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// Values of different workers differ, and so do those of the phases.
const VALUES_OF_A_WORKER: u64 = 1_000_000;
const LIVENESS_VALUES: u64 = 1_000_000_000;

/// The main phase, for ever.
pub(crate) fn wanderers(seed: u64, keys: usize) -> Boxed<Invocation> {
    PerWorker::new(move |worker: Worker| {
        // Each worker draws from a stream of its own, so that one worker's luck does not change another's.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(worker.0 as u64);
        let whereabouts = Whereabouts { worker, rng, lost: false, rest: Duration::ZERO };
        Wanderer { whereabouts, keys, written: worker.0 as u64 * VALUES_OF_A_WORKER, looks: 0 }.boxed()
    })
    .boxed()
}

/// The liveness phase: each worker writes each key, goes to as many servers as a cluster has at most, and reads each key
/// there, until all of that has succeeded once.
pub(crate) fn recovered(seed: u64, keys: usize) -> Boxed<Invocation> {
    PerWorker::new(move |worker: Worker| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ LIVENESS_VALUES);
        rng.set_stream(worker.0 as u64);
        let whereabouts = Whereabouts { worker, rng, lost: false, rest: Duration::ZERO };
        let written = LIVENESS_VALUES + worker.0 as u64 * VALUES_OF_A_WORKER;
        let writes = (0..keys).map(|key| Invocation::new("write").on(key.to_string()).with(written + key as u64));
        let round = |_| {
            let reads = (0..keys).map(|key| Invocation::new("read").on(key.to_string()));
            std::iter::once(Invocation::new("hop").with(1)).chain(reads)
        };
        let duties = writes.chain((0..LONGEST_HOP).flat_map(round)).collect();
        Duties { whereabouts, duties }.boxed()
    })
    .boxed()
}

/// Whether a worker is with a server, as far as it knows.
struct Whereabouts {
    worker: Worker,
    rng: ChaCha8Rng,
    /// It must go somewhere before it can do anything else.
    lost: bool,
    rest: Duration,
}

impl Whereabouts {
    fn hop(&mut self) -> Invocation {
        Invocation::new("hop").with(self.rng.random_range(1..=LONGEST_HOP))
    }

    /// Notes an event; whether it was the end of this worker's operation.
    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) -> bool {
        if worker != Some(self.worker) || event.kind == Kind::Invoke {
            return false;
        }
        // Another process begins with a connection of its own.
        self.lost = event.kind == Kind::Fail;
        if self.lost {
            self.rest = now + LONGEST_REST.mul_f64(self.rng.random_range(0.0..1.0));
        }
        true
    }
}

struct Wanderer {
    whereabouts: Whereabouts,
    keys: usize,
    written: u64,
    /// How many keys are still to be looked at after a hop.
    looks: usize,
}

impl Generator<Invocation> for Wanderer {
    fn next(&mut self, now: Duration, _: Worker) -> Next<Invocation> {
        let place = &mut self.whereabouts;
        if now < place.rest {
            return Next::At(place.rest);
        }
        if place.lost {
            return Next::Op(place.hop());
        }
        if self.looks > 0 {
            return Next::Op(Invocation::new("read").on((self.looks - 1).to_string()));
        }
        let drawn = place.rng.random_range(0..20);
        if drawn >= READS + WRITES {
            return Next::Op(place.hop());
        }
        let key = place.rng.random_range(0..self.keys).to_string();
        if drawn < READS {
            return Next::Op(Invocation::new("read").on(key));
        }
        self.written += 1;
        Next::Op(Invocation::new("write").on(key).with(self.written))
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        if self.whereabouts.update(now, worker, event) {
            self.looks = match (event.kind, event.f.as_str()) {
                (Kind::Ok, "hop") => self.keys,
                _ => self.looks.saturating_sub(1),
            };
        }
    }
}

struct Duties {
    whereabouts: Whereabouts,
    duties: VecDeque<Invocation>,
}

impl Generator<Invocation> for Duties {
    fn next(&mut self, now: Duration, _: Worker) -> Next<Invocation> {
        let place = &mut self.whereabouts;
        match self.duties.front() {
            None => Next::Done,
            Some(_) if now < place.rest => Next::At(place.rest),
            Some(_) if place.lost => Next::Op(place.hop()),
            Some(duty) => Next::Op(duty.clone()),
        }
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        let done = self.whereabouts.update(now, worker, event) && event.kind == Kind::Ok;
        if done && self.duties.front().is_some_and(|duty| duty.f == event.f) {
            self.duties.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use grudge_checkers::history::{History, Process};
    use grudge_checkers::verdict::Verdict;
    use serde_json::Value;

    use super::*;
    use crate::generator::simulate::{Answer, simulate};
    use crate::judge;
    use crate::operation::Outcome;

    const SERVERS: usize = 3;

    /// A log and servers that have each applied a part of it. Server 2 stands still for a while now and then.
    struct Memory {
        /// Key and value; the version is the position, from 1.
        log: Vec<(String, Value)>,
        applied: [usize; SERVERS],
        /// Where each worker is, and what it has seen.
        clients: BTreeMap<Worker, (usize, usize)>,
        calls: u64,
        /// Whether a server receives a client that is ahead of it.
        receives_anybody: bool,
    }

    impl Memory {
        fn new(receives_anybody: bool) -> Memory {
            Memory { log: Vec::new(), applied: [0; SERVERS], clients: BTreeMap::new(), calls: 0, receives_anybody }
        }

        fn answer(&mut self, worker: Worker, invocation: &Invocation) -> Answer {
            self.calls += 1;
            for (server, applied) in self.applied.iter_mut().enumerate() {
                let stands_still = server == 2 && self.calls % 200 > 100;
                *applied = if stands_still { *applied } else { self.log.len() };
            }
            let latency = Duration::from_millis(1 + self.calls % 3);
            if self.calls.is_multiple_of(150) {
                self.clients.remove(&worker);
                return (latency, Outcome::info("timeout"));
            }
            (latency, self.perform(worker, invocation))
        }

        fn perform(&mut self, worker: Worker, invocation: &Invocation) -> Outcome {
            let (at, seen) = *self.clients.entry(worker).or_insert((worker.0 % 2, 0));
            let key = invocation.key.clone().unwrap_or_default();
            let (outcome, now_at, now_seen) = match invocation.f {
                "hop" => {
                    let steps = invocation.value.as_u64().expect("a hop has a number of steps") as usize;
                    let to = (at % SERVERS + steps) % SERVERS;
                    match self.applied[to] >= seen || self.receives_anybody {
                        true => (Outcome::ok(format!("n{}", to + 1), None), to, seen),
                        // Nowhere, on the way from there.
                        false => (Outcome::fail("not-received"), to + SERVERS, seen),
                    }
                }
                _ if at >= SERVERS => (Outcome::fail("disconnected"), at, seen),
                "write" => {
                    self.log.push((key, invocation.value.clone()));
                    self.applied[at] = self.log.len();
                    let version = self.log.len();
                    (Outcome::ok(invocation.value.clone(), Some(version as i64)), at, version)
                }
                _ => {
                    let applied = &self.log[..self.applied[at]];
                    let found = applied.iter().enumerate().rev().find(|(_, (written, _))| *written == key);
                    let outcome = match found {
                        Some((position, (_, value))) => Outcome::ok(value.clone(), Some(position as i64 + 1)),
                        None => Outcome::ok(Value::Null, None),
                    };
                    (outcome, at, seen.max(self.applied[at]))
                }
            };
            self.clients.insert(worker, (now_at, now_seen));
            outcome
        }
    }

    fn run(seed: u64, receives_anybody: bool) -> History {
        let mut memory = Memory::new(receives_anybody);
        let mut main = wanderers(seed, 2).limit(1500);
        simulate(&mut main, 4, |_, worker, invocation| memory.answer(worker, invocation))
    }

    #[test]
    fn servers_that_refuse_clients_from_the_future_are_valid() {
        for seed in 0..20 {
            let judgement = judge::sessions(&run(seed, false)).remove(0);
            assert_eq!(judgement.verdict, Verdict::Valid, "seed {seed}");
        }
    }

    #[test]
    fn a_server_that_receives_anybody_is_found() {
        for seed in 0..20 {
            let verdict = judge::sessions(&run(seed, true)).remove(0).verdict;
            let Verdict::Invalid { witness } = verdict else { panic!("seed {seed}: {verdict}") };
            assert!(witness.reason.contains("`hop`"), "seed {seed}: {witness}");
            assert!(witness.events.len() <= 6, "seed {seed}: {witness}");
        }
    }

    #[test]
    fn values_are_unique_and_who_is_nowhere_goes_somewhere() {
        let history = run(5, false);
        let mut written = std::collections::BTreeSet::new();
        let mut lost: BTreeMap<Process, bool> = BTreeMap::new();
        let mut refused = 0;
        for event in &history.events {
            match (event.kind, event.f.as_str()) {
                (Kind::Invoke, "write") => assert!(written.insert(event.value.as_u64()), "{} twice", event.value),
                (Kind::Invoke, f) if lost.get(&event.process) == Some(&true) => assert_eq!(f, "hop"),
                (Kind::Fail, _) => refused += 1,
                _ => {}
            }
            lost.insert(event.process, event.kind == Kind::Fail);
        }
        assert!(refused > 5, "{refused} hops were refused");
    }

    #[test]
    fn everybody_visits_each_server_at_the_end() {
        let mut memory = Memory::new(false);
        let history = simulate(&mut recovered(3, 2), 3, |_, worker, invocation| memory.answer(worker, invocation));
        let hops = history.events.iter().filter(|event| event.f == "hop" && event.kind == Kind::Ok).count();
        assert!(hops >= 3 * LONGEST_HOP as usize, "{hops}");
    }
}
