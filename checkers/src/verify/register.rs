//! Registers, replayed.

use serde_json::Value;

use super::{Part, Replay};
use crate::history::{Event, Operation, Outcome};
use crate::model::{CasRegister, FailedCas, NullReads, Register, RegisterRules};

impl RegisterRules {
    fn part(&self, operation: &Operation<'_>) -> Part {
        let answer = operation.completion.map(|completion| &completion.value);
        match (operation.f(), operation.outcome()) {
            ("read", Outcome::Ok) if answer == Some(&Value::Null) && self.null_reads == NullReads::TellNothing => {
                Part::Never
            }
            (_, Outcome::Ok) => Part::Must,
            (_, Outcome::Info) => Part::May,
            ("cas", Outcome::Fail) if self.failed_cas == FailedCas::FoundAnother => Part::Must,
            (_, Outcome::Fail) => Part::Never,
        }
    }

    fn apply(memory: &mut Value, operation: &Operation<'_>) -> bool {
        let argument = &operation.invoke.value;
        match (operation.f(), operation.outcome()) {
            ("read", Outcome::Ok) => return operation.completion.is_some_and(|completion| completion.value == *memory),
            ("read", _) => {}
            ("write", _) => *memory = argument.clone(),
            ("cas", Outcome::Fail) => return argument[0] != *memory,
            ("cas", _) if argument[0] == *memory => *memory = argument[1].clone(),
            _ => return false,
        }
        true
    }

    /// What it found may have been left by the other.
    fn depends(operation: &Operation<'_>, on: &Operation<'_>) -> bool {
        let left = match on.f() {
            "write" => &on.invoke.value,
            "cas" if on.outcome() != Outcome::Fail => &on.invoke.value[1],
            _ => return false,
        };
        match (operation.f(), operation.outcome(), operation.completion) {
            ("read", Outcome::Ok, Some(completion)) => completion.value == *left,
            ("cas", Outcome::Fail, _) => operation.invoke.value[0] != *left,
            ("cas", ..) => operation.invoke.value[0] == *left,
            _ => false,
        }
    }

    fn overwrites(operation: &Operation<'_>) -> bool {
        matches!((operation.f(), operation.outcome()), ("write", _) | ("cas", Outcome::Ok))
    }

    /// A compare-and-set that happened left what a write would have.
    fn forget(operation: &Operation<'_>) -> Option<Event> {
        let call = operation.invoke;
        (call.f == "cas" && operation.outcome() != Outcome::Fail).then(|| Event {
            f: "write".to_owned(),
            value: call.value[1].clone(),
            ..call.clone()
        })
    }
}

macro_rules! replay_register {
    ($model:ty) => {
        impl Replay for $model {
            type Memory = Value;

            fn start(&self) -> Value {
                self.rules.initial.clone()
            }

            fn part(&self, operation: &Operation<'_>) -> Part {
                self.rules.part(operation)
            }

            fn apply(&self, memory: &mut Value, operation: &Operation<'_>) -> bool {
                RegisterRules::apply(memory, operation)
            }

            fn depends(&self, operation: &Operation<'_>, on: &Operation<'_>) -> bool {
                RegisterRules::depends(operation, on)
            }

            fn overwrites(&self, operation: &Operation<'_>) -> bool {
                RegisterRules::overwrites(operation)
            }

            fn forget(&self, operation: &Operation<'_>) -> Option<Event> {
                RegisterRules::forget(operation)
            }
        }
    };
}

replay_register!(Register);
replay_register!(CasRegister);
