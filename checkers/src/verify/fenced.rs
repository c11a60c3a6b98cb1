//! The fenced mutex, replayed.

use super::Replay;
use crate::history::{Operation, Outcome};
use crate::model::FencedMutex;

impl Replay for FencedMutex {
    /// The highest token and the current one.
    type Memory = (Option<i64>, Option<i64>);

    fn start(&self) -> Self::Memory {
        (None, None)
    }

    fn apply(&self, (highest, current): &mut Self::Memory, operation: &Operation<'_>) -> bool {
        let known = operation.completion.filter(|_| operation.outcome() == Outcome::Ok);
        let token = known.unwrap_or(operation.invoke).value.as_i64();
        match (operation.f(), token) {
            ("acquire", Some(_)) if token > *highest => (*highest, *current) = (token, token),
            // Nobody learnt this token: it is nobody's, and the next may be as low as it could have been.
            ("acquire", None) => *current = None,
            ("prove", Some(_)) if token == *current => {}
            ("release", Some(_)) if token == *current => *current = None,
            _ => return false,
        }
        true
    }

    /// A proof and a release need their own acquisition. Whatever else is taken out makes nothing illegal.
    fn depends(&self, operation: &Operation<'_>, on: &Operation<'_>) -> bool {
        let token = |operation: &Operation<'_>| operation.completion.unwrap_or(operation.invoke).value.as_i64();
        operation.f() != "acquire" && on.f() == "acquire" && token(operation) == token(on)
    }
}
