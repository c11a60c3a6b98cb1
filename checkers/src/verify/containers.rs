//! Queues, stacks, priority queues and sets, replayed.

use serde_json::Value;

use super::{Part, Replay};
use crate::history::{Operation, Outcome};
use crate::model::{PriorityQueue, Queue, Set, Stack};

/// The value that an operation put in or took out, if that is known.
fn value<'o>(operation: &Operation<'o>, put: &str) -> Option<&'o Value> {
    if operation.f() == put {
        return Some(&operation.invoke.value);
    }
    let answer = operation.completion.filter(|_| operation.outcome() == Outcome::Ok);
    answer.map(|answer| &answer.value).filter(|value| !value.is_null())
}

/// What was put in goes with what was taken out, if they are the same, and the other way round. And what was put in goes
/// with all that may have taken it.
fn goes_with(operation: &Operation<'_>, other: &Operation<'_>, put: &str) -> bool {
    let (puts, other_puts) = (operation.f() == put, other.f() == put);
    let may_have_taken = puts && other.outcome() == Outcome::Info;
    let same = value(operation, put).is_some_and(|own| value(other, put) == Some(own));
    puts != other_puts && (may_have_taken || same)
}

/// Whether this was put in, and as many values like it are known to have been taken as can have been put in.
fn is_settled(operation: &Operation<'_>, all: &mut dyn Iterator<Item = &Operation<'_>>, put: &str) -> bool {
    let Some(own) = value(operation, put).filter(|_| operation.f() == put) else { return false };
    let like = all.filter(|other| value(other, put) == Some(own));
    let (puts, takings): (Vec<&Operation<'_>>, Vec<_>) = like.partition(|other| other.f() == put);
    puts.len() <= takings.len()
}

/// Which of the values that lie there is due.
type Due = fn(&[Value]) -> Option<usize>;

/// Puts a value in, or takes out the one that is due and compares it with the answer, if there was one.
fn access(there: &mut Vec<Value>, operation: &Operation<'_>, put: &str, due: Due) -> bool {
    if operation.f() == put {
        there.push(operation.invoke.value.clone());
        return true;
    }
    let taken = due(there).map_or(Value::Null, |at| there.remove(at));
    let answer = operation.completion.filter(|_| operation.outcome() == Outcome::Ok);
    answer.is_none_or(|answer| answer.value == taken)
}

impl Replay for Queue {
    /// What is in it, in the order in which it came.
    type Memory = Vec<Value>;

    fn start(&self) -> Vec<Value> {
        Vec::new()
    }

    fn apply(&self, there: &mut Vec<Value>, operation: &Operation<'_>) -> bool {
        access(there, operation, "enqueue", |there| (!there.is_empty()).then_some(0))
    }

    fn goes_with(&self, operation: &Operation<'_>, other: &Operation<'_>) -> bool {
        goes_with(operation, other, "enqueue")
    }

    fn is_settled(&self, operation: &Operation<'_>, all: &mut dyn Iterator<Item = &Operation<'_>>) -> bool {
        is_settled(operation, all, "enqueue")
    }
}

impl Replay for Stack {
    /// What is in it, in the order in which it came.
    type Memory = Vec<Value>;

    fn start(&self) -> Vec<Value> {
        Vec::new()
    }

    fn apply(&self, there: &mut Vec<Value>, operation: &Operation<'_>) -> bool {
        access(there, operation, "push", |there| there.len().checked_sub(1))
    }

    fn goes_with(&self, operation: &Operation<'_>, other: &Operation<'_>) -> bool {
        goes_with(operation, other, "push")
    }

    fn is_settled(&self, operation: &Operation<'_>, all: &mut dyn Iterator<Item = &Operation<'_>>) -> bool {
        is_settled(operation, all, "push")
    }
}

impl Replay for PriorityQueue {
    /// What is in it, in the order in which it came.
    type Memory = Vec<Value>;

    fn start(&self) -> Vec<Value> {
        Vec::new()
    }

    fn apply(&self, there: &mut Vec<Value>, operation: &Operation<'_>) -> bool {
        access(there, operation, "insert", |there| (0..there.len()).min_by_key(|&at| there[at].as_i64()))
    }

    fn goes_with(&self, operation: &Operation<'_>, other: &Operation<'_>) -> bool {
        goes_with(operation, other, "insert")
    }

    fn is_settled(&self, operation: &Operation<'_>, all: &mut dyn Iterator<Item = &Operation<'_>>) -> bool {
        is_settled(operation, all, "insert")
    }
}

impl Replay for Set {
    /// What is in it.
    type Memory = Vec<Value>;

    fn start(&self) -> Vec<Value> {
        Vec::new()
    }

    fn part(&self, operation: &Operation<'_>) -> Part {
        match (operation.f(), operation.outcome()) {
            (_, Outcome::Ok) => Part::Must,
            ("contains", _) | (_, Outcome::Fail) => Part::Never,
            (_, Outcome::Info) => Part::May,
        }
    }

    fn apply(&self, there: &mut Vec<Value>, operation: &Operation<'_>) -> bool {
        let element = &operation.invoke.value;
        let was_there = there.contains(element);
        match operation.f() {
            "add" if !was_there => there.push(element.clone()),
            "remove" => there.retain(|other| other != element),
            _ => {}
        }
        answer(operation).is_none_or(|answer| answer == (was_there == (operation.f() != "add")))
    }

    /// What found its element there depends on those that may have added it, what found it absent on those that may have
    /// removed it.
    fn depends(&self, operation: &Operation<'_>, on: &Operation<'_>) -> bool {
        let found = answer(operation).map(|answer| answer == (operation.f() != "add"));
        let changed = if answer(on) == Some(false) { "nothing" } else { on.f() };
        let cause = found.map(|found| if found { "add" } else { "remove" });
        operation.invoke.value == on.invoke.value && cause == Some(changed)
    }
}

/// What an operation on an element was answered, if that says anything.
fn answer(operation: &Operation<'_>) -> Option<bool> {
    let answer = operation.completion.filter(|_| operation.outcome() == Outcome::Ok)?;
    let echo = operation.f() != "contains" && answer.value == operation.invoke.value;
    answer.value.as_bool().filter(|_| !echo)
}
