//! The strict mutex, replayed.

use super::Replay;
use crate::history::Operation;
use crate::model::Mutex;

impl Replay for Mutex {
    /// Whether it is held.
    type Memory = bool;

    fn start(&self) -> bool {
        false
    }

    fn apply(&self, held: &mut bool, operation: &Operation<'_>) -> bool {
        let legal = (operation.f() == "release") == *held;
        *held = !*held;
        legal
    }

    fn are_a_pair(&self, one: &Operation<'_>, next: &Operation<'_>) -> bool {
        one.f() != next.f()
    }
}
