//! Registers: read, write and compare-and-set over several keys.
//!
//! Every written value is written once in a run, so a read tells which write it saw. A compare-and-set starts from a
//! value that was lately seen, so that a good share succeeds.
//!
//! A few keys are open at a time, so that clients meet on them. A key that has had its share of operations is closed
//! and a fresh one opened in its place. Closed keys are still read, now and then in the main phase and by everybody
//! after the last fault was healed: a write that only one node has would be overwritten at once on an open key, and
//! stays to be seen on a closed one. It keeps each key's history short, too, which is what judging it costs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grudge_checkers::history::{Event, Kind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::generator::{Generator, Next, Worker};
use crate::operation::Invocation;

/// How often each operation is drawn, of twenty.
const READS: u32 = 8;
const READS_OF_CLOSED: u32 = 2;
const WRITES: u32 = 5;

/// In how many of ten compare-and-sets the old value is the last one seen; else it is an older one, which should fail.
const HOPEFUL: u32 = 9;

/// How many operations a key gets while it is open.
const OPERATIONS_PER_KEY: usize = 200;

/// How many keys everybody reads at the end; of more, an even choice.
const MOST_FINAL_READS: usize = 50;

/// Values of the liveness phase begin here, far from those of the main phase.
const LIVENESS_VALUES: u64 = 1_000_000_000;

/// The main and the liveness phase of so many workers on so many open keys.
pub(crate) fn phases(seed: u64, workers: usize, keys: usize) -> (Registers, Recovered) {
    let opened = Arc::new(AtomicUsize::new(keys));
    let main = Registers {
        rng: ChaCha8Rng::seed_from_u64(seed),
        open: (0..keys).map(|key| (key, 0)).collect(),
        opened: opened.clone(),
        written: 0,
        seen: BTreeMap::new(),
    };
    (main, Recovered { workers, keys, opened, written: LIVENESS_VALUES, open: BTreeMap::new() })
}

/// The main phase: reads, writes and compare-and-sets, for ever.
pub(crate) struct Registers {
    rng: ChaCha8Rng,
    /// The open keys, and how many operations each has had.
    open: Vec<(usize, usize)>,
    /// How many keys were ever opened: they are numbered from 0.
    opened: Arc<AtomicUsize>,
    written: u64,
    seen: BTreeMap<String, Value>,
}

impl Registers {
    fn open_key(&mut self) -> String {
        let slot = self.rng.random_range(0..self.open.len());
        if self.open[slot].1 == OPERATIONS_PER_KEY {
            self.seen.remove(&self.open[slot].0.to_string());
            self.open[slot] = (self.opened.fetch_add(1, Ordering::Relaxed), 0);
        }
        self.open[slot].1 += 1;
        self.open[slot].0.to_string()
    }

    fn any_key(&mut self) -> String {
        self.rng.random_range(0..self.opened.load(Ordering::Relaxed)).to_string()
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
        let drawn = self.rng.random_range(0..20);
        if drawn < READS_OF_CLOSED {
            return Next::Op(Invocation::new("read").on(self.any_key()));
        }
        let key = self.open_key();
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

/// The liveness phase: each worker writes its share of the first keys and reads what was written in the whole run,
/// until each of those operations has succeeded once.
pub(crate) struct Recovered {
    workers: usize,
    keys: usize,
    opened: Arc<AtomicUsize>,
    written: u64,
    open: BTreeMap<Worker, BTreeSet<(&'static str, usize)>>,
}

impl Recovered {
    fn duties(&self, worker: Worker) -> BTreeSet<(&'static str, usize)> {
        let opened = self.opened.load(Ordering::Relaxed);
        let reads = (0..opened).step_by(opened.div_ceil(MOST_FINAL_READS));
        let writes = (0..self.keys).filter(|key| key % self.workers == worker.0 % self.workers);
        // Every worker writes at least once; whoever has no key of its own shares one.
        let writes = writes.chain([worker.0 % self.keys]);
        reads.map(|key| ("read", key)).chain(writes.map(|key| ("write", key))).collect()
    }
}

impl Generator<Invocation> for Recovered {
    fn next(&mut self, _: Duration, worker: Worker) -> Next<Invocation> {
        if !self.open.contains_key(&worker) {
            self.open.insert(worker, self.duties(worker));
        }
        let Some((f, key)) = self.open.get(&worker).and_then(BTreeSet::first) else { return Next::Done };
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
            open.retain(|(f, key)| event.f != *f || event.key.as_deref() != Some(key.to_string().as_str()));
        }
    }
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
        let history = run(&mut phases(3, 5, 3).0.limit(1000), 5);
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
        let history = run(&mut phases(3, 5, 3).0.limit(2000), 3);
        let (ok, fail) = (count(&history, "cas", Kind::Ok), count(&history, "cas", Kind::Fail));
        assert!(ok * 2 > fail, "{ok} ok, {fail} fail");
        assert!(fail > 20, "{ok} ok, {fail} fail");
    }

    #[test]
    fn one_seed_gives_one_history() {
        assert_eq!(run(&mut phases(8, 4, 2).0.limit(300), 4), run(&mut phases(8, 4, 2).0.limit(300), 4));
        assert_ne!(run(&mut phases(8, 4, 2).0.limit(300), 4), run(&mut phases(9, 4, 2).0.limit(300), 4));
    }

    #[test]
    fn keys_are_closed_and_still_read() {
        let history = run(&mut phases(4, 3, 2).0.limit(3000), 3);
        let mut writes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut last_read = BTreeMap::new();
        for (position, event) in history.events.iter().enumerate().filter(|(_, event)| event.kind == Kind::Invoke) {
            let key = event.key.clone().expect("every call has a key");
            match event.f.as_str() {
                "read" => drop(last_read.insert(key, position)),
                _ => writes.entry(key).or_default().push(position),
            }
        }
        assert!((10..=20).contains(&writes.len()), "3000 operations at 200 a key open {} keys", writes.len());
        let closed = writes.iter().filter(|(key, writes)| last_read.get(*key) > writes.last()).count();
        assert!(closed + 3 >= writes.len(), "{closed} of {} keys are read after their last write", writes.len());
    }

    #[test]
    fn liveness_writes_the_first_keys_and_reads_all() {
        for (workers, keys) in [(1, 1), (5, 2), (2, 5), (3, 3)] {
            let (main, mut liveness) = phases(6, workers, keys);
            run(&mut main.limit(2000), workers);
            let opened = liveness.opened.load(Ordering::Relaxed);
            let history = run(&mut liveness, workers);
            let ok = |f: &str| {
                let ok = history.events.iter().filter(|event| event.kind == Kind::Ok && event.f == f);
                ok.filter_map(|event| event.key.clone()).collect::<BTreeSet<_>>().len()
            };
            assert_eq!((ok("read"), ok("write")), (opened, keys), "{workers} workers, {keys} keys");
            assert!(opened > keys, "the main phase opened more keys");
            assert_eq!(count(&history, "read", Kind::Ok), opened * workers);
            assert!(count(&history, "write", Kind::Ok) >= workers);
        }
    }

    #[test]
    fn the_final_reads_of_a_long_run_are_bounded() {
        let (main, mut liveness) = phases(6, 2, 2);
        run(&mut main.limit(50_000), 2);
        let history = run(&mut liveness, 2);
        assert!(count(&history, "read", Kind::Ok) <= 2 * MOST_FINAL_READS);
    }
}
