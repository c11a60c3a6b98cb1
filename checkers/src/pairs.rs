//! Transactions that write two objects, read both at a time: both or none. A read that shows one half of a
//! transaction is what Bailis et al. call a *fractured read* ("Scalable atomic visibility with RAMP transactions",
//! 2014, section 3).
//!
//! | `f` | `value` of the call | `value` when `ok` |
//! |---|---|---|
//! | `write` | the value that is put in both places, unique for its key | |
//! | `read` | | `[[first halves], [second halves]]`: the values found in each place |
//!
//! Whether a read is fresh makes no difference. It costs n log n.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::history::{History, Operation, Outcome, by_key};
use crate::verdict::{Verdict, Witness};

/// Whether no read shows a half.
///
/// A history that cannot be read, or in which nothing was, is `unknown`.
#[must_use]
pub fn check(history: &History) -> Verdict {
    match first_half(history) {
        Ok(Found::Half(witness)) => Verdict::Invalid { witness },
        Ok(Found::Whole { reads: 0 }) => {
            Verdict::Unknown { reason: "no read succeeded, so no transaction was looked at".to_owned() }
        }
        Ok(Found::Whole { .. }) => Verdict::Valid,
        Err(reason) => Verdict::Unknown { reason },
    }
}

enum Found {
    Half(Witness),
    Whole { reads: usize },
}

fn first_half(history: &History) -> Result<Found, String> {
    let operations = history.operations().map_err(|error| error.to_string())?;
    let mut reads = 0;
    for (key, operations) in by_key(operations) {
        for operation in operations.iter().filter(|operation| operation.f() == "read") {
            let Some(completion) = operation.completion.filter(|_| operation.outcome() == Outcome::Ok) else {
                continue;
            };
            let Some([Value::Array(first), Value::Array(second)]) = completion.value.as_array().map(Vec::as_slice)
            else {
                let (events, found) = (operation.events(), &completion.value);
                return Err(format!("{events}: a read of pairs expected two lists, found `{found}`"));
            };
            reads += 1;
            if first == second {
                continue;
            }
            if let Some((value, half)) = odd_one(first, second) {
                return Ok(Found::Half(witness(key, &operations, operation, value, half)));
            }
        }
    }
    Ok(Found::Whole { reads })
}

/// A value that only one of the lists has, and which one that is. Equal lists in another order have none.
fn odd_one<'v>(first: &'v [Value], second: &'v [Value]) -> Option<(&'v Value, &'static str)> {
    let texts = |values: &[Value]| values.iter().map(Value::to_string).collect::<BTreeSet<String>>();
    let only = |these: &'v [Value], those: &[Value]| {
        let those = texts(those);
        these.iter().find(|value| !those.contains(&value.to_string()))
    };
    only(first, second).map(|value| (value, "first")).or_else(|| only(second, first).map(|value| (value, "second")))
}

fn witness(
    key: Option<&str>,
    operations: &[Operation<'_>],
    read: &Operation<'_>,
    value: &Value,
    half: &'static str,
) -> Witness {
    let write = operations.iter().find(|other| other.f() == "write" && other.invoke.value == *value);
    let reason = match write {
        Some(write) => format!(
            "fractured read: the read of {} shows only the {half} half of {value}, both of which one transaction wrote ({})",
            read.events(),
            write.events()
        ),
        None => {
            format!(
                "fractured read: the read of {} shows only the {half} half of {value}, which nobody wrote",
                read.events()
            )
        }
    };
    let both = write.into_iter().chain([read]);
    let mut events: Vec<_> =
        both.flat_map(|operation| [Some(operation.invoke), operation.completion]).flatten().collect();
    events.sort_by_key(|event| event.index);
    Witness { key: key.map(str::to_owned), reason, events: events.into_iter().cloned().collect() }
}
