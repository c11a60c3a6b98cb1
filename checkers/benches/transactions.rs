//! Transactions on lists and registers: `cargo bench -p grudge-checkers --bench transactions -- WORD…`.
//!
//! Twenty workers run transactions of one to four micro-operations, each at one moment between its call and its return.
//! Ten keys are in use at a time; one that was written 32 times gives way to a new one, as in Elle's generator. Events are
//! made as they are asked for, so that the history itself takes little; what that takes is told below each row.

mod measure;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use grudge_checkers::checker::Checker;
use grudge_checkers::history::{Event, Kind, Process, ReadError, Tape};
use grudge_checkers::linearizability::Limits;
use grudge_checkers::transactions::{Kind as Objects, Promise};
use measure::{Bench, Scenario, say};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

const WORKERS: usize = 20;
const KEYS: u64 = 10;
const WRITES: u64 = 32;

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    /// In the middle, a transaction does not see the write before it.
    Stale,
    /// Two transactions in the middle do not see one another's writes.
    Skew,
    /// One transaction in a hundred reads what was there before the last write.
    Often,
    /// The last transaction does not see what the first ones wrote: with real time all are in one cycle.
    Ancient,
}

/// A micro-operation: the key, and how many writes of it were there when it was read, or which of them it is.
#[derive(Clone, Copy)]
enum Micro {
    Write { key: u64, value: u64 },
    Read { key: u64, count: u64 },
}

struct Made {
    objects: Objects,
    /// For each event, the transaction and whether it ends.
    events: Vec<(u32, bool)>,
    /// Where the micro-operations of each begin, and who runs it.
    starts: Vec<u32>,
    workers: Vec<u8>,
    micros: Vec<Micro>,
    making: Cell<Duration>,
}

fn make(objects: Objects, transactions: usize, lie: Lie) -> Made {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut made = Made {
        objects,
        events: Vec::with_capacity(2 * transactions),
        starts: vec![0],
        workers: Vec::with_capacity(transactions),
        micros: Vec::new(),
        making: Cell::default(),
    };
    let mut counts: BTreeMap<u64, u64> = (0..KEYS).map(|key| (key, 0)).collect();
    let mut next_key = KEYS;
    let mut open: Vec<(u8, u32)> = Vec::new();
    let mut free: Vec<u8> = (0..WORKERS as u8).collect();
    let mut begun = 0;
    while begun < transactions || !open.is_empty() {
        if begun < transactions && !free.is_empty() {
            let worker = free.swap_remove(rng.random_range(0..free.len()));
            let number = begun as u32;
            begun += 1;
            made.events.push((number, false));
            made.workers.push(worker);
            open.push((worker, number));
            // It happens with its call: the calls are in the order of the history's serialization.
            for _ in 0..rng.random_range(1..=4) {
                let active = rng.random_range(0..counts.len());
                let (&key, count) = counts.iter_mut().nth(active).expect("ten keys are in use");
                if rng.random_ratio(1, 2) {
                    *count += 1;
                    made.micros.push(Micro::Write { key, value: *count });
                    if *count == WRITES {
                        counts.remove(&key);
                        counts.insert(next_key, 0);
                        next_key += 1;
                    }
                } else {
                    made.micros.push(Micro::Read { key, count: *count });
                }
            }
            made.starts.push(made.micros.len() as u32);
        } else {
            let (worker, number) = open.swap_remove(rng.random_range(0..open.len()));
            made.events.push((number, true));
            free.push(worker);
        }
    }
    plant(&mut made, &mut rng, lie);
    made
}

/// Reads that stand alone are changed, so that no transaction contradicts itself.
fn plant(made: &mut Made, rng: &mut ChaCha8Rng, lie: Lie) {
    let transactions = made.workers.len();
    let alone = |made: &Made, number: usize| {
        let own = &made.micros[made.starts[number] as usize..made.starts[number + 1] as usize];
        matches!(own, [Micro::Read { count, .. }] if *count > 4).then_some(made.starts[number] as usize)
    };
    let back = |made: &mut Made, at: usize, by: u64| {
        if let Micro::Read { count, .. } = &mut made.micros[at] {
            *count -= by;
        }
    };
    match lie {
        Lie::None => {}
        Lie::Stale => {
            let at = (transactions / 2..transactions).find_map(|number| alone(made, number)).expect("a read");
            back(made, at, 4);
        }
        Lie::Often => {
            for number in 0..transactions {
                if let Some(at) = alone(made, number).filter(|_| rng.random_ratio(1, 4)) {
                    back(made, at, 1);
                }
            }
        }
        Lie::Ancient => {
            let last = made.starts[transactions - 1] as usize;
            made.micros[last] = Micro::Read { key: 0, count: 0 };
        }
        Lie::Skew => {
            let (one, other) = (u64::MAX >> 2, (u64::MAX >> 2) + 1);
            for (number, missed, written) in [(transactions / 2, one, other), (transactions / 2 + 1, other, one)] {
                let more = [Micro::Read { key: missed, count: 0 }, Micro::Write { key: written, value: 1 }];
                let end = made.starts[number + 1] as usize;
                made.micros.splice(end..end, more);
                made.starts[number + 1..].iter_mut().for_each(|start| *start += 2);
            }
        }
    }
}

