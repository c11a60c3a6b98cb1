//! Strings that are put, appended to and got, replayed.

use super::Replay;
use crate::history::{Operation, Outcome};
use crate::model::Kv;

impl Replay for Kv {
    type Memory = String;

    fn start(&self) -> String {
        String::new()
    }

    fn apply(&self, memory: &mut String, operation: &Operation<'_>) -> bool {
        let argument = operation.invoke.value.as_str().unwrap_or_default();
        match (operation.f(), operation.outcome()) {
            ("get", Outcome::Ok) => return found(operation) == memory.as_str(),
            ("put", _) => argument.clone_into(memory),
            ("append", _) => memory.push_str(argument),
            _ => {}
        }
        true
    }

    fn depends(&self, operation: &Operation<'_>, on: &Operation<'_>) -> bool {
        let (got, changed) = (operation.f() == "get", on.f() != "get");
        got && changed && found(operation).contains(on.invoke.value.as_str().unwrap_or_default())
    }
}

fn found<'h>(operation: &Operation<'h>) -> &'h str {
    operation.completion.and_then(|completion| completion.value.as_str()).unwrap_or_default()
}
