//! Small random histories of a store whose nodes are behind, and whose record lies now and then.

use std::collections::BTreeMap;

use grudge_checkers::history::{Event, History, Kind, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

pub struct Case {
    pub history: History,
    /// Whether every rung can be decided: each value was written once, and either everything has a version or nothing.
    pub complete: bool,
}

struct Open {
    process: u64,
    f: &'static str,
    key: &'static str,
    argument: Value,
    answer: Option<(Kind, Value, Option<i64>)>,
}

/// What was written, in order: the version of each is its place.
#[derive(Clone)]
struct Write {
    key: &'static str,
    value: Value,
}

/// A case in which no version belongs to writes of two keys: those would be one transaction.
pub fn case(rng: &mut ChaCha8Rng) -> Case {
    loop {
        let case = any_case(rng);
        let versions = case.history.events.iter().filter_map(|event| Some((event.version?, event.key.clone()?)));
        let mut of: BTreeMap<i64, String> = BTreeMap::new();
        if versions.into_iter().all(|(version, key)| *of.entry(version).or_insert_with(|| key.clone()) == key) {
            return case;
        }
    }
}

fn any_case(rng: &mut ChaCha8Rng) -> Case {
    let unique = rng.random_ratio(5, 6);
    let versioned = rng.random_ratio(1, 3);
    let gaps = versioned && rng.random_ratio(1, 5);
    let users = rng.random_ratio(1, 3);
    let nodes = rng.random_ratio(2, 3);
    let keys = &["x", "y"][..rng.random_range(1..=2)];
    let lag = rng.random_range(0..3);
    let lies = rng.random_range(0..3);
    let mut log: Vec<Write> = Vec::new();
    let mut events: Vec<Event> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut left = rng.random_range(3..=8);
    let mut free: Vec<u64> = (0..rng.random_range(1..=3)).collect();
    let (mut next_process, mut next_value) = (3, 0);
    let quiet = rng.random_range(0..4);
    while left > 0 || !open.is_empty() {
        match rng.random_range(0..3) {
            0 if left > 0 && !free.is_empty() => {
                left -= 1;
                let process = free.swap_remove(rng.random_range(0..free.len()));
                let key = keys[rng.random_range(0..keys.len())];
                next_value += 1;
                let fresh = json!(if unique { next_value } else { rng.random_range(1..4) });
                let (f, argument) = match rng.random_range(0..5) {
                    0 | 1 if left >= quiet => ("write", fresh),
                    2 if left >= quiet && rng.random_ratio(1, 2) => {
                        ("cas", json!([seen(rng, &log, key, lag).0, fresh]))
                    }
                    _ => ("read", Value::Null),
                };
                events.push(event(&events, process, Kind::Invoke, f, key, argument.clone(), None, users, nodes));
                open.push(Open { process, f, key, argument, answer: None });
            }
            1 if !open.is_empty() => {
                let at = rng.random_range(0..open.len());
                let Open { f, key, argument, answer, .. } = &mut open[at];
                if answer.is_none() {
                    *answer = Some(apply(rng, &mut log, f, key, argument, lag));
                }
            }
            2 if !open.is_empty() => {
                let Open { process, f, key, argument, answer } = open.swap_remove(rng.random_range(0..open.len()));
                let (kind, mut value, mut version) = match answer {
                    _ if rng.random_ratio(1, 8) => (Kind::Info, argument, None),
                    None if rng.random_ratio(1, 3) => (Kind::Fail, argument, None),
                    None => apply(rng, &mut log, f, key, &argument, lag),
                    Some(answer) => answer,
                };
                if kind == Kind::Ok && f == "read" && rng.random_ratio(lies, 12) {
                    (value, version) = seen(rng, &log, key, 5);
                    if rng.random_ratio(1, 3) {
                        value = json!(rng.random_range(1..=next_value));
                    }
                }
                if kind == Kind::Ok && f == "write" && rng.random_ratio(lies, 24) {
                    version = version.map(|version| (version + rng.random_range(-2..=2)).max(1));
                }
                if gaps && rng.random_ratio(1, 3) {
                    version = None;
                }
                free.push(if kind == Kind::Info { next_process } else { process });
                next_process += u64::from(kind == Kind::Info);
                if kind == Kind::Info && rng.random_ratio(1, 2) {
                    continue;
                }
                let version = version.filter(|_| versioned);
                events.push(event(&events, process, kind, f, key, value, version, users, nodes));
            }
            _ => {}
        }
    }
    let answers = || events.iter().filter(|event| event.kind == Kind::Ok);
    let whole = answers().all(|event| event.version.is_some() != (event.f == "read" && event.value.is_null()));
    let complete = unique && (whole || answers().all(|event| event.version.is_none()));
    Case { history: History { events }, complete }
}

/// What a node that is up to so many writes behind holds.
fn seen(rng: &mut ChaCha8Rng, log: &[Write], key: &str, lag: usize) -> (Value, Option<i64>) {
    let known = log.len() - rng.random_range(0..=lag.min(log.len()));
    match log[..known].iter().rposition(|write| write.key == key) {
        Some(at) => (log[at].value.clone(), Some(at as i64 + 1)),
        None => (Value::Null, None),
    }
}

fn apply(
    rng: &mut ChaCha8Rng,
    log: &mut Vec<Write>,
    f: &str,
    key: &'static str,
    argument: &Value,
    lag: usize,
) -> (Kind, Value, Option<i64>) {
    match f {
        "read" => {
            let (value, version) = seen(rng, log, key, lag);
            return (Kind::Ok, value, version);
        }
        "write" => log.push(Write { key, value: argument.clone() }),
        _ if seen(rng, log, key, lag.min(1)).0 == argument[0] => log.push(Write { key, value: argument[1].clone() }),
        _ => return (Kind::Fail, argument.clone(), None),
    }
    (Kind::Ok, argument.clone(), Some(log.len() as i64))
}

#[allow(clippy::too_many_arguments)]
fn event(
    events: &[Event],
    process: u64,
    kind: Kind,
    f: &str,
    key: &str,
    value: Value,
    version: Option<i64>,
    users: bool,
    nodes: bool,
) -> Event {
    let index = events.len() as u64;
    let extra = if users && process < 3 { vec![("user".to_owned(), (process % 2).to_string())] } else { Vec::new() };
    Event {
        index,
        time: index,
        process: Process::Client(process),
        kind,
        f: f.to_owned(),
        key: Some(key.to_owned()),
        value,
        node: nodes.then(|| format!("n{}", process % 3)),
        error: None,
        version,
        extra,
    }
}
