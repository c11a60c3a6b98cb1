//! The stack: last in, first out. It starts empty.
//!
//! | `f` | `value` of the call | `value` when `ok` |
//! |---|---|---|
//! | `push` | the value, not `null` | |
//! | `pop` | | what came out; `null` if the stack was empty |
//!
//! A `pop` whose answer was lost may have taken whatever was on top, or nothing.

use super::container::{Access, Contents, Names, container_model, no_priority, step};
use super::{Data, Datum, Family, Meaning, Model};
use crate::history::Operation;

/// Last in, first out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack;

const NAMES: Names = Names { put: "push", take: "pop", did_put: "pushed", did_take: "popped", thing: "stack" };

container_model!(Stack, Family::Stack, "stack", NAMES, no_priority, |contents, op| {
    step(contents, op, |contents: &Contents, _| contents.len())
});
