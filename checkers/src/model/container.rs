//! What queues, stacks, priority queues and sets have in common: values are put in and taken out.

use serde_json::Value;

use super::{Data, Datum, Meaning, unknown_f};
use crate::history::{Operation, Outcome};

/// A value in a container. Where priorities count, the lowest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// Its priority; 0 where priorities do not count.
    pub priority: i64,
    /// Itself.
    pub value: Datum,
}

/// What an operation does to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// This was put in.
    Put(Item),
    /// This was taken out.
    Took(Item),
    /// Nothing was there to be taken.
    Empty,
    /// What was due was taken out, if anything was there: nobody knows what.
    TookSomething,
    /// Something was done with one element of a set.
    Element(Datum, Membership),
}

/// What an operation does with one element of a set, or finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Membership {
    /// It was not there, and then it was.
    Added,
    /// It was not there or was, and then it was.
    Ensured,
    /// It was there, and then it was not.
    Removed,
    /// It was there or not, and then it was not.
    Dropped,
    /// It was there.
    Present,
    /// It was not there.
    Absent,
}

impl Access {
    /// What others can take out afterwards.
    pub(super) fn produces(&self) -> Option<Datum> {
        match self {
            Access::Put(item) => Some(item.value),
            _ => None,
        }
    }

    /// What somebody has put in before.
    pub(super) fn observes(&self) -> Option<Datum> {
        match self {
            Access::Took(item) => Some(item.value),
            _ => None,
        }
    }
}

/// How a container's operations are called.
pub(super) struct Names {
    pub(super) put: &'static str,
    pub(super) take: &'static str,
    /// What an operation did, in words.
    pub(super) did_put: &'static str,
    pub(super) did_take: &'static str,
    /// The container itself.
    pub(super) thing: &'static str,
}

impl Names {
    pub(super) fn read(
        &self,
        operation: &Operation<'_>,
        data: &mut Data,
        priority: fn(&Value) -> Result<i64, String>,
    ) -> Result<Meaning<Access>, String> {
        let Names { put, take, thing, .. } = self;
        let mut item =
            |value: &Value| Ok::<Item, String>(Item { priority: priority(value)?, value: data.intern(value) });
        let f = operation.f();
        let known = operation.completion.filter(|_| operation.outcome() == Outcome::Ok);
        if f == *put {
            let value = &operation.invoke.value;
            if value.is_null() {
                return Err(format!(
                    "expected a value to {put}, found `null`, which is the answer of an empty {thing}"
                ));
            }
            return Ok(match operation.outcome() {
                Outcome::Ok => Meaning::Must(Access::Put(item(value)?)),
                Outcome::Info => Meaning::May(Access::Put(item(value)?)),
                Outcome::Fail => Meaning::Never,
            });
        }
        if f != *take {
            return Err(unknown_f(f, &format!("`{put}` or `{take}`")));
        }
        Ok(match (operation.outcome(), known) {
            (_, Some(completion)) if completion.value.is_null() => Meaning::Must(Access::Empty),
            (_, Some(completion)) => Meaning::Must(Access::Took(item(&completion.value)?)),
            (Outcome::Fail, _) => Meaning::Never,
            _ => Meaning::May(Access::TookSomething),
        })
    }

    pub(super) fn show_op(&self, op: &Access, data: &Data) -> String {
        let Names { take, did_put, did_take, thing, .. } = self;
        match op {
            Access::Put(item) => format!("{did_put} {}", data.text(item.value)),
            Access::Took(item) => format!("{did_take} {}", data.text(item.value)),
            Access::TookSomething => format!("may have {did_take} something"),
            Access::Empty | Access::Element(..) => format!("found nothing to {take} in the {thing}"),
        }
    }

    pub(super) fn show(&self, values: impl Iterator<Item = Datum>, data: &Data) -> String {
        let values: Vec<_> = values.map(|value| data.text(value)).collect();
        match &values[..] {
            [] => format!("the {} is empty", self.thing),
            values => format!("the {} holds {}", self.thing, values.join(", ")),
        }
    }
}

/// Where priorities do not count.
pub(super) fn no_priority(_: &Value) -> Result<i64, String> {
    Ok(0)
}

/// A container of which one value is due at any time.
macro_rules! container_model {
    ($model:ty, $family:expr, $name:literal, $names:expr, $priority:expr, $step:expr) => {
        impl Model for $model {
            /// What is in it.
            type State = Contents;
            type Op = Access;

            fn name(&self) -> &'static str {
                $name
            }

            fn init(&self, _: &mut Data) -> Contents {
                Contents::new()
            }

            fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Meaning<Access>, String> {
                $names.read(operation, data, $priority)
            }

            fn step(&self, contents: &Contents, op: &Access) -> Option<Contents> {
                $step(contents, op)
            }

            fn family(&self) -> Family {
                $family
            }

            fn container(&self, op: &Access) -> Option<Access> {
                Some(*op)
            }

            fn is_pure(&self, op: &Access) -> bool {
                matches!(op, Access::Empty)
            }

            fn heap_bytes(&self, contents: &Contents) -> usize {
                if contents.spilled() { contents.capacity() * size_of::<crate::model::Item>() } else { 0 }
            }

            fn produces(&self, op: &Access) -> Option<Datum> {
                op.produces()
            }

            fn observes(&self, op: &Access) -> Option<Datum> {
                op.observes()
            }

            fn show_op(&self, op: &Access, data: &Data) -> String {
                $names.show_op(op, data)
            }

            fn show(&self, contents: &Contents, data: &Data) -> String {
                $names.show(contents.iter().rev().map(|item| item.value), data)
            }
        }
    };
}
pub(super) use container_model;

/// What is in a container, that which is due next last.
pub type Contents = smallvec::SmallVec<[Item; 4]>;

/// The contents after an operation, if it is legal; `place` is where this item is put among the others.
pub(super) fn step(contents: &Contents, op: &Access, place: impl Fn(&Contents, &Item) -> usize) -> Option<Contents> {
    let taken = |due: &Item| match op {
        Access::Took(item) => item == due,
        Access::TookSomething => true,
        Access::Put(_) | Access::Empty | Access::Element(..) => false,
    };
    match (op, contents.split_last()) {
        (Access::Put(item), _) => {
            let mut more = contents.clone();
            more.insert(place(contents, item), *item);
            Some(more)
        }
        (Access::Empty | Access::TookSomething, None) => Some(Contents::new()),
        (_, Some((due, rest))) if taken(due) => Some(Contents::from_slice(rest)),
        _ => None,
    }
}
