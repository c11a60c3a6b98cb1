//! The strict mutex: `acquire` and `release`, at most one holder at any time. Values are ignored.
//!
//! A lock that rests on leases cannot keep this promise when a holder is paused for longer than its lease; see
//! [`FencedMutex`](super::FencedMutex) for the promise it can keep.

use super::{Data, Meaning, Model, Needs, unknown_f};
use crate::history::{Operation, Outcome};

/// A lock that is held or not. As in the field it does not ask who releases it, since a client that lost its
/// connection goes on under a new number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

/// What happens to a mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutexOp {
    /// It was free and is held.
    Acquire,
    /// It was held and is free.
    Release,
}

impl Model for Mutex {
    /// Whether it is held.
    type State = bool;
    type Op = MutexOp;

    fn name(&self) -> &'static str {
        "mutex"
    }

    fn init(&self, _: &mut Data) -> bool {
        false
    }

    fn read(&self, operation: &Operation<'_>, _: &mut Data) -> Result<Meaning<MutexOp>, String> {
        let op = match operation.f() {
            "acquire" => MutexOp::Acquire,
            "release" => MutexOp::Release,
            f => return Err(unknown_f(f, "`acquire` or `release`")),
        };
        Ok(match operation.outcome() {
            Outcome::Ok => Meaning::Must(op),
            Outcome::Fail => Meaning::Never,
            // Either may be what makes a later call legal.
            Outcome::Info => Meaning::May(op),
        })
    }

    fn step(&self, held: &bool, op: &MutexOp) -> Option<bool> {
        match (op, held) {
            (MutexOp::Acquire, false) => Some(true),
            (MutexOp::Release, true) => Some(false),
            _ => None,
        }
    }

    fn needs(&self) -> Needs<MutexOp> {
        Needs::NoOthers
    }

    fn is_paired(&self) -> bool {
        true
    }

    fn show_op(&self, op: &MutexOp, _: &Data) -> String {
        match op {
            MutexOp::Acquire => "acquired".to_owned(),
            MutexOp::Release => "released".to_owned(),
        }
    }

    fn show(&self, held: &bool, _: &Data) -> String {
        (if *held { "the lock is held" } else { "the lock is free" }).to_owned()
    }
}
