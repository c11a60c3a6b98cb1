//! Registers: read, write and compare-and-set over several keys.
//!
//! Every written value is written once in a run, so a read tells which write it saw. A compare-and-set starts from a
//! value that was lately seen, so that a good share succeeds.
//!
//! # Which keys
//!
//! Some keys are shared, and few at a time: on them clients meet, and a node that serves old values is caught at the
//! next write. Besides, each worker has a key that only it writes: a write that one node kept and the others never
//! had would be overwritten at once on a shared key, and here it is not. A key is closed after its share of
//! operations, or when the outcome of an update of it is unknown; a fresh one takes its place. Closed keys are still
//! read, now and then in the main phase and by everybody after the last fault was healed. This keeps each key's
//! history short as well, which is what judging it costs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grudge_checkers::history::{Event, Kind};
use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::generator::{Generator, Next, Worker};
use crate::keys::{Book, Open};
use crate::operation::Invocation;

/// How often each operation is drawn, of twenty; the rest are compare-and-sets.
const READS: u32 = 7;
const WRITES: u32 = 7;

/// How often an update goes to the worker's own key, of ten; the rest go to shared ones.
const OWN_UPDATES: u32 = 6;

/// Where reads go, of ten: to any key ever opened, to some worker's own; the rest to shared ones.
const READS_OF_ANY: u32 = 2;
const READS_OF_OWN: u32 = 2;

/// In how many of ten compare-and-sets the old value is the last one seen; else it is an older one, which should fail.
const HOPEFUL: u32 = 9;

/// How many operations a key gets while it is open.
const OPERATIONS_PER_KEY: usize = 200;

/// How many keys everybody reads at the end: those in doubt first, then an even choice of the others.
const MOST_FINAL_READS: usize = 50;

/// Values of the liveness phase begin here, far from those of the main phase.
const LIVENESS_VALUES: u64 = 1_000_000_000;

/// The main and the liveness phase of so many workers, with so many shared keys open at a time.
pub(crate) fn phases(seed: u64, workers: usize, keys: usize) -> (Registers, Recovered) {
    let book = Book::default();
    let main = Registers {
        rng: ChaCha8Rng::seed_from_u64(seed),
        shared: (0..keys).map(|_| Open::fresh(&book)).collect(),
        own: (0..workers).map(|worker| (Worker(worker), Open::fresh(&book))).collect(),
        book: book.clone(),
        updates: Updates::Both,
        written: 0,
        seen: BTreeMap::new(),
    };
    (main, Recovered { book, written: LIVENESS_VALUES, open: BTreeMap::new() })
}

/// By what registers are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updates {
    /// Writes and compare-and-sets.
    Both,
    /// Writes alone: the system has no compare-and-set.
    Writes,
}

/// The main phase: reads, writes and compare-and-sets, for ever.
pub(crate) struct Registers {
    rng: ChaCha8Rng,
    updates: Updates,
    shared: Vec<Open>,
    own: BTreeMap<Worker, Open>,
    book: Book,
    written: u64,
    /// The value last seen of each open key, and of some that are closed.
    seen: BTreeMap<String, Value>,
}

impl Registers {
    /// The same, changed by these.
    pub(crate) fn changed_by(self, updates: Updates) -> Registers {
        Registers { updates, ..self }
    }

    fn shared_key(&mut self) -> String {
        let slot = self.rng.random_range(0..self.shared.len());
        self.shared[slot].use_once(&self.book, OPERATIONS_PER_KEY)
    }

    fn key_to_read(&mut self) -> String {
        let drawn = self.rng.random_range(0..10);
        if drawn < READS_OF_ANY {
            return self.rng.random_range(0..self.book.opened()).to_string();
        }
        match self.own.values().choose(&mut self.rng) {
            Some(open) if drawn < READS_OF_ANY + READS_OF_OWN => open.key.to_string(),
            _ => self.shared_key(),
        }
    }

