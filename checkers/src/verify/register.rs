//! Registers, replayed.

use serde_json::Value;

use super::{Part, Replay};
use crate::history::{Operation, Outcome};
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
}

impl Replay for Register {
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
}

impl Replay for CasRegister {
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
}
