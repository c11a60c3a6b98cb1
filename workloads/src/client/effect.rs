//! What a request without an answer leaves behind.

use crate::operation::Outcome;

/// What a request may have done to the system if its answer is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that this operation is about.
    None,
    /// The operation may have taken effect.
    Write,
}

impl Effect {
    /// The outcome of an operation whose request got no answer, and why not: a request that changes nothing has
    /// certainly not changed anything.
    #[must_use]
    pub fn unknown(self, token: impl Into<String>) -> Outcome {
        match self {
            Effect::None => Outcome::fail(token),
            Effect::Write => Outcome::info(token),
        }
    }
}
