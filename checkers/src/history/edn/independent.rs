//! Operations on independent keys, as Jepsen writes them: the value of each is a pair of the key and the operation's own
//! value, and in a file that looks like any other vector of two.

use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::history::{Event, Kind, Process};

/// Watches whether a history's values are pairs of key and value.
///
/// They are taken for such pairs only when nothing else could be meant: each event of a client has one, whose first is a
/// name or a number; a call and its completion have the same one; and at least one call other than a compare-and-set
/// has a key and asks for its value, `[key nil]`. A single vector of another kind, and all stay what they are.
#[derive(Debug, Default)]
pub(in crate::history) struct Independent {
    open: FxHashMap<Process, Value>,
    asks: bool,
    is_refuted: bool,
}

impl Independent {
    pub(in crate::history) fn push(&mut self, event: &Event) {
        if self.is_refuted || event.process == Process::Nemesis {
            return;
        }
        let Some((key, value)) = pair(&event.value) else {
            self.is_refuted = true;
            return;
        };
        if event.kind == Kind::Invoke {
            self.asks |= value.is_null() && event.f != "cas";
            self.open.insert(event.process, key.clone());
        } else if self.open.remove(&event.process).as_ref() != Some(key) {
            self.is_refuted = true;
        }
    }

    /// Whether an event has shown that they are not.
    pub(in crate::history) fn is_refuted(&self) -> bool {
        self.is_refuted
    }

    pub(in crate::history) fn is_certain(&self) -> bool {
        self.asks && !self.is_refuted
    }
}

/// Makes the first of the pair the event's key.
pub(in crate::history) fn lift(event: &mut Event) {
    if event.process == Process::Nemesis || pair(&event.value).is_none() {
        return;
    }
    if let Value::Array(both) = event.value.take() {
        let mut both = both.into_iter();
        event.key = both.next().map(crate::history::members::text);
        event.value = both.next().unwrap_or_default();
    }
}

fn pair(value: &Value) -> Option<(&Value, &Value)> {
    match value {
        Value::Array(both) => match &both[..] {
            [key @ (Value::String(_) | Value::Number(_)), value] => Some((key, value)),
            _ => None,
        },
        _ => None,
    }
}
