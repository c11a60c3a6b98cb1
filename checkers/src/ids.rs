//! Unique ids: no id is handed out twice.
//!
//! | `f` | `value` when `ok` |
//! |---|---|
//! | `generate` | the id, any JSON but `null` |
//!
//! A call whose answer was lost may have used up an id that nobody learnt, and no more. Each key has ids of its own. It takes
//! one pass.

use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::history::{History, Kind, Operation};
use crate::verdict::{Verdict, Witness};

/// Whether each id was handed out once. A history without ids, or that cannot be read, is `unknown`.
#[must_use]
pub fn check(history: &History) -> Verdict {
    judge(history).unwrap_or_else(|reason| Verdict::Unknown { reason })
}

fn judge(history: &History) -> Result<Verdict, String> {
    let operations = history.operations().map_err(|error| error.to_string())?;
    let mut given: FxHashMap<(Option<&str>, Id<'_>), usize> = FxHashMap::default();
    for (number, operation) in operations.iter().enumerate() {
        if operation.f() != "generate" {
            return Err(format!("{}: expected `generate`, found `{}`", operation.events(), operation.f()));
        }
        let Some(completion) = operation.completion.filter(|completion| completion.kind == Kind::Ok) else { continue };
        let id = Id::new(&completion.value)
            .ok_or_else(|| format!("{}: expected an id as the value, found `null`", operation.events()))?;
        if let Some(first) = given.insert((operation.key(), id), number) {
            return Ok(Verdict::Invalid { witness: twice(&operations[first], operation, &completion.value) });
        }
    }
    if given.is_empty() {
        return Err("no id was handed out, so none can have been handed out twice".to_owned());
    }
    Ok(Verdict::Valid)
}

/// An id: most are numbers or text, and these need no copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Id<'h> {
    Natural(u64),
    Text(&'h str),
    Other(String),
}

impl<'h> Id<'h> {
    fn new(value: &'h Value) -> Option<Id<'h>> {
        match (value, value.as_u64()) {
            (Value::Null, _) => None,
            (_, Some(natural)) => Some(Id::Natural(natural)),
            (Value::String(text), _) => Some(Id::Text(text)),
            (other, _) => Some(Id::Other(other.to_string())),
        }
    }
}

fn twice(first: &Operation<'_>, second: &Operation<'_>, id: &Value) -> Witness {
    let at = |operation: &Operation<'_>| {
        let node = operation.node().map_or_else(String::new, |node| format!(" at {node}"));
        format!("process {}{node} ({})", operation.process(), operation.events())
    };
    let reason = format!("the id {id} was handed out twice: to {} and to {}", at(first), at(second));
    let mut events: Vec<_> =
        [first, second].iter().flat_map(|operation| [Some(operation.invoke), operation.completion]).flatten().collect();
    events.sort_by_key(|event| event.index);
    let key = second.key().map(str::to_owned);
    Witness { key, reason, events: events.into_iter().cloned().collect() }
}
