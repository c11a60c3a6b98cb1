//! A store of lists or registers that runs a few transactions at a chosen isolation, and a record of it that may lie.

use std::collections::{BTreeMap, BTreeSet};

use grudge_checkers::history::{Event, History, Kind, Process};
use grudge_checkers::transactions::Kind as Objects;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// How the store isolates transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each at one moment.
    Serial,
    /// Each reads one state, and of two that write the same key the first to commit wins.
    Snapshot,
    /// Each reads what is committed at that moment.
    ReadCommitted,
    /// Each writes and reads at once, and what an aborted one wrote stays.
    Dirty,
}

/// What a store is asked to do, and how much.
pub struct Knobs {
    pub objects: Objects,
    pub mode: Mode,
    pub transactions: usize,
    pub keys: u64,
    /// Whether the record may lie.
    pub lies: bool,
    /// Whether a last transaction reads every key.
    pub read_all: bool,
}

type State = BTreeMap<u64, Vec<u64>>;

struct Running {
    process: u64,
    micros: Vec<Micro>,
    done: usize,
    snapshot: State,
    /// Its own writes, by key.
    own: State,
    ended: Option<bool>,
}

#[derive(Clone)]
struct Micro {
    key: u64,
    write: Option<u64>,
    read: Vec<u64>,
}

/// A history of a few transactions by up to three processes.
pub fn history(rng: &mut ChaCha8Rng, knobs: &Knobs) -> History {
    let mut store = Store { knobs, state: State::new(), written: 0, events: Vec::new() };
    let (mut left, mut next_process, mut free) = (knobs.transactions, 3, vec![0, 1, 2]);
    let mut running: Vec<Running> = Vec::new();
    while left > 0 || !running.is_empty() {
        let at = if running.is_empty() { 0 } else { rng.random_range(0..running.len()) };
        match rng.random_range(0..3) {
            0 if left > 0 && !free.is_empty() => {
                left -= 1;
                let process = free.swap_remove(rng.random_range(0..free.len()));
                let begun = store.begin(rng, process);
                running.push(begun);
            }
            1 if !running.is_empty() => store.advance(rng, &mut running[at]),
            2 if !running.is_empty() && (running[at].ended.is_some() || rng.random_ratio(1, 8)) => {
                let ended = running.swap_remove(at);
                let process = ended.process;
                if store.end(rng, ended) {
                    free.push(process);
                } else {
                    free.push(next_process);
                    next_process += 1;
                }
            }
            _ => {}
        }
    }
    if knobs.read_all {
        store.read_all();
    }
    let mut events = store.events;
    if knobs.lies {
        lie(rng, knobs.objects, &mut events);
    }
    History { events }
}

struct Store<'k> {
    knobs: &'k Knobs,
    state: State,
    written: u64,
    events: Vec<Event>,
}

