//! Long histories as a run makes them: workers that call without pause, an object that answers at one moment inside
//! each call, and now and then an answer that is lost.

use std::collections::BTreeMap;

use grudge_checkers::history::{Event, History, Kind, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many operations are called.
    pub operations: usize,
    /// How many registers there are.
    pub keys: usize,
    /// How many calls are open at once.
    pub workers: usize,
    /// Of a hundred operations, how many are reads; the others are writes and compare-and-sets by halves.
    pub reads: u32,
    /// Of a thousand operations, how many lose their answer.
    pub lost: u32,
}

struct Open {
    worker: usize,
    process: u64,
    key: String,
    f: &'static str,
    argument: Value,
    /// When it takes effect and when it is answered; a lost answer's effect may come long after.
    effect: u64,
    end: u64,
    answer: Option<(Kind, Value)>,
    /// Of what it left or found.
    version: Option<i64>,
}

/// A history of linearizable registers. Written values are unique, and answers tell the version.
pub fn registers(rng: &mut ChaCha8Rng, shape: Shape) -> History {
    let mut events: Vec<Event> = Vec::new();
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    let mut versions: BTreeMap<String, i64> = BTreeMap::new();
    let mut open: Vec<Open> = Vec::new();
    let mut late: Vec<Open> = Vec::new();
    let mut processes: Vec<u64> = (0..shape.workers as u64).collect();
    let mut idle: Vec<(u64, usize)> = (0..shape.workers).map(|worker| (worker as u64, worker)).collect();
    let (mut called, mut written) = (0, 0);
    while called < shape.operations || !open.is_empty() {
        idle.sort_unstable();
        let start = idle.first().filter(|_| called < shape.operations).map(|idle| idle.0);
        let effect = open.iter().chain(&late).filter(|call| call.answer.is_none()).map(|call| call.effect).min();
        let end = open.iter().map(|call| call.end).min();
        let now = [start, effect, end].into_iter().flatten().min().expect("something is to come");
        if effect == Some(now) {
            let mut calls = open.iter_mut().chain(&mut late);
            let call = calls.find(|call| call.answer.is_none() && call.effect == now).expect("it is there");
            let answer = apply(values.entry(call.key.clone()).or_default(), call.f, &call.argument);
            if answer.0 == Kind::Ok && call.f != "read" {
                versions.insert(call.key.clone(), now as i64);
            }
            call.version = versions.get(&call.key).copied();
            call.answer = Some(answer);
        } else if end == Some(now) {
            let at = open.iter().position(|call| call.end == now).expect("it is there");
            let call = open.swap_remove(at);
            let (kind, value) = call.answer.clone().unwrap_or((Kind::Info, call.argument.clone()));
            events.push(event(events.len(), now, call.process, kind, &call, value));
            if kind == Kind::Info {
                processes[call.worker] += shape.workers as u64;
            }
            idle.push((now + rng.random_range(1..1_000), call.worker));
            if call.answer.is_none() {
                late.push(call);
            }
        } else {
            let (_, worker) = idle.remove(0);
            called += 1;
            written += 1;
            let key = format!("r{}", rng.random_range(0..shape.keys));
            let seen = values.entry(key.clone()).or_default().clone();
            let (f, argument) = match rng.random_range(0..100) {
                roll if roll < shape.reads => ("read", Value::Null),
                roll if roll % 2 == 0 => ("cas", json!([seen, written])),
                _ => ("write", json!(written)),
            };
            let length = rng.random_range(1_000..20_000);
            let lost = rng.random_ratio(shape.lost, 1000);
            let effect = now + if lost { length + rng.random_range(1..200_000) } else { rng.random_range(1..length) };
            let process = processes[worker];
            let call =
                Open { worker, process, key, f, argument, effect, end: now + length, answer: None, version: None };
            events.push(event(events.len(), now, process, Kind::Invoke, &call, call.argument.clone()));
            open.push(call);
        }
    }
    History { events }
}

fn apply(value: &mut Value, f: &str, argument: &Value) -> (Kind, Value) {
    match f {
        "read" => return (Kind::Ok, value.clone()),
        "cas" if argument[0] != *value => return (Kind::Fail, argument.clone()),
        "cas" => *value = argument[1].clone(),
        _ => *value = argument.clone(),
    }
    (Kind::Ok, argument.clone())
}

fn event(index: usize, time: u64, process: u64, kind: Kind, call: &Open, value: Value) -> Event {
    Event {
        index: index as u64,
        time,
        process: Process::Client(process),
        kind,
        f: call.f.to_owned(),
        key: Some(call.key.clone()),
        value,
        node: Some(format!("n{}", call.worker % 5 + 1)),
        error: None,
        version: call.version.filter(|_| kind == Kind::Ok),
        extra: Vec::new(),
    }
}