    fn key_to_update(&mut self, worker: Worker) -> String {
        if self.rng.random_ratio(OWN_UPDATES, 10) {
            let book = &self.book;
            return self.own.entry(worker).or_insert_with(|| Open::fresh(book)).use_once(book, OPERATIONS_PER_KEY);
        }
        self.shared_key()
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

    /// Nobody writes this key any more.
    fn close(&mut self, key: usize) {
        for open in self.shared.iter_mut().chain(self.own.values_mut()).filter(|open| open.key == key) {
            *open = Open::fresh(&self.book);
        }
        self.book.doubt(key);
    }

    /// Forgets what was seen of closed keys once it is most of it: nobody replaces their values any more, and keys are
    /// opened for as long as the run lasts.
    fn forget_closed(&mut self) {
        let open = self.shared.len() + self.own.len();
        if self.seen.len() > 4 * open {
            let open: BTreeSet<String> =
                self.shared.iter().chain(self.own.values()).map(|open| open.key.to_string()).collect();
            self.seen.retain(|key, _| open.contains(key));
        }
    }
}

impl Generator<Invocation> for Registers {
    fn next(&mut self, _: Duration, worker: Worker) -> Next<Invocation> {
        let drawn = self.rng.random_range(0..20);
        if drawn < READS {
            return Next::Op(Invocation::new("read").on(self.key_to_read()));
        }
        let key = self.key_to_update(worker);
        let invocation = if drawn < READS + WRITES || self.updates == Updates::Writes {
            Invocation::new("write").with(self.new_value())
        } else {
            let old = self.old_value(&key);
            Invocation::new("cas").with(json!([old, self.new_value()]))
        };
        Next::Op(invocation.on(key))
    }

