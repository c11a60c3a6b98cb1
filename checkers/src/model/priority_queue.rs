//! The priority queue: the smallest comes out first. It starts empty.
//!
//! | `f` | `value` of the call | `value` when `ok` |
//! |---|---|---|
//! | `insert` | the value, an integer | |
//! | `poll` | | the smallest, which is taken out; `null` if the queue was empty |
//!
//! A `poll` whose answer was lost may have taken whatever was the smallest, or nothing.

use serde_json::Value;

use super::container::{Access, Contents, Item, Names, container_model, step};
use super::{Data, Datum, Family, Meaning, Model};
use crate::history::Operation;

/// The smallest out first.
#[derive(Clone, Copy, Debug, Default)]
pub struct PriorityQueue;

const NAMES: Names =
    Names { put: "insert", take: "poll", did_put: "inserted", did_take: "polled", thing: "priority queue" };

fn priority(value: &Value) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| format!("expected an integer to order values by, found `{value}`"))
}

container_model!(PriorityQueue, Family::PriorityQueue, "priority-queue", NAMES, priority, |contents, op| {
    step(contents, op, |contents: &Contents, item: &Item| contents.partition_point(|other| other > item))
});
