//! The set whose elements come and go. It starts empty. (For one that only grows and is read as a whole there is
//! [`set`](crate::set).)
//!
//! | `f` | `value` of the call | `value` when `ok` |
//! |---|---|---|
//! | `add` | the element | `true` if it was not there before, `false` if it was; anything else says nothing |
//! | `remove` | the element | `true` if it was there before, `false` if it was not; anything else says nothing |
//! | `contains` | the element | `true` or `false` |
//!
//! An `add` or a `remove` that is answered with the element itself says nothing.

use serde_json::Value;
use smallvec::SmallVec;

use super::{Access, Data, Datum, Family, Meaning, Membership, Model, unknown_f};
use crate::history::{Operation, Outcome};

/// Elements that come and go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set;

/// What is done with one element of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SetOp {
    /// Which.
    pub element: Datum,
    /// What.
    pub what: Membership,
}

/// The elements of a set, in order.
pub type Elements = SmallVec<[Datum; 8]>;

impl Model for Set {
    type State = Elements;
    type Op = SetOp;

    fn name(&self) -> &'static str {
        "lin-set"
    }

    fn init(&self, _: &mut Data) -> Elements {
        Elements::new()
    }

    fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Meaning<SetOp>, String> {
        let argument = &operation.invoke.value;
        let echoes = operation.f() != "contains";
        let answer = match operation.completion {
            Some(completion) if operation.outcome() == Outcome::Ok && !(echoes && completion.value == *argument) => {
                completion.value.as_bool()
            }
            _ => None,
        };
        let what = match (operation.f(), answer) {
            ("add", Some(true)) => Membership::Added,
            ("add", None) => Membership::Ensured,
            ("remove", Some(true)) => Membership::Removed,
            ("remove", None) => Membership::Dropped,
            ("add", Some(false)) | ("contains", Some(true)) => Membership::Present,
            ("remove", Some(false)) | ("contains", Some(false)) => Membership::Absent,
            ("contains", None) if operation.outcome() == Outcome::Ok => {
                let found = operation.completion.map_or(&Value::Null, |completion| &completion.value);
                return Err(format!("expected `true` or `false` as the answer of a contains, found `{found}`"));
            }
            // It changed nothing and tells nothing.
            ("contains", None) => return Ok(Meaning::Never),
            (f, _) => return Err(unknown_f(f, "`add`, `remove` or `contains`")),
        };
        let op = SetOp { element: data.intern(argument), what };
        Ok(match operation.outcome() {
            Outcome::Ok => Meaning::Must(op),
            Outcome::Info => Meaning::May(op),
            Outcome::Fail => Meaning::Never,
        })
    }

    fn step(&self, elements: &Elements, op: &SetOp) -> Option<Elements> {
        let changed = |change: &dyn Fn(&mut Elements)| {
            let mut elements = elements.clone();
            change(&mut elements);
            Some(elements)
        };
        match (op.what, elements.binary_search(&op.element)) {
            (Membership::Added | Membership::Ensured, Err(at)) => changed(&|elements| elements.insert(at, op.element)),
            (Membership::Removed | Membership::Dropped, Ok(at)) => changed(&|elements| {
                elements.remove(at);
            }),
            (Membership::Ensured | Membership::Present, Ok(_)) | (Membership::Dropped | Membership::Absent, Err(_)) => {
                Some(elements.clone())
            }
            (Membership::Added, Ok(_)) | (Membership::Removed | Membership::Present, Err(_)) => None,
            (Membership::Absent, Ok(_)) => None,
        }
    }

    fn family(&self) -> Family {
        Family::Set
    }

    fn container(&self, op: &SetOp) -> Option<Access> {
        Some(Access::Element(op.element, op.what))
    }

    fn is_pure(&self, op: &SetOp) -> bool {
        matches!(op.what, Membership::Present | Membership::Absent)
    }

    fn show_op(&self, op: &SetOp, data: &Data) -> String {
        let element = data.text(op.element);
        match op.what {
            Membership::Added => format!("found {element} missing and added it"),
            Membership::Ensured => format!("added {element}"),
            Membership::Removed => format!("found {element} and removed it"),
            Membership::Dropped => format!("removed {element}"),
            Membership::Present => format!("found {element} in the set"),
            Membership::Absent => format!("found {element} not in the set"),
        }
    }

    fn show(&self, elements: &Elements, data: &Data) -> String {
        let elements: Vec<_> = elements.iter().map(|element| data.text(*element)).collect();
        format!("the set is {{{}}}", elements.join(", "))
    }
}
