//! Simple objects that replay operations in a given order.

use std::collections::BTreeMap;

use grudge_checkers::history::{History, Operation, Outcome};
use grudge_checkers::judgement::Linearization;
use grudge_checkers::model::{CasRegister, FencedMutex, Mutex, Register};
use serde_json::Value;

/// An object, written down again as plainly as possible.
pub trait Replay {
    /// What it remembers.
    type Memory: Clone;
    /// In the beginning.
    fn start(&self) -> Self::Memory;
    /// All that may come of an operation; nothing if it cannot have happened.
    fn outcomes(&self, memory: &Self::Memory, operation: &Operation<'_>) -> Vec<Self::Memory>;
}

fn register(memory: &Value, operation: &Operation<'_>) -> Vec<Value> {
    let argument = &operation.invoke.value;
    match operation.f() {
        "read" => match operation.completion {
            Some(completion) if operation.outcome() == Outcome::Ok && completion.value != *memory => vec![],
            _ => vec![memory.clone()],
        },
        "write" => vec![argument.clone()],
        "cas" if argument[0] == *memory => vec![argument[1].clone()],
        _ => vec![],
    }
}

impl Replay for Register {
    type Memory = Value;
    fn start(&self) -> Value {
        Value::Null
    }
    fn outcomes(&self, memory: &Value, operation: &Operation<'_>) -> Vec<Value> {
        register(memory, operation)
    }
}

impl Replay for CasRegister {
    type Memory = Value;
    fn start(&self) -> Value {
        Value::Null
    }
    fn outcomes(&self, memory: &Value, operation: &Operation<'_>) -> Vec<Value> {
        register(memory, operation)
    }
}

impl Replay for Mutex {
    type Memory = bool;
    fn start(&self) -> bool {
        false
    }
    fn outcomes(&self, held: &bool, operation: &Operation<'_>) -> Vec<bool> {
        if (operation.f() == "release") == *held { vec![!held] } else { vec![] }
    }
}

/// The highest token and the current one.
impl Replay for FencedMutex {
    type Memory = (Option<i64>, Option<i64>);
    fn start(&self) -> Self::Memory {
        (None, None)
    }
    fn outcomes(&self, &(highest, current): &Self::Memory, operation: &Operation<'_>) -> Vec<Self::Memory> {
        let known = operation.completion.filter(|_| operation.outcome() == Outcome::Ok);
        let token = known.unwrap_or(operation.invoke).value.as_i64();
        match (operation.f(), token) {
            ("acquire", Some(_)) if token > highest => vec![(token, token)],
            // Nobody learnt this token: it is nobody's, and the next may be as low as it could have been.
            ("acquire", None) => vec![(highest, None)],
            ("prove", Some(_)) if token == current => vec![(highest, current)],
            ("release", Some(_)) if token == current => vec![(highest, None)],
            _ => vec![],
        }
    }
}

/// Replays the orders: each respects real time, holds all that happened, and is legal.
pub fn check<M: Replay>(model: &M, history: &History, orders: &[Linearization]) -> Result<(), String> {
    let operations = history.operations().map_err(|error| error.to_string())?;
    let by_call: BTreeMap<usize, &Operation<'_>> =
        operations.iter().map(|operation| (operation.call, operation)).collect();
    let mut placed = 0;
    for order in orders {
        let mut memory = model.start();
        let mut latest_call = 0;
        for &call in &order.order {
            let operation = by_call.get(&call).ok_or("no such call")?;
            if operation.ret.is_some_and(|ret| operation.outcome() == Outcome::Ok && ret < latest_call) {
                return Err(format!("the call at {call} returned before one that was put in order earlier began"));
            }
            latest_call = latest_call.max(call);
            memory = model
                .outcomes(&memory, operation)
                .pop()
                .ok_or_else(|| format!("the call at {call} is not legal where it was put"))?;
            placed += usize::from(operation.outcome() == Outcome::Ok);
        }
    }
    let happened = operations.iter().filter(|operation| operation.outcome() == Outcome::Ok).count();
    if placed == happened { Ok(()) } else { Err(format!("{happened} operations happened, {placed} are in order")) }
}
