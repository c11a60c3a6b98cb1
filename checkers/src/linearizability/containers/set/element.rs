//! One element of a set as an object by itself: it is there or not.

use crate::history::Operation;
use crate::model::{Data, Meaning, Membership, Model};

/// One element.
pub(super) struct Element;

impl Model for Element {
    /// Whether it is there.
    type State = bool;
    type Op = Membership;

    fn name(&self) -> &'static str {
        "element"
    }

    fn init(&self, _: &mut Data) -> bool {
        false
    }

    fn read(&self, _: &Operation<'_>, _: &mut Data) -> Result<Meaning<Membership>, String> {
        Err("is read as part of a set".to_owned())
    }

    fn step(&self, there: &bool, op: &Membership) -> Option<bool> {
        match op {
            Membership::Added => (!there).then_some(true),
            Membership::Removed => there.then_some(false),
            Membership::Present => there.then_some(true),
            Membership::Absent => (!there).then_some(false),
            Membership::Ensured => Some(true),
            Membership::Dropped => Some(false),
        }
    }

    fn is_pure(&self, op: &Membership) -> bool {
        matches!(op, Membership::Present | Membership::Absent)
    }
}
