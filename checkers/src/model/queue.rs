//! The queue: first in, first out. It starts empty.
//!
//! | `f` | `value` of the call | `value` when `ok` |
//! |---|---|---|
//! | `enqueue` | the value, not `null` | |
//! | `dequeue` | | what came out; `null` if the queue was empty |
//!
//! A `dequeue` whose answer was lost may have taken whatever was at the front, or nothing.

use super::container::{Access, Contents, Names, container_model, no_priority, step};
use super::{Data, Datum, Family, Meaning, Model};
use crate::history::Operation;

/// First in, first out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue;

const NAMES: Names =
    Names { put: "enqueue", take: "dequeue", did_put: "enqueued", did_take: "dequeued", thing: "queue" };

container_model!(Queue, Family::Queue, "queue", NAMES, no_priority, |contents, op| step(contents, op, |_, _| 0));
