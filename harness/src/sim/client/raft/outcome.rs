//! What each error means for the operation, as in the real client's table: every answer that leaves it open is
//! unknown for a request that changes something.

use grudge_nodes::kv::api::Error;
use grudge_workloads::operation::Outcome;

use super::Effect;

/// Why an operation did not get its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The connection was gone before the request: nothing was sent.
    Unsent,
    /// The node was not there: nothing was received.
    Unreachable,
    /// The connection broke after the request was handed over.
    Lost(Effect),
    /// The server said, for certain, that it did not do it.
    Refused(Error),
    /// The server answered with an error that leaves it open.
    Doubt(Effect, Error),
    /// The server answered another question.
    BadReply(Effect),
    /// Time was up.
    Deadline(Effect),
}

impl Stop {
    /// What the server's error means.
    pub(super) fn of(effect: Effect, error: Error) -> Stop {
        match error {
            Error::LeaderChanged | Error::Timeout => Stop::Doubt(effect, error),
            _ => Stop::Refused(error),
        }
    }

    /// Whether the client can no longer be trusted to send nothing more of this.
    pub(super) fn kills(self) -> bool {
        match self {
            Stop::Unsent | Stop::Unreachable | Stop::Lost(_) | Stop::BadReply(_) | Stop::Deadline(_) => true,
            Stop::Refused(_) | Stop::Doubt(..) => false,
        }
    }
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Outcome {
        match stop {
            Stop::Unsent => Outcome::fail("disconnected"),
            Stop::Unreachable => Outcome::fail("connection-refused"),
            Stop::Refused(error) => Outcome::fail(token(error)),
            Stop::Lost(effect) => effect.unknown("connection-lost"),
            Stop::Doubt(effect, error) => effect.unknown(token(error)),
            Stop::BadReply(effect) => effect.unknown("bad-reply"),
            Stop::Deadline(effect) => effect.unknown("timeout"),
        }
    }
}

/// The server's message as a short token.
fn token(error: Error) -> String {
    let message = error.to_string();
    let message = message.strip_prefix("etcdserver: ").unwrap_or(&message);
    let words = message.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.take(8).map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_certainty_are_those_of_the_real_client() {
        let table = [
            (Error::NoLeader, Outcome::fail("no-leader")),
            (Error::LeaseNotFound, Outcome::fail("requested-lease-not-found")),
            (Error::EmptyKey, Outcome::fail("key-is-not-provided")),
            (Error::RequestTooLarge, Outcome::fail("request-is-too-large")),
            (Error::LeaseExists, Outcome::fail("lease-already-exists")),
            (Error::Timeout, Outcome::info("request-timed-out")),
            (Error::LeaderChanged, Outcome::info("leader-changed")),
        ];
        for (error, outcome) in table {
            assert_eq!(Outcome::from(Stop::of(Effect::Write, error)), outcome);
            let read = Outcome::from(Stop::of(Effect::None, error));
            assert!(matches!(read, Outcome::Fail { .. }), "a read has certainly changed nothing: {read:?}");
        }
    }
}
