//! Registers: one value that is read and written, and with [`CasRegister`] compared and set. A register starts empty:
//! a read returns `null` until the first write.
//!
//! | `f` | `value` of the call | `value` when `ok` |
//! |---|---|---|
//! | `read` | | what was read |
//! | `write` | what is written | |
//! | `cas` | `[old, new]` | |
//!
//! That a register starts empty, that a read of `null` found nothing, and that a compare-and-set which failed proves
//! nothing about the value, are the usual [`RegisterRules`]; others can be told.

use serde_json::Value;

use super::{Data, Datum, Family, Forced, Meaning, Model, Needs, Story, unknown_f};
use crate::history::{Operation, Outcome};

/// What the operations of a history do not say about its registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegisterRules {
    /// What is there before the first write.
    pub initial: Value,
    /// What a read tells that returned `null`.
    pub null_reads: NullReads,
    /// What a compare-and-set tells that failed.
    pub failed_cas: FailedCas,
}

/// What a read tells that returned `null`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NullReads {
    /// That the register was empty.
    #[default]
    FoundNothing,
    /// Nothing: its answer was not recorded. So Knossos takes them.
    TellNothing,
}

/// What a compare-and-set tells that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailedCas {
    /// Nothing: many systems also answer so when they are merely unwilling.
    #[default]
    TellsNothing,
    /// That the value was another at some moment between its call and its return.
    FoundAnother,
}

impl RegisterRules {
    /// The usual ones.
    #[must_use]
    pub const fn usual() -> Self {
        RegisterRules { initial: Value::Null, null_reads: NullReads::FoundNothing, failed_cas: FailedCas::TellsNothing }
    }
}

/// A value that is read and written.
#[derive(Clone, Debug, Default)]
pub struct Register {
    /// What the operations do not say.
    pub rules: RegisterRules,
}

/// A register that can also be compared and set.
#[derive(Clone, Debug, Default)]
pub struct CasRegister {
    /// What the operations do not say.
    pub rules: RegisterRules,
}

/// What happens to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// This was read.
    Read(Datum),
    /// This was written.
    Write(Datum),
    /// The first was found and the second put in its place.
    Cas(Datum, Datum),
    /// Another than this was found.
    Differs(Datum),
}

impl RegisterRules {
    fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Option<Meaning<RegisterOp>>, String> {
        let outcome = operation.outcome();
        Ok(Some(match (operation.f(), outcome) {
            // A read whose answer was lost changed nothing and tells nothing.
            ("read", Outcome::Ok) => match operation.completion.map(|completion| &completion.value) {
                Some(Value::Null) if self.null_reads == NullReads::TellNothing => Meaning::Never,
                Some(value) => Meaning::Must(RegisterOp::Read(data.intern(value))),
                None => Meaning::Never,
            },
            ("cas", Outcome::Fail) if self.failed_cas == FailedCas::FoundAnother => {
                let [old, _] = pair(&operation.invoke.value)?;
                Meaning::Must(RegisterOp::Differs(data.intern(old)))
            }
            ("read", _) | ("write" | "cas", Outcome::Fail) => Meaning::Never,
            ("write", _) => known(outcome, RegisterOp::Write(data.intern(&operation.invoke.value))),
            ("cas", _) => {
                let [old, new] = pair(&operation.invoke.value)?;
                known(outcome, RegisterOp::Cas(data.intern(old), data.intern(new)))
            }
            _ => return Ok(None),
        }))
    }

    /// What was found may be told by what was not: then a lost write matters although nobody observed its value.
    fn family(&self) -> Family {
        match self.failed_cas {
            FailedCas::TellsNothing => Family::Register,
            FailedCas::FoundAnother => Family::Any,
        }
    }
}

impl RegisterOp {
    fn step(self, state: Datum) -> Option<Datum> {
        match self {
            RegisterOp::Read(value) => (state == value).then_some(state),
            RegisterOp::Write(value) => Some(value),
            RegisterOp::Cas(old, new) => (state == old).then_some(new),
            RegisterOp::Differs(value) => (state != value).then_some(state),
        }
    }

    /// A compare-and-set that happened left the same value as a write would have.
    fn weaken(self) -> Option<RegisterOp> {
        match self {
            RegisterOp::Cas(_, new) => Some(RegisterOp::Write(new)),
            RegisterOp::Read(_) | RegisterOp::Write(_) | RegisterOp::Differs(_) => None,
        }
    }

    fn produces(self) -> Option<Datum> {
        match self {
            RegisterOp::Read(_) | RegisterOp::Differs(_) => None,
            RegisterOp::Write(new) | RegisterOp::Cas(_, new) => Some(new),
        }
    }

    fn observes(self) -> Option<Datum> {
        match self {
            RegisterOp::Write(_) | RegisterOp::Differs(_) => None,
            RegisterOp::Read(value) | RegisterOp::Cas(value, _) => Some(value),
        }
    }

