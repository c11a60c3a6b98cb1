//! Registers whose every value is written once: `cargo bench -p grudge-checkers --bench unique -- WORD…`.
//!
//! Workers call without pause, so that as many calls are open as there are workers. A history is kept as rows of a few
//! bytes, from which events are made as they are asked for. The line below a scenario tells the making of the events and
//! the taking of them (pairing included) apart from deciding (the witness included).

mod measure;

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use grudge_checkers::checker::Checker;
use grudge_checkers::history::{Event, Kind, Process, ReadError, Tape};
use grudge_checkers::linearizability::Limits;
use grudge_checkers::model::Named;
use measure::{Bench, Scenario, say};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

const WORKERS: usize = 50;

#[derive(Clone, Copy, Debug)]
struct Shape {
    operations: usize,
    keys: usize,
    /// Of a thousand operations, how many lose their answer; half of them happened.
    lost: u32,
    calls: Calls,
}

#[derive(Clone, Copy, Debug)]
enum Calls {
    /// Half reads, two fifths writes, one tenth compare-and-sets that succeed.
    Mixed,
    /// Reads and compare-and-sets by halves: each key is one chain.
    Chain,
}

/// What is wrong with a history.
#[derive(Clone, Copy, Debug)]
enum Lie {
    None,
    /// A read returns what was there long ago.
    Stale,
    /// A read returns what nobody wrote.
    FromNowhere,
    /// Two compare-and-sets find the same value.
    LostUpdate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum F {
    Read,
    Write,
    Cas,
}

/// One event. Values are counted from 1, and 0 is `null`.
#[derive(Clone, Copy, Debug)]
struct Row {
    process: u32,
    f: F,
    kind: Kind,
    key: u8,
    found: u32,
    written: u32,
}

struct Simulation {
    rng: ChaCha8Rng,
    calls: Calls,
    rows: Vec<Row>,
    /// By key.
    values: Vec<u32>,
    written: u32,
}

impl Simulation {
    fn run(Shape { operations, keys, lost, calls }: Shape) -> Rows {
        let (rng, rows) = (ChaCha8Rng::seed_from_u64(1), Vec::with_capacity(2 * operations));
        let mut simulation = Simulation { rng, calls, rows, values: vec![0; keys], written: 0 };
        let mut processes: Vec<u32> = (0..WORKERS as u32).collect();
        let mut open: Vec<usize> = processes.iter().map(|&process| simulation.call(process)).collect();
        let mut is_applied = [false; WORKERS];
        while simulation.rows.len() < 2 * operations {
            let worker = simulation.rng.random_range(0..WORKERS);
            let is_lost = simulation.rng.random_range(0..2000) < lost;
            if !is_lost && !is_applied[worker] {
                simulation.apply(open[worker]);
                is_applied[worker] = true;
                continue;
            }
            let kind = if is_lost { Kind::Info } else { Kind::Ok };
            simulation.rows.push(Row { kind, ..simulation.rows[open[worker]] });
            processes[worker] += if is_lost { WORKERS as u32 } else { 0 };
            open[worker] = simulation.call(processes[worker]);
            is_applied[worker] = false;
        }
        Rows(simulation.rows)
    }

    fn call(&mut self, process: u32) -> usize {
        let f = match (self.calls, self.rng.random_range(0..10)) {
            (Calls::Mixed, 5) => F::Cas,
            (Calls::Mixed, 6..) => F::Write,
            (Calls::Chain, 5..) => F::Cas,
            _ => F::Read,
        };
        self.written += 1;
        let written = if f == F::Read { 0 } else { self.written };
        let key = self.rng.random_range(0..self.values.len());
        // What is lost before it was applied would have found what is there now.
        let found = if f == F::Cas { self.values[key] } else { 0 };
        self.rows.push(Row { process, f, kind: Kind::Invoke, key: key as u8, found, written });
        self.rows.len() - 1
    }

    fn apply(&mut self, row: usize) {
        let Row { f, key, written, found, .. } = &mut self.rows[row];
        let value = &mut self.values[*key as usize];
        *found = *value;
        if *f != F::Read {
            *value = *written;
        }
    }
}

struct Rows(Vec<Row>);

impl Rows {
    /// Changes one answer.
    fn lie(mut self, lie: Lie) -> Rows {
        let third = self.0.len() / 3;
        let found = |at: &usize, f: F| self.0[*at].kind == Kind::Ok && self.0[*at].f == f;
        let late = (2 * third..self.0.len()).find(|at| found(at, F::Read)).expect("a late read");
        let of_key = |at: &usize| self.0[*at].key == self.0[late].key;
        let early = (0..third).rfind(|at| found(at, F::Read) && of_key(at)).expect("an early read");
        let updates = (late..self.0.len()).filter(|at| found(at, F::Cas) && of_key(at));
        let updates: Vec<usize> = updates.take(20).collect();
        match lie {
            Lie::None => {}
            Lie::Stale => self.0[late].found = self.0[early].found,
            Lie::FromNowhere => self.0[late].found = 999_999_999,
            Lie::LostUpdate => {
                let Row { process, written, .. } = self.0[updates[19]];
                let found = self.0[updates[0]].found;
                let both = self.0.iter_mut().filter(|row| row.process == process && row.written == written);
                both.for_each(|row| row.found = found);
            }
        }
        self
    }

