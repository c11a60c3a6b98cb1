//! Small random histories: an object is played with at random moments, and now and then the record lies.

use grudge_checkers::history::{Event, History, Kind, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// A call that was made and not yet answered.
struct Open {
    process: u64,
    f: &'static str,
    argument: Value,
    answer: Option<Value>,
}

/// At most seven operations by up to four processes on one object.
pub fn history(rng: &mut ChaCha8Rng, model: &str) -> History {
    let mut events: Vec<Event> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut object = Object { unique: rng.random_ratio(1, 2), ..Object::default() };
    let mut left = rng.random_range(2..=7);
    let mut next_process = 4;
    let mut free: Vec<u64> = (0..rng.random_range(1..=4)).collect();
    while left > 0 || !open.is_empty() {
        match rng.random_range(0..3) {
            0 if left > 0 && !free.is_empty() => {
                left -= 1;
                let process = free.swap_remove(rng.random_range(0..free.len()));
                let (f, argument) = object.call(rng, model);
                events.push(event(&events, process, Kind::Invoke, f, argument.clone()));
                open.push(Open { process, f, argument, answer: None });
            }
            1 if !open.is_empty() => {
                let at = rng.random_range(0..open.len());
                if open[at].answer.is_none() {
                    open[at].answer = Some(object.apply(rng, open[at].f, &open[at].argument));
                }
            }
            2 if !open.is_empty() => {
                let Open { process, f, argument, answer } = open.swap_remove(rng.random_range(0..open.len()));
                let (kind, value) = match answer {
                    _ if rng.random_ratio(1, 6) => (Kind::Info, argument),
                    None if rng.random_ratio(1, 3) => (Kind::Fail, argument),
                    None => (Kind::Ok, object.lie(rng, f, argument)),
                    Some(Value::Bool(false)) => (Kind::Fail, argument),
                    Some(answer) => (Kind::Ok, answer),
                };
                if kind == Kind::Info {
                    free.push(next_process);
                    next_process += 1;
                    if rng.random_ratio(1, 2) {
                        continue;
                    }
                } else {
                    free.push(process);
                }
                events.push(event(&events, process, kind, f, value));
            }
            _ => {}
        }
    }
    History { events }
}

fn event(events: &[Event], process: u64, kind: Kind, f: &str, value: Value) -> Event {
    let index = events.len() as u64;
    let process = Process::Client(process);
    let f = f.to_owned();
    Event {
        index,
        time: index,
        process,
        kind,
        f,
        key: None,
        value,
        node: None,
        error: None,
        version: None,
        extra: vec![],
    }
}

/// A register and a lock in one.
#[derive(Default)]
struct Object {
    value: Value,
    held: bool,
    token: i64,
    current: i64,
    /// Whether values are written once.
    unique: bool,
    written: u64,
}

impl Object {
    fn call(&mut self, rng: &mut ChaCha8Rng, model: &str) -> (&'static str, Value) {
        self.written += 1;
        let small = |rng: &mut ChaCha8Rng| json!(if self.unique { self.written } else { rng.random_range(0..4) });
        let token = |rng: &mut ChaCha8Rng| json!((self.token - rng.random_range(0..2)).max(1));
        match (model, rng.random_range(0..3)) {
            ("register" | "cas-register", 0) => ("read", Value::Null),
            ("cas-register", 1) if rng.random_ratio(3, 4) => {
                let old = if rng.random_ratio(2, 3) { self.value.clone() } else { self.some(rng) };
                ("cas", json!([old, small(rng)]))
            }
            ("register" | "cas-register", _) => ("write", small(rng)),
            ("mutex", _) => (if self.held != rng.random_ratio(1, 4) { "release" } else { "acquire" }, Value::Null),
            (_, 0) => ("acquire", Value::Null),
            (_, 1) => ("prove", token(rng)),
            (_, _) => ("release", token(rng)),
        }
    }

    /// `false` is a refusal.
    fn apply(&mut self, rng: &mut ChaCha8Rng, f: &str, argument: &Value) -> Value {
        let refused = Value::Bool(false);
        match f {
            "read" => return self.value.clone(),
            "write" => self.value = argument.clone(),
            "cas" if argument[0] != self.value => return refused,
            "cas" => self.value = argument[1].clone(),
            "acquire" if argument.is_null() && !self.held || rng.random_ratio(1, 3) => {
                self.held = true;
                self.token += 1;
                self.current = self.token;
                return json!(self.token);
            }
            "acquire" => return refused,
            "release" if self.held && argument.as_i64().is_none_or(|token| token == self.current) => {
                self.held = false;
                self.current = 0;
            }
            "prove" if self.current == argument.as_i64().unwrap_or(-1) => {}
            _ => return refused,
        }
        argument.clone()
    }

    /// A value that may have been written.
    fn some(&self, rng: &mut ChaCha8Rng) -> Value {
        let among = if self.unique { self.written + 1 } else { 4 };
        match rng.random_range(0..among) {
            0 => Value::Null,
            value => json!(value),
        }
    }

    /// The answer of a system that forgot to do it.
    fn lie(&self, rng: &mut ChaCha8Rng, f: &str, argument: Value) -> Value {
        match f {
            "read" => self.some(rng),
            "acquire" => json!(self.token + rng.random_range(0..2)),
            _ => argument,
        }
    }
}
