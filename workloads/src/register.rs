//! Registers: read, write and compare-and-set over several keys.
//!
//! Every written value is written once in a run, so a read tells which write it saw. A compare-and-set starts from a
//! value that was lately seen, so that a good share succeeds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grudge_checkers::history::{Event, Kind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::generator::{Generator, Next, Worker};
use crate::operation::Invocation;

/// How often each operation is drawn, of ten.
const READS: u32 = 4;
const WRITES: u32 = 3;

/// In how many of ten compare-and-sets the old value is the last one seen; else it is an older one, which should fail.
const HOPEFUL: u32 = 9;

/// Values of the liveness phase begin here, far from those of the main phase.
const LIVENESS_VALUES: u64 = 1_000_000_000;

/// The main phase: reads, writes and compare-and-sets on keys drawn evenly, for ever.
pub(crate) struct Registers {
    rng: ChaCha8Rng,
    keys: usize,
    written: u64,
    seen: BTreeMap<String, Value>,
}

impl Registers {
    /// Registers `0` to `keys - 1`.
    pub(crate) fn new(seed: u64, keys: usize) -> Self {
        Registers { rng: ChaCha8Rng::seed_from_u64(seed), keys, written: 0, seen: BTreeMap::new() }
    }

    fn new_value(&mut self) -> u64 {
        self.written += 1;
        self.written
    }

    fn old_value(&mut self, key: &str) -> Value {
        let hopeful = self.rng.random_ratio(HOPEFUL, 10);
        let last = self.seen.get(key).cloned().unwrap_or(Value::Null);
        if hopeful || self.written == 0 { last } else { json!(self.rng.random_range(1..=self.written)) }
    }
}

impl Generator<Invocation> for Registers {
    fn next(&mut self, _: Duration, _: Worker) -> Next<Invocation> {
        let key = self.rng.random_range(0..self.keys).to_string();
        let drawn = self.rng.random_range(0..10);
        let invocation = if drawn < READS {
            Invocation::new("read")
        } else if drawn < READS + WRITES {
            Invocation::new("write").with(self.new_value())
        } else {
            let old = self.old_value(&key);
            Invocation::new("cas").with(json!([old, self.new_value()]))
        };
        Next::Op(invocation.on(key))
    }

    fn update(&mut self, _: Duration, _: Option<Worker>, event: &Event) {
        let (Kind::Ok, Some(key)) = (event.kind, &event.key) else { return };
        let value = match event.f.as_str() {
            "read" | "write" => event.value.clone(),
            "cas" => event.value.get(1).cloned().unwrap_or(Value::Null),
            _ => return,
        };
        self.seen.insert(key.clone(), value);
    }
}

/// The liveness phase: each worker reads and writes its share of the keys until each of those has succeeded once.
pub(crate) struct Recovered {
    workers: usize,
    keys: usize,
    written: u64,
    open: BTreeMap<Worker, BTreeSet<(usize, &'static str)>>,
}

impl Recovered {
    pub(crate) fn new(workers: usize, keys: usize) -> Self {
        Recovered { workers, keys, written: LIVENESS_VALUES, open: BTreeMap::new() }
    }
}

impl Generator<Invocation> for Recovered {
    fn next(&mut self, _: Duration, worker: Worker) -> Next<Invocation> {
        let (workers, keys) = (self.workers, self.keys);
        let open = self.open.entry(worker).or_insert_with(|| {
            share(worker, workers, keys).into_iter().flat_map(|key| [(key, "read"), (key, "write")]).collect()
        });
        let Some((key, f)) = open.first() else { return Next::Done };
        let invocation = Invocation::new(f).on(key.to_string());
        if *f == "read" {
            return Next::Op(invocation);
        }
        self.written += 1;
        Next::Op(invocation.with(self.written))
    }

