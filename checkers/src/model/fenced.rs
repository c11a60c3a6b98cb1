//! The fenced mutex: what a lock on leases can promise (Kleppmann, "How to do distributed locking", 2016).
//!
//! A holder that is paused or cut off cannot be kept from believing that it still holds. So each acquisition carries
//! a fencing token, tokens grow from holder to holder, and a holder *proves* to the system that it still holds; no
//! proof succeeds after a later holder's acquisition.
//!
//! | `f` | `value` | legal when |
//! |---|---|---|
//! | `acquire` | the token, when `ok` | it is higher than any before: whether or not the lock looks held, for a lease may have run out |
//! | `prove` | the token | its holder is the current one |
//! | `release` | the token | its holder is the current one; then nobody is |

use serde_json::Value;

use super::{Data, Datum, Forced, Meaning, Model, Needs, Story, unknown_f};
use crate::history::{Operation, Outcome};

/// A lock whose holders carry growing tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct FencedMutex;

/// What happens to a fenced mutex. The token comes with its number for the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FencedOp {
    /// Somebody became the holder with this token.
    Acquire(i64, Datum),
    /// The system confirmed that this token's holder still holds.
    Prove(i64, Datum),
    /// This token's holder gave the lock back.
    Release(i64, Datum),
}

/// What a fenced mutex remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FencedState {
    /// The highest token ever handed out, if any was.
    pub highest: Option<i64>,
    /// The current holder's.
    pub current: Option<i64>,
}

impl Model for FencedMutex {
    type State = FencedState;
    type Op = FencedOp;

    fn name(&self) -> &'static str {
        "fenced-mutex"
    }

    fn init(&self, _: &mut Data) -> FencedState {
        FencedState { highest: None, current: None }
    }

    /// Only what is known to have happened counts:
    ///
    /// * An unknown `acquire` may have made some token current, but its process is dead and nobody learnt that
    ///   token, so no proof or release of it can follow. It could only raise the highest token and end a holder's
    ///   tenure, which forbids more and allows nothing.
    /// * An unknown `prove` changes nothing.
    /// * An unknown `release(k)` could only turn "k holds" into "nobody holds", where proofs and releases of k are
    ///   illegal and acquisitions are as legal as before.
    ///
    /// So a history that has a legal order with one of them has the same order without it.
    fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Meaning<FencedOp>, String> {
        let op: fn(i64, Datum) -> FencedOp = match operation.f() {
            "acquire" => FencedOp::Acquire,
            "prove" => FencedOp::Prove,
            "release" => FencedOp::Release,
            f => return Err(unknown_f(f, "`acquire`, `prove` or `release`")),
        };
        let (Outcome::Ok, Some(completion)) = (operation.outcome(), operation.completion) else {
            return Ok(Meaning::Never);
        };
        let value = if completion.value.is_null() { &operation.invoke.value } else { &completion.value };
        let Some(token) = value.as_i64() else {
            return Err(format!(
                "expected an integer, the fencing token, as the value of `{}`, found `{value}`",
                operation.f()
            ));
        };
        Ok(Meaning::Must(op(token, data.intern(&Value::from(token)))))
    }

    fn step(&self, state: &FencedState, op: &FencedOp) -> Option<FencedState> {
        let legal = match *op {
            FencedOp::Acquire(token, _) => state.highest.is_none_or(|highest| token > highest),
            FencedOp::Prove(token, _) | FencedOp::Release(token, _) => state.current == Some(token),
        };
        legal.then_some(match *op {
            FencedOp::Acquire(token, _) => FencedState { highest: Some(token), current: Some(token) },
            FencedOp::Prove(..) => *state,
            FencedOp::Release(..) => FencedState { current: None, ..*state },
        })
    }

    fn needs(&self) -> Needs<FencedOp> {
        Needs::NoOthers
    }

    fn is_pure(&self, op: &FencedOp) -> bool {
        matches!(op, FencedOp::Prove(..))
    }

    fn produces(&self, op: &FencedOp) -> Option<Datum> {
        match *op {
            FencedOp::Acquire(_, token) => Some(token),
            FencedOp::Prove(..) | FencedOp::Release(..) => None,
        }
    }

    fn observes(&self, op: &FencedOp) -> Option<Datum> {
        match *op {
            FencedOp::Acquire(..) => None,
            FencedOp::Prove(_, token) | FencedOp::Release(_, token) => Some(token),
        }
    }

    /// Tokens grow, and a holder's proofs and its release come before the next acquisition.
    fn forced(&self, Story { ops, .. }: &Story<'_, FencedOp>, _: &Data) -> Vec<Forced> {
        let mut forced = Vec::new();
        for (from, earlier) in ops.iter().enumerate() {
            for (to, later) in ops.iter().enumerate().filter(|(to, _)| *to != from) {
                let why = match (*earlier, *later) {
                    (FencedOp::Acquire(low, _), FencedOp::Acquire(high, _)) if low < high => "tokens grow".to_owned(),
                    (FencedOp::Acquire(one, _), FencedOp::Acquire(other, _)) if one == other => {
                        "no token is given twice".to_owned()
                    }
                    (FencedOp::Prove(low, _), FencedOp::Acquire(high, _)) if low < high => {
                        format!("no proof of {low} succeeds once {high} was given")
                    }
                    (FencedOp::Release(low, _), FencedOp::Acquire(high, _)) if low < high => {
                        format!("{low} cannot be released once {high} was given")
                    }
                    (FencedOp::Prove(token, _), FencedOp::Release(other, _)) if token == other => {
                        format!("no proof of {token} succeeds once it was released")
                    }
                    (FencedOp::Release(token, _), FencedOp::Release(other, _)) if token == other => {
                        format!("{token} cannot be released twice")
                    }
                    _ => continue,
                };
                forced.push(Forced { from, to, why });
            }
        }
        forced
    }

    fn show_op(&self, op: &FencedOp, _: &Data) -> String {
        match op {
            FencedOp::Acquire(token, _) => format!("acquired with token {token}"),
            FencedOp::Prove(token, _) => format!("proved that it holds with token {token}"),
            FencedOp::Release(token, _) => format!("released token {token}"),
        }
    }

    fn show(&self, state: &FencedState, _: &Data) -> String {
        match (state.highest, state.current) {
            (None, _) => "the lock was never held".to_owned(),
            (Some(_), Some(current)) => format!("the holder is {current}"),
            (Some(highest), None) => format!("nobody holds, the last holder was {highest}"),
        }
    }
}