impl Store<'_> {
    fn begin(&mut self, rng: &mut ChaCha8Rng, process: u64) -> Running {
        let micros: Vec<Micro> = (0..rng.random_range(1..=3))
            .map(|_| {
                let key = rng.random_range(0..self.knobs.keys);
                let write = rng.random_ratio(1, 2).then(|| {
                    self.written += 1;
                    self.written
                });
                Micro { key, write, read: Vec::new() }
            })
            .collect();
        self.event(process, Kind::Invoke, &micros);
        Running { process, micros, done: 0, snapshot: State::new(), own: State::new(), ended: None }
    }

    fn advance(&mut self, rng: &mut ChaCha8Rng, running: &mut Running) {
        if running.ended.is_some() {
            return;
        }
        if running.done == 0 {
            running.snapshot = self.state.clone();
        }
        while self.knobs.mode == Mode::Serial && running.done < running.micros.len() {
            self.micro(running);
        }
        if running.done < running.micros.len() {
            self.micro(running);
        }
        if running.done == running.micros.len() && (self.knobs.mode == Mode::Serial || rng.random_ratio(1, 2)) {
            running.ended = Some(self.commit(rng, running));
        }
    }

    fn micro(&mut self, running: &mut Running) {
        let Micro { key, write, .. } = running.micros[running.done];
        let from = if self.knobs.mode == Mode::Snapshot { &running.snapshot } else { &self.state };
        match write {
            Some(value) if self.knobs.mode == Mode::Dirty => self.state.entry(key).or_default().push(value),
            Some(value) => running.own.entry(key).or_default().push(value),
            None => {
                let both = from.get(&key).into_iter().chain(running.own.get(&key));
                running.micros[running.done].read = both.flatten().copied().collect();
            }
        }
        running.done += 1;
    }

    fn commit(&mut self, rng: &mut ChaCha8Rng, running: &mut Running) -> bool {
        let changed = |key: &u64| running.snapshot.get(key).map(Vec::len) != self.state.get(key).map(Vec::len);
        let lost = self.knobs.mode == Mode::Snapshot && running.own.keys().any(changed);
        if lost || rng.random_ratio(1, 10) {
            return false;
        }
        for (key, values) in &running.own {
            self.state.entry(*key).or_default().extend(values);
        }
        true
    }

    /// Whether its process goes on.
    fn end(&mut self, rng: &mut ChaCha8Rng, ended: Running) -> bool {
        let Running { process, micros, ended, .. } = ended;
        let kind = match ended {
            _ if rng.random_ratio(1, 8) => Kind::Info,
            Some(true) => Kind::Ok,
            Some(false) | None => Kind::Fail,
        };
        if kind != Kind::Info || rng.random_ratio(1, 2) {
            self.event(process, kind, &micros);
        }
        kind != Kind::Info
    }

    fn read_all(&mut self) {
        let micros = |state: &State| -> Vec<Micro> {
            let read = |key: u64| state.get(&key).cloned().unwrap_or_default();
            (0..self.knobs.keys).map(|key| Micro { key, write: None, read: read(key) }).collect()
        };
        let micros = micros(&self.state);
        self.event(1_000, Kind::Invoke, &micros);
        self.event(1_000, Kind::Ok, &micros);
    }

    fn event(&mut self, process: u64, kind: Kind, micros: &[Micro]) {
        let objects = self.knobs.objects;
        let write = if objects == Objects::ListAppend { "append" } else { "w" };
        let shown = |Micro { key, write: value, read }: &Micro| match (value, kind, objects) {
            (Some(value), _, _) => json!([write, key, value]),
            (None, Kind::Ok, Objects::ListAppend) => json!(["r", key, read]),
            (None, Kind::Ok, Objects::RwRegister) => json!(["r", key, read.last()]),
            (None, _, _) => json!(["r", key, null]),
        };
        let value = micros.iter().map(shown).collect();
        let (index, process, f) = (self.events.len() as u64, Process::Client(process), "txn".to_owned());
        let (key, node, error, version, extra) = (None, None, None, None, Vec::new());
        self.events.push(Event { index, time: index, process, kind, f, key, value, node, error, version, extra });
    }
}

/// One read that was answered says something else.
fn lie(rng: &mut ChaCha8Rng, objects: Objects, events: &mut [Event]) {
    let values: BTreeSet<u64> = events.iter().flat_map(writes).collect();
    let values: Vec<u64> = values.into_iter().collect();
    let mut reads = Vec::new();
    for (number, event) in events.iter().enumerate().filter(|(_, event)| event.kind == Kind::Ok) {
        let micros = event.value.as_array().expect("a list of micro-operations");
        reads.extend((0..micros.len()).filter(|&at| micros[at][0] == "r").map(|at| (number, at)));
    }
    if reads.is_empty() || values.is_empty() {
        return;
    }
    let (number, at) = reads[rng.random_range(0..reads.len())];
    let read = &mut events[number].value[at][2];
    let other = values[rng.random_range(0..values.len())];
    match (objects, read.as_array_mut()) {
        (Objects::ListAppend, Some(list)) => match rng.random_range(0..4) {
            0 => list.push(json!(other)),
            1 if list.len() > 1 => list.swap(0, 1),
            _ => drop(list.pop()),
        },
        _ => *read = if rng.random_ratio(1, 4) { Value::Null } else { json!(other) },
    }
}

fn writes(event: &Event) -> Vec<u64> {
    let micros = event.value.as_array().expect("a list of micro-operations");
    micros.iter().filter(|micro| micro[0] != "r").filter_map(|micro| micro[2].as_u64()).collect()
}