    fn update(&mut self, _: Duration, worker: Option<Worker>, event: &Event) {
        let (Some(_), Some(key)) = (worker, &event.key) else { return };
        let value = match (event.kind, event.f.as_str()) {
            (Kind::Ok, "read" | "write") => event.value.clone(),
            (Kind::Ok, "cas") => event.value.get(1).cloned().unwrap_or(Value::Null),
            (Kind::Info, _) => {
                if let Ok(key) = key.parse() {
                    self.close(key);
                }
                return;
            }
            _ => return,
        };
        self.seen.insert(key.clone(), value);
        self.forget_closed();
    }
}

/// The liveness phase: each worker reads what was written in the whole run and writes a key of its own, until each
/// of those operations has succeeded once.
pub(crate) struct Recovered {
    book: Book,
    written: u64,
    open: BTreeMap<Worker, Duties>,
}

/// What a worker has still to do: operation and key.
type Duties = BTreeSet<(&'static str, usize)>;

impl Recovered {
    fn duties(&self, worker: Worker) -> Duties {
        let reads = self.book.worth_a_look(MOST_FINAL_READS).into_iter().map(|key| ("read", key));
        reads.chain([("write", self.book.opened() + worker.0)]).collect()
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

    use grudge_checkers::history::{History, Process};

    use super::*;
    use crate::generator::Build;
    use crate::generator::simulate::{Answer, simulate};
    use crate::operation::Outcome;

    /// Registers in memory. The outcome of every `lose`-th operation is lost.
    struct Memory {
        registers: BTreeMap<String, Value>,
        calls: u64,
        lose: u64,
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
            let outcome = if self.calls.is_multiple_of(self.lose) { Outcome::info("timeout") } else { outcome };
            (Duration::from_millis(1 + self.calls % 3), outcome)
        }
    }

    fn run(generator: &mut dyn Generator<Invocation>, workers: usize) -> History {
        run_losing(10, generator, workers)
    }

    fn run_losing(lose: u64, generator: &mut dyn Generator<Invocation>, workers: usize) -> History {
        let mut memory = Memory { registers: BTreeMap::new(), calls: 0, lose };
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
    fn a_system_without_compare_and_set_is_written_to_instead() {
        let history = run(&mut phases(3, 5, 3).0.changed_by(Updates::Writes).limit(500), 3);
        assert_eq!(history.events.iter().filter(|event| event.f == "cas").count(), 0);
        let (writes, reads) = (count(&history, "write", Kind::Ok), count(&history, "read", Kind::Ok));
        assert!(writes > reads, "{writes} writes, {reads} reads");
    }

    #[test]
    fn one_seed_gives_one_history() {
        assert_eq!(run(&mut phases(8, 4, 2).0.limit(300), 4), run(&mut phases(8, 4, 2).0.limit(300), 4));
        assert_ne!(run(&mut phases(8, 4, 2).0.limit(300), 4), run(&mut phases(9, 4, 2).0.limit(300), 4));
    }

    #[test]
    fn what_is_remembered_does_not_grow_with_the_run() {
        let mut main = phases(5, 3, 2).0;
        for operation in 0..20_000 {
            let worker = Worker(operation % 3);
            let Next::Op(Invocation { f, key, value }) = main.next(Duration::ZERO, worker) else {
                panic!("registers have no end")
            };
            let event = Event { kind: Kind::Ok, f: f.to_owned(), key, value, ..Event::empty() };
            main.update(Duration::ZERO, Some(worker), &event);
            assert!(main.seen.len() <= 4 * 5, "{} values after {operation} operations", main.seen.len());
        }
        let opened = main.book.opened();
        assert!(opened > 40, "only {opened} keys were opened");
        let seen = |open: &Open| main.seen.contains_key(&open.key.to_string());
        assert!(main.shared.iter().chain(main.own.values()).any(seen), "open keys are remembered");
    }

    #[test]
    fn keys_are_closed_and_still_read() {
        let history = run_losing(u64::MAX, &mut phases(4, 3, 2).0.limit(6000), 3);
        let mut writes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut last_read = BTreeMap::new();
        for (position, event) in history.events.iter().enumerate().filter(|(_, event)| event.kind == Kind::Invoke) {
            let key = event.key.clone().expect("every call has a key");
            match event.f.as_str() {
                "read" => drop(last_read.insert(key, position)),
                _ => writes.entry(key).or_default().push(position),
            }
        }
        assert!((15..=35).contains(&writes.len()), "6000 operations at 200 a key open {} keys", writes.len());
        let read_on = writes.iter().filter(|(key, writes)| last_read.get(*key) > writes.last()).count();
        assert!(read_on + 6 >= writes.len(), "{read_on} of {} keys are read after their last write", writes.len());
    }

    #[test]
    fn only_its_worker_writes_an_own_key_and_nobody_a_key_in_doubt() {
        let mut writers: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        let mut doubtful = BTreeSet::new();
        let history = run(&mut phases(4, 3, 1).0.limit(3000), 3);
        let updates = history.events.iter().filter(|event| event.f != "read");
        let mut late = 0;
        for event in updates {
            let key = event.key.clone().expect("every call has a key");
            match (event.kind, event.process) {
                (Kind::Info, _) => drop(doubtful.insert(key)),
                (Kind::Invoke, Process::Client(process)) => {
                    late += usize::from(doubtful.contains(&key));
                    writers.entry(key).or_default().insert(process % 3);
                }
                _ => {}
            }
        }
        assert_eq!(late, 0, "updates of keys in doubt");
        let own = writers.values().filter(|workers| workers.len() == 1).count();
        assert!(own * 2 > writers.len(), "{own} of {} keys have one writer", writers.len());
    }

    #[test]
    fn everybody_reads_the_keys_in_doubt_at_the_end_and_writes() {
        for (workers, keys, operations) in [(1, 1, 50), (5, 2, 400), (2, 5, 300), (3, 3, 20_000)] {
            let (main, mut liveness) = phases(6, workers, keys);
            run(&mut main.limit(operations), workers);
            let doubtful = liveness.book.doubtful();
            assert!(!doubtful.is_empty(), "every tenth outcome is lost");
            let history = run(&mut liveness, workers);
            let mut done: BTreeMap<(&str, &str), usize> = BTreeMap::new();
            for event in history.events.iter().filter(|event| event.kind == Kind::Ok) {
                let key = event.key.as_deref().expect("every call has a key");
                *done.entry((event.f.as_str(), key)).or_default() += 1;
            }
            for key in doubtful.iter().take(MOST_FINAL_READS).map(usize::to_string) {
                assert_eq!(done.get(&("read", key.as_str())), Some(&workers), "key {key}");
            }
            assert!(count(&history, "read", Kind::Ok) <= workers * 2 * MOST_FINAL_READS);
            assert_eq!(count(&history, "write", Kind::Ok), workers);
        }
    }
}