impl Made {
    fn event(&self, position: usize) -> Event {
        let (number, ends) = self.events[position];
        let own = self.starts[number as usize] as usize..self.starts[number as usize + 1] as usize;
        let value = self.micros[own].iter().map(|micro| self.value(*micro, ends)).collect();
        let kind = if ends { Kind::Ok } else { Kind::Invoke };
        let process = Process::Client(u64::from(self.workers[number as usize]));
        let (index, f) = (position as u64, "txn".to_owned());
        let (key, node, error, version, extra) = (None, None, None, None, Vec::new());
        Event { index, time: index, process, kind, f, key, value, node, error, version, extra }
    }

    fn value(&self, micro: Micro, ends: bool) -> Value {
        match (micro, self.objects) {
            (Micro::Write { key, value }, Objects::ListAppend) => json!(["append", key, value]),
            (Micro::Write { key, value }, Objects::RwRegister) => json!(["w", key, value]),
            (Micro::Read { key, .. }, _) if !ends => json!(["r", key, null]),
            (Micro::Read { key, count }, Objects::ListAppend) => {
                let list: Vec<Value> = (1..=count).map(Value::from).collect();
                json!(["r", key, list])
            }
            (Micro::Read { key, count: 0 }, Objects::RwRegister) => json!(["r", key, null]),
            (Micro::Read { key, count }, Objects::RwRegister) => json!(["r", key, count]),
        }
    }
}

impl Tape for Made {
    fn play(&self, each: &mut dyn FnMut(&Event)) -> Result<(), ReadError> {
        let mut making = Duration::ZERO;
        for position in 0..self.events.len() {
            let began = Instant::now();
            let event = self.event(position);
            making += began.elapsed();
            each(&event);
        }
        self.making.set(making);
        Ok(())
    }

    fn pick(&self, positions: &[usize]) -> Result<Vec<Event>, ReadError> {
        Ok(positions.iter().map(|&position| self.event(position)).collect())
    }
}

fn main() {
    let mut bench = Bench::new();
    for (objects, transactions, lie) in [
        (Objects::ListAppend, 100_000, Lie::None),
        (Objects::ListAppend, 1_000_000, Lie::None),
        (Objects::ListAppend, 1_000_000, Lie::Stale),
        (Objects::ListAppend, 1_000_000, Lie::Skew),
        (Objects::ListAppend, 1_000_000, Lie::Often),
        (Objects::ListAppend, 1_000_000, Lie::Ancient),
        (Objects::RwRegister, 1_000_000, Lie::None),
        (Objects::RwRegister, 1_000_000, Lie::Stale),
        (Objects::RwRegister, 1_000_000, Lie::Ancient),
    ] {
        let promise = match objects {
            Objects::ListAppend => Promise::LIST_APPEND,
            Objects::RwRegister => Promise::RW_REGISTER,
        };
        let name = format!("{} {transactions} {lie:?}", promise.name()).to_lowercase();
        if !bench.wants(&name) {
            continue;
        }
        let made = make(objects, transactions, lie);
        let scenario = Scenario { name: &name, operations: transactions, concurrency: WORKERS, rounds: 2 };
        let pushing = Cell::new(Duration::ZERO);
        let notes = Cell::new(Vec::new());
        let measured = bench.measure(scenario, || {
            let mut checking = Checker::Transactions(promise).begin(&Limits::default());
            let began = Instant::now();
            made.play(&mut |event| drop(checking.push(event))).expect("it is in memory");
            pushing.set(began.elapsed() - made.making.get());
            let judgement = checking.finish(&made);
            notes.set(judgement.notes.clone());
            judgement
        });
        let [making, pushing] = [made.making.get(), pushing.get()].map(|time| time.as_secs_f64());
        let deciding = measured.best.as_secs_f64() - making - pushing;
        say(&format!("    events made {making:.2} s, taken {pushing:.2} s, judged about {deciding:.2} s"));
        let anomalies = notes.take().into_iter().next().filter(|note| note.starts_with("anomalies"));
        anomalies.into_iter().for_each(|note| say(&format!("    {note}")));
    }
}
