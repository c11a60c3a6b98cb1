//! Why an operation did not get its answer, and what that means for it.

use super::Effect;
use crate::operation::Outcome;

/// Why an operation did not get its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The connection was gone before the request: nothing was sent.
    Unsent,
    /// The connection broke after the request was handed over.
    Lost(Effect),
    /// The server said, for certain, that it did not do it.
    Refused(String),
    /// The server, or something on the way, answered with an error that leaves it open.
    Doubt(Effect, String),
    /// Time was up.
    Deadline(Effect),
}

impl Stop {
    /// Why, in a word, for whom it does not matter what became of the request.
    pub(super) fn token(self) -> String {
        match Outcome::from(self) {
            Outcome::Fail { error } | Outcome::Info { error } => error,
            Outcome::Ok { .. } => unreachable!("a stop is never ok"),
        }
    }

    /// Whether the client can no longer be trusted to send nothing more of this.
    pub(super) fn kills(&self) -> bool {
        match self {
            Stop::Unsent | Stop::Lost(_) | Stop::Deadline(_) => true,
            Stop::Refused(_) | Stop::Doubt(..) => false,
        }
    }
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Outcome {
        match stop {
            Stop::Unsent => Outcome::fail("disconnected"),
            Stop::Refused(token) => Outcome::fail(token),
            Stop::Lost(effect) => effect.unknown("connection-lost"),
            Stop::Doubt(effect, token) => effect.unknown(token),
            Stop::Deadline(effect) => effect.unknown("timeout"),
        }
    }
}
