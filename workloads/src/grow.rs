//! Collections that only grow: every value is put once, into one of a few collections that are open at a time, and whole
//! collections are read, the present ones and old ones.
//!
//! Two workloads are of this shape:
//!
//! - **set**: `add` puts an element into the set that is the key; `read` reads the whole set, and sees everything that was
//!   acknowledged before it began; `read-local` reads it as the node that is asked has it, which may be behind. A value
//!   read is the list of elements in order. Judged: nothing acknowledged or once shown is missing, nothing else is there.
//! - **multi**: `write` puts a value in two places by one transaction; `read` reads both places of all the key's values
//!   at one moment, as the node that is asked has it: `[[first halves], [second halves]]`. Judged: both or none.
//!
//! What is put stays for good, so a fault that swallows a little of it is seen by any later look: now and then in the
//! main phase, and by every worker (so at every node) after the last fault was healed. A collection is closed after its
//! share of values, which keeps reads short; closed ones are still read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grudge_checkers::history::{Event, Kind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::generator::{Generator, Next, Worker};
use crate::keys::{Book, Open};
use crate::operation::Invocation;

/// How many of twenty operations put something; the others read.
const PUTS: u32 = 17;

/// How many of ten reads are of any collection ever opened; the others are of an open one.
const READS_OF_ANY: u32 = 5;

/// Values of the liveness phase begin here, far from those of the main phase.
const LIVENESS_VALUES: u64 = 1_000_000_000;

/// A collection's operations and measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Puts a value.
    put: &'static str,
    /// Read the whole, each as often as the others. The first one is that of the liveness phase.
    reads: &'static [&'static str],
    /// How many values a collection gets while it is open.
    share: usize,
    /// How many collections each worker reads at the end.
    most_final_reads: usize,
}

/// See the module's text.
pub(crate) const SET: Shape = Shape { put: "add", reads: &["read", "read-local"], share: 100, most_final_reads: 200 };

/// See the module's text.
pub(crate) const MULTI: Shape = Shape { put: "write", reads: &["read"], share: 40, most_final_reads: 200 };

/// The main and the liveness phase, with so many collections open at a time.
pub(crate) fn phases(shape: Shape, seed: u64, keys: usize) -> (Growing, Recovered) {
    let book = Book::default();
    let open = (0..keys).map(|_| Open::fresh(&book)).collect();
    let main = Growing { shape, rng: ChaCha8Rng::seed_from_u64(seed), open, book: book.clone(), put: 0 };
    (main, Recovered { shape, book, put: LIVENESS_VALUES, open: BTreeMap::new() })
}

/// The main phase, for ever.
pub(crate) struct Growing {
    shape: Shape,
    rng: ChaCha8Rng,
    open: Vec<Open>,
    book: Book,
    put: u64,
}

impl Generator<Invocation> for Growing {
    fn next(&mut self, _: Duration, _: Worker) -> Next<Invocation> {
        let slot = self.rng.random_range(0..self.open.len());
        if self.rng.random_ratio(PUTS, 20) {
            self.put += 1;
            let key = self.open[slot].use_once(&self.book, self.shape.share);
            return Next::Op(Invocation::new(self.shape.put).on(key).with(self.put));
        }
        let read = self.shape.reads[self.rng.random_range(0..self.shape.reads.len())];
        let key = match self.rng.random_ratio(READS_OF_ANY, 10) {
            true => self.rng.random_range(0..self.book.opened()),
            false => self.open[slot].key,
        };
        Next::Op(Invocation::new(read).on(key.to_string()))
    }

    fn update(&mut self, _: Duration, worker: Option<Worker>, event: &Event) {
        // What was put while something went wrong is the most worth a look.
        if let (Some(_), Kind::Info, Some(Ok(key))) = (worker, event.kind, event.key.as_ref().map(|key| key.parse())) {
            self.book.doubt(key);
        }
    }
}

/// The liveness phase: each worker puts one value into a collection of its own and reads what was put in the whole run,
/// until each of those operations has succeeded once.
pub(crate) struct Recovered {
    shape: Shape,
    book: Book,
    put: u64,
    open: BTreeMap<Worker, Duties>,
}