    fn update(&mut self, _: Duration, worker: Option<Worker>, event: &Event) {
        let (Kind::Ok, Some(worker)) = (event.kind, worker) else { return };
        if let Some(open) = self.open.get_mut(&worker) {
            open.retain(|(key, f)| event.f != *f || event.key.as_deref() != Some(key.to_string().as_str()));
        }
    }
}

/// The keys for whose recovery a worker answers: over all workers every key, and for each worker at least one.
pub(crate) fn share(worker: Worker, workers: usize, keys: usize) -> Vec<usize> {
    let own: Vec<usize> = (0..keys).filter(|key| key % workers == worker.0 % workers).collect();
    if own.is_empty() { vec![worker.0 % keys] } else { own }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use grudge_checkers::history::History;

    use super::*;
    use crate::generator::Build;
    use crate::generator::simulate::{Answer, simulate};
    use crate::operation::Outcome;

    /// A register in memory that answers at once, and loses the outcome of every tenth operation.
    #[derive(Default)]
    pub(crate) struct Memory {
        registers: BTreeMap<String, Value>,
        calls: u64,
    }

    impl Memory {
        fn answer(&mut self, invocation: &Invocation) -> Answer {
            self.calls += 1;
            let register = self.registers.entry(invocation.key.clone().unwrap_or_default()).or_default();
            let outcome = match invocation.f {
                "read" => Outcome::ok(register.clone(), None),
                "cas" if *register != invocation.value[0] => Outcome::fail("mismatch"),
                "cas" => {
                    *register = invocation.value[1].clone();
                    Outcome::ok(invocation.value.clone(), None)
                }
                _ => {
                    *register = invocation.value.clone();
                    Outcome::ok(invocation.value.clone(), None)
                }
            };
            let outcome = if self.calls.is_multiple_of(10) { Outcome::info("timeout") } else { outcome };
            (Duration::from_millis(1 + self.calls % 3), outcome)
        }
    }

    fn run(generator: &mut dyn Generator<Invocation>, workers: usize) -> History {
        let mut memory = Memory::default();
        simulate(generator, workers, |_, _, invocation| memory.answer(invocation))
    }

    fn count(history: &History, f: &str, kind: Kind) -> usize {
        history.events.iter().filter(|event| event.f == f && event.kind == kind).count()
    }

    #[test]
    fn written_values_are_unique() {
        let history = run(&mut Registers::new(3, 3).limit(1000), 5);
        let mut written = BTreeSet::new();
        for event in history.events.iter().filter(|event| event.kind == Kind::Invoke) {
            let value = match event.f.as_str() {
                "write" => &event.value,
                "cas" => &event.value[1],
                _ => continue,
            };
            assert!(written.insert(value.as_u64().expect("a number is written")), "{value} is written twice");
        }
        assert!(written.len() > 400);
    }

    #[test]
    fn a_good_share_of_compare_and_sets_succeeds_and_some_fail() {
        let history = run(&mut Registers::new(3, 3).limit(2000), 3);
        let (ok, fail) = (count(&history, "cas", Kind::Ok), count(&history, "cas", Kind::Fail));
        assert!(ok * 2 > fail, "{ok} ok, {fail} fail");
        assert!(fail > 20, "{ok} ok, {fail} fail");
    }

    #[test]
    fn one_seed_gives_one_history() {
        assert_eq!(run(&mut Registers::new(8, 2).limit(300), 4), run(&mut Registers::new(8, 2).limit(300), 4));
        assert_ne!(run(&mut Registers::new(8, 2).limit(300), 4), run(&mut Registers::new(9, 2).limit(300), 4));
    }

    #[test]
    fn liveness_covers_every_key_and_every_worker() {
        for (workers, keys) in [(1, 1), (5, 2), (2, 5), (3, 3)] {
            let history = run(&mut Recovered::new(workers, keys), workers);
            let ok = |f: &str| {
                let ok = history.events.iter().filter(|event| event.kind == Kind::Ok && event.f == f);
                ok.filter_map(|event| event.key.clone()).collect::<BTreeSet<_>>().len()
            };
            assert_eq!((ok("read"), ok("write")), (keys, keys), "{workers} workers, {keys} keys");
            assert!(count(&history, "read", Kind::Ok) >= workers);
        }
    }
}