    fn excludes(self) -> Option<Datum> {
        match self {
            RegisterOp::Differs(value) => Some(value),
            RegisterOp::Read(_) | RegisterOp::Write(_) | RegisterOp::Cas(..) => None,
        }
    }
}

/// An observer comes after the only producer of what it observed, and nothing that puts another value there comes
/// between the two. What nobody produced can only be observed before anything was.
fn forced(initial: &Value, story: &Story<'_, RegisterOp>, data: &Data) -> Vec<Forced> {
    let Story { ops, happened, before } = story;
    let initial = initial.to_string();
    let mut forced = Vec::new();
    let certain = || ops.iter().enumerate().filter(|(at, _)| happened[*at]);
    for (observer, value) in certain().filter_map(|(at, op)| Some((at, op.observes()?))) {
        let mut sources = (0..ops.len()).filter(|&at| ops[at].produces() == Some(value) && at != observer);
        let (source, another) = (sources.next(), sources.next());
        let initial = data.text(value) == initial;
        if another.is_some() || (initial && source.is_some()) {
            continue;
        }
        let producers = certain().filter_map(|(at, op)| Some((at, op.produces()?)));
        for (other, new) in producers.filter(|(other, _)| *other != observer && Some(*other) != source) {
            let (value, new) = (data.text(value), data.text(new));
            let Some(source) = source else {
                let why = format!("{value} was only there before anything was written");
                forced.push(Forced { from: observer, to: other, why });
                continue;
            };
            if before[source][other] && !before[observer][other] {
                forced.push(Forced { from: observer, to: other, why: format!("{new} had replaced {value}") });
            } else if before[other][observer] && !before[other][source] {
                let why = format!("{value} was found after {new} was there, so {value} replaced {new}");
                forced.push(Forced { from: other, to: source, why });
            }
        }
    }
    forced
}

fn known<Op>(outcome: Outcome, op: Op) -> Meaning<Op> {
    if outcome == Outcome::Ok { Meaning::Must(op) } else { Meaning::May(op) }
}

fn pair(value: &Value) -> Result<[&Value; 2], String> {
    match value.as_array().map(Vec::as_slice) {
        Some([old, new]) => Ok([old, new]),
        _ => Err(format!("expected `[old, new]` as the value of a cas, found `{value}`")),
    }
}

macro_rules! register_model {
    ($model:ty, $name:literal, $known:literal, $takes:expr) => {
        impl Model for $model {
            type State = Datum;
            type Op = RegisterOp;

            fn name(&self) -> &'static str {
                $name
            }

            fn init(&self, data: &mut Data) -> Datum {
                data.intern(&self.rules.initial)
            }

            fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Meaning<RegisterOp>, String> {
                let takes: fn(&str) -> bool = $takes;
                let meaning = if takes(operation.f()) { self.rules.read(operation, data)? } else { None };
                meaning.ok_or_else(|| unknown_f(operation.f(), $known))
            }

            fn step(&self, state: &Datum, op: &RegisterOp) -> Option<Datum> {
                op.step(*state)
            }

            fn is_pure(&self, op: &RegisterOp) -> bool {
                matches!(op, RegisterOp::Read(_) | RegisterOp::Differs(_))
            }

            fn overwrites(&self, op: &RegisterOp) -> bool {
                matches!(op, RegisterOp::Write(_))
            }

            fn produces(&self, op: &RegisterOp) -> Option<Datum> {
                op.produces()
            }

            fn observes(&self, op: &RegisterOp) -> Option<Datum> {
                op.observes()
            }

            fn excludes(&self, op: &RegisterOp) -> Option<Datum> {
                op.excludes()
            }

            fn initially(&self, state: &Datum) -> Option<Datum> {
                Some(*state)
            }

            fn family(&self) -> Family {
                self.rules.family()
            }

            fn needs(&self) -> Needs<RegisterOp> {
                Needs::NoOthers
            }

            fn weaken(&self, op: &RegisterOp) -> Option<RegisterOp> {
                op.weaken()
            }

            fn forced(&self, story: &Story<'_, RegisterOp>, data: &Data) -> Vec<Forced> {
                forced(&self.rules.initial, story, data)
            }

            fn show_op(&self, op: &RegisterOp, data: &Data) -> String {
                match *op {
                    RegisterOp::Read(value) => format!("read {}", data.text(value)),
                    RegisterOp::Write(value) => format!("wrote {}", data.text(value)),
                    RegisterOp::Cas(old, new) => format!("replaced {} by {}", data.text(old), data.text(new)),
                    RegisterOp::Differs(value) => format!("found another value than {}", data.text(value)),
                }
            }

            fn show(&self, state: &Datum, data: &Data) -> String {
                format!("the register holds {}", data.text(*state))
            }
        }
    };
}

register_model!(Register, "register", "`read` or `write`", |f| f != "cas");
register_model!(CasRegister, "cas-register", "`read`, `write` or `cas`", |_| true);