/// What a worker has still to do.
struct Duties {
    put: Option<usize>,
    reads: BTreeSet<usize>,
}

impl Generator<Invocation> for Recovered {
    fn next(&mut self, _: Duration, worker: Worker) -> Next<Invocation> {
        let duties = self.open.entry(worker).or_insert_with(|| Duties {
            put: Some(self.book.opened() + worker.0),
            reads: self.book.worth_a_look(self.shape.most_final_reads),
        });
        match (duties.put, duties.reads.first()) {
            (Some(key), _) => {
                self.put += 1;
                Next::Op(Invocation::new(self.shape.put).on(key.to_string()).with(self.put))
            }
            (None, Some(key)) => Next::Op(Invocation::new(self.shape.reads[0]).on(key.to_string())),
            (None, None) => Next::Done,
        }
    }

    fn update(&mut self, _: Duration, worker: Option<Worker>, event: &Event) {
        let (Kind::Ok, Some(duties)) = (event.kind, worker.and_then(|worker| self.open.get_mut(&worker))) else {
            return;
        };
        if event.f == self.shape.put {
            duties.put = None;
        } else if let Some(Ok(key)) = event.key.as_ref().map(|key| key.parse::<usize>()) {
            duties.reads.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use grudge_checkers::history::History;
    use grudge_checkers::verdict::Verdict;
    use serde_json::{Value, json};

    use super::*;
    use crate::generator::Build;
    use crate::generator::simulate::{Answer, simulate};
    use crate::judge;
    use crate::operation::Outcome;

    /// What the store does wrong, from the so-manieth call on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Defect {
        None,
        /// It forgets the oldest value of each collection.
        Forgets,
        /// It serves plain reads without the newest value, if that is older than a second.
        Stale,
        /// The same, for local reads only.
        StaleLocally,
        /// It makes values up.
        Invents,
        /// It keeps one half of a transaction.
        Halves,
    }

    /// Collections in memory. The outcome of every `lose`-th call is lost; half of those took effect.
    struct Memory {
        shape: Shape,
        collections: BTreeMap<String, Vec<(u64, Duration)>>,
        calls: u64,
        lose: u64,
        defect: Defect,
    }

    /// From this call on the store is defective.
    const SPOILT: u64 = 600;

    impl Memory {
        fn answer(&mut self, now: Duration, invocation: &Invocation) -> Answer {
            self.calls += 1;
            let lost = self.calls.is_multiple_of(self.lose);
            let outcome = match invocation.value.as_u64() {
                Some(value) => {
                    if !lost || self.calls.is_multiple_of(2) {
                        let key = invocation.key.clone().unwrap_or_default();
                        self.collections.entry(key).or_default().push((value, now));
                    }
                    Outcome::ok(value, None)
                }
                None => Outcome::ok(self.read(now, invocation), None),
            };
            let outcome = if lost { Outcome::info("timeout") } else { outcome };
            (Duration::from_millis(1 + self.calls % 3), outcome)
        }

        fn read(&self, now: Duration, invocation: &Invocation) -> Value {
            let all = self.collections.get(invocation.key.as_deref().unwrap_or_default()).cloned().unwrap_or_default();
            let mut values: Vec<u64> = all.iter().map(|(value, _)| *value).collect();
            let whole = values.clone();
            let spoilt = self.calls > SPOILT;
            match self.defect {
                Defect::Forgets if spoilt && !values.is_empty() => drop(values.remove(0)),
                Defect::Stale if spoilt && !self.calls.is_multiple_of(3) => drop(values.pop()),
                Defect::StaleLocally if spoilt && invocation.f == "read-local" => drop(values.pop()),
                Defect::Invents if spoilt => values.push(now.subsec_nanos().into()),
                Defect::Halves if spoilt => drop(values.pop()),
                _ => {}
            }
            match self.shape.put {
                "write" => json!([whole, values]),
                _ => json!(values),
            }
        }
    }

    fn run(shape: Shape, seed: u64, workers: usize, lose: u64, defect: Defect) -> History {
        let mut memory = Memory { shape, collections: BTreeMap::new(), calls: 0, lose, defect };
        let (main, mut liveness) = phases(shape, seed, 2);
        let mut history = simulate(&mut main.limit(1500), workers, |now, _, invocation| memory.answer(now, invocation));
        let rest = simulate(&mut liveness, workers, |now, _, invocation| memory.answer(now, invocation));
        // Processes of the first part are not taken up again.
        for mut event in rest.events {
            if let grudge_checkers::history::Process::Client(process) = &mut event.process {
                *process += 1_000_000;
            }
            history.events.push(event);
        }
        history
    }

    fn verdicts(judge: fn(&History) -> Vec<crate::workload::Judgement>, history: &History) -> Vec<Verdict> {
        judge(history).into_iter().map(|judgement| judgement.verdict).collect()
    }

    #[test]
    fn a_store_that_keeps_everything_is_valid() {
        for seed in 0..20 {
            let set = verdicts(judge::sets, &run(SET, seed, 5, 11, Defect::None));
            assert_eq!(set, [Verdict::Valid, Verdict::Valid], "seed {seed}");
            let multi = verdicts(judge::pairs, &run(MULTI, seed, 5, 11, Defect::None));
            assert_eq!(multi, [Verdict::Valid], "seed {seed}");
        }
    }

    #[test]
    fn each_defect_is_found() {
        let cases = [
            (SET, Defect::Forgets, "lost"),
            (SET, Defect::Stale, "stale"),
            (SET, Defect::Invents, "phantom"),
            (MULTI, Defect::Halves, "fractured read"),
        ];
        for (shape, defect, word) in cases {
            for seed in 0..10 {
                let judge = if shape.put == "add" { judge::sets } else { judge::pairs };
                let verdict = verdicts(judge, &run(shape, seed, 5, 11, defect)).remove(0);
                let Verdict::Invalid { witness } = verdict else { panic!("{defect:?}, seed {seed}: {verdict}") };
                // What is stale for the last read of its element counts as lost.
                assert!(witness.reason.contains(word), "{defect:?}, seed {seed}: {witness}");
                assert!(witness.events.len() <= 8, "{defect:?}, seed {seed}: {witness}");
            }
        }
    }

    #[test]
    fn what_only_local_reads_miss_is_a_finding() {
        for seed in 0..10 {
            let verdicts = verdicts(judge::sets, &run(SET, seed, 5, u64::MAX, Defect::StaleLocally));
            assert_eq!(verdicts[0], Verdict::Valid, "seed {seed}");
            assert!(matches!(verdicts[1], Verdict::Invalid { .. }), "seed {seed}: {}", verdicts[1]);
        }
    }

    #[test]
    fn values_are_unique_and_everybody_reads_everything_at_the_end() {
        let history = run(SET, 3, 4, 10, Defect::None);
        let mut added = BTreeSet::new();
        let mut final_reads: BTreeMap<&str, usize> = BTreeMap::new();
        for event in &history.events {
            let late = matches!(event.process, grudge_checkers::history::Process::Client(1_000_000..));
            match (event.f.as_str(), event.kind) {
                ("add", Kind::Invoke) => assert!(added.insert(event.value.to_string()), "{} twice", event.value),
                ("read", Kind::Ok) if late => *final_reads.entry(event.key.as_deref().unwrap_or("")).or_default() += 1,
                _ => {}
            }
        }
        assert!(final_reads.len() > 10, "{final_reads:?}");
        assert!(final_reads.values().all(|reads| *reads == 4), "{final_reads:?}");
    }

    #[test]
    fn one_seed_gives_one_history() {
        assert_eq!(run(SET, 8, 4, 9, Defect::None), run(SET, 8, 4, 9, Defect::None));
        assert_ne!(run(SET, 8, 4, 9, Defect::None), run(SET, 9, 4, 9, Defect::None));
    }
}
