//! Small random histories: objects are played with at random moments, and now and then the record lies.

use std::collections::BTreeMap;

use grudge_checkers::history::{Event, History, Kind, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// What a history is like; drawn from the seed.
#[derive(Clone, Copy, Debug)]
pub struct Knobs {
    /// How many operations are called.
    pub operations: u32,
    /// How many processes call at the same time.
    pub processes: u64,
    /// How many objects there are.
    pub keys: u32,
    /// From how many values is drawn.
    pub values: u64,
    /// Whether each value is used once instead.
    pub unique: bool,
    /// Of a hundred calls, how many lose their answer.
    pub crashed: u32,
    /// Of a hundred answers, how many are wrong.
    pub lies: u32,
}

impl Knobs {
    /// Few enough operations for a trial of every order.
    pub fn small(rng: &mut ChaCha8Rng) -> Knobs {
        Knobs {
            operations: rng.random_range(2..=7),
            processes: rng.random_range(1..=4),
            keys: if rng.random_ratio(1, 8) { 2 } else { 1 },
            values: rng.random_range(2..=4),
            unique: rng.random_ratio(1, 2),
            crashed: [0, 15, 40][rng.random_range(0..3)],
            lies: [0, 20, 50][rng.random_range(0..3)],
        }
    }
}

/// An object to play with.
pub trait Object {
    /// Says which process is the next to call, or whose call is done.
    fn caller(&mut self, _process: u64) {}

    /// Draws a call: its name and its argument.
    fn call(&mut self, rng: &mut ChaCha8Rng, knobs: &Knobs) -> (&'static str, Value);

    /// Does it, and answers; nothing if it refuses.
    fn apply(&mut self, rng: &mut ChaCha8Rng, f: &str, argument: &Value) -> Option<Answer>;

    /// An answer that was made up, of a call that was done or not.
    fn lie(&mut self, rng: &mut ChaCha8Rng, knobs: &Knobs, f: &str, argument: &Value) -> Answer;
}

/// What a call that succeeded returns.
#[derive(Clone, Debug)]
pub struct Answer {
    pub value: Value,
    pub version: Option<i64>,
}

impl From<Value> for Answer {
    fn from(value: Value) -> Answer {
        Answer { value, version: None }
    }
}

/// A call that was made and has not returned.
struct Open {
    process: u64,
    key: u32,
    f: &'static str,
    argument: Value,
    done: Option<Option<Answer>>,
}

/// Plays with one object a key.
pub fn history<O: Object>(rng: &mut ChaCha8Rng, knobs: &Knobs, object: impl Fn(&mut ChaCha8Rng) -> O) -> History {
    let mut objects: BTreeMap<u32, O> = (0..knobs.keys).map(|key| (key, object(rng))).collect();
    let mut play = Play { events: Vec::new(), keyed: knobs.keys > 1 };
    let mut open: Vec<Open> = Vec::new();
    let mut left = knobs.operations;
    let mut free: Vec<u64> = (0..knobs.processes).collect();
    let mut next_process = knobs.processes;
    while left > 0 || !open.is_empty() {
        match rng.random_range(0..3) {
            0 if left > 0 && !free.is_empty() => {
                left -= 1;
                let process = free.swap_remove(rng.random_range(0..free.len()));
                let key = rng.random_range(0..knobs.keys);
                let object = objects.get_mut(&key).expect("it is there");
                object.caller(process);
                let (f, argument) = object.call(rng, knobs);
                let call = Open { process, key, f, argument, done: None };
                play.tell(&call, Kind::Invoke, call.argument.clone().into());
                open.push(call);
            }
            1 if !open.is_empty() => {
                let at = rng.random_range(0..open.len());
                let Open { process, key, f, argument, done } = &mut open[at];
                if done.is_none() {
                    let object = objects.get_mut(key).expect("it is there");
                    object.caller(*process);
                    *done = Some(object.apply(rng, f, argument));
                }
            }
            2 if !open.is_empty() => {
                let call = open.swap_remove(rng.random_range(0..open.len()));
                let object = objects.get_mut(&call.key).expect("it is there");
                object.caller(call.process);
                if rng.random_ratio(knobs.crashed, 100) {
                    free.push(next_process);
                    next_process += 1;
                    // The loss is written down or not.
                    if rng.random_ratio(1, 2) {
                        play.tell(&call, Kind::Info, call.argument.clone().into());
                    }
                    continue;
                }
                free.push(call.process);
                let answer = match &call.done {
                    _ if rng.random_ratio(knobs.lies, 100) => Some(object.lie(rng, knobs, call.f, &call.argument)),
                    Some(answer) => answer.clone(),
                    None if rng.random_ratio(1, 4) => None,
                    None => object.apply(rng, call.f, &call.argument),
                };
                match answer {
                    Some(answer) => play.tell(&call, Kind::Ok, answer),
                    None => play.tell(&call, Kind::Fail, call.argument.clone().into()),
                }
            }
            _ => {}
        }
    }
    History { events: play.events }
}

struct Play {
    events: Vec<Event>,
    keyed: bool,
}

impl Play {
    fn tell(&mut self, call: &Open, kind: Kind, Answer { value, version }: Answer) {
        let index = self.events.len() as u64;
        self.events.push(Event {
            index,
            time: index,
            process: Process::Client(call.process),
            kind,
            f: call.f.to_owned(),
            key: self.keyed.then(|| format!("k{}", call.key)),
            value,
            node: None,
            error: None,
            version,
            extra: vec![],
        });
    }
}