    fn write(&self, at: usize, event: &mut Event) {
        let Row { process, f, kind, key, found, written } = self.0[at];
        let value = |value: u32| if value == 0 { Value::Null } else { Value::from(value) };
        (event.index, event.time, event.kind) = (at as u64, at as u64, kind);
        event.process = Process::Client(process.into());
        event.f.clear();
        event.f.push_str(["read", "write", "cas"][f as usize]);
        let name = event.key.get_or_insert_default();
        name.clear();
        let _ = write!(name, "k{key}");
        event.value = match (f, kind) {
            (F::Read, Kind::Ok) => value(found),
            (F::Read, _) => Value::Null,
            (F::Write, _) => value(written),
            (F::Cas, _) => Value::Array(vec![value(found), value(written)]),
        };
    }
}

impl Tape for Rows {
    fn play(&self, each: &mut dyn FnMut(&Event)) -> Result<(), ReadError> {
        let mut event = Event::empty();
        for at in 0..self.0.len() {
            self.write(at, &mut event);
            each(&event);
        }
        Ok(())
    }

    fn pick(&self, positions: &[usize]) -> Result<Vec<Event>, ReadError> {
        let pick = |&at: &usize| {
            let mut event = Event::empty();
            self.write(at, &mut event);
            event
        };
        Ok(positions.iter().map(pick).collect())
    }
}

fn main() {
    let mut bench = Bench::new();
    let lies = [("valid", Lie::None), ("stale read", Lie::Stale), ("from nowhere", Lie::FromNowhere)];
    let usual = Limits::default();
    for (operations, rounds) in [(100_000, 5), (1_000_000, 3), (10_000_000, 1)] {
        for (keys, lost) in [(1, 0), (1, 10), (100, 0), (100, 10)] {
            for (what, lie) in lies {
                let name = format!("register, {keys} keys, {}% lost, {what}", lost / 10);
                run(&mut bench, &name, Shape { operations, keys, lost, calls: Calls::Mixed }, lie, &usual, rounds);
            }
        }
        for (what, lie) in [("valid", Lie::None), ("lost update", Lie::LostUpdate), ("stale read", Lie::Stale)] {
            let name = format!("chain, 1 keys, 1% lost, {what}");
            run(&mut bench, &name, Shape { operations, keys: 1, lost: 10, calls: Calls::Chain }, lie, &usual, rounds);
        }
        // How far beyond its deadline a check goes that cannot end within it.
        let at_once = Limits { time: Duration::from_millis(10), ..usual };
        let shape = Shape { operations, keys: 1, lost: 10, calls: Calls::Mixed };
        run(&mut bench, "register, 1 keys, 1% lost, given up at once", shape, Lie::None, &at_once, 1);
    }
}

fn run(bench: &mut Bench, name: &str, shape: Shape, lie: Lie, limits: &Limits, rounds: usize) {
    let name = format!("{} {name}", shape.operations);
    if !bench.wants(&name) {
        return;
    }
    let rows = Simulation::run(shape).lie(lie);
    let making = timed(|| drop(rows.play(&mut |_| {}))).1;
    let (taking, deciding) = (Cell::new(Duration::MAX), Cell::new(Duration::MAX));
    let scenario = Scenario { name: &name, operations: shape.operations, concurrency: WORKERS, rounds };
    bench.measure(scenario, || {
        let mut checking = Checker::Linearizable(Named::CasRegister).begin(limits);
        let (_, taken) = timed(|| drop(rows.play(&mut |event| drop(checking.push(event)))));
        let (judgement, decided) = timed(|| checking.finish(&rows));
        taking.set(taking.get().min(taken.saturating_sub(making)));
        deciding.set(deciding.get().min(decided));
        judgement
    });
    say(&format!("    making {making:.1?}, taking {:.1?}, deciding {:.1?}", taking.get(), deciding.get()));
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = run();
    (done, start.elapsed())
}
