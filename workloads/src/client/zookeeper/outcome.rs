//! What each error means for the operation: the one place where definite and unknown are decided.
//!
//! `fail` is claimed only where it is certain that the operation did not happen and will not. A server that answers a
//! request with an error code has refused it (the transaction became an error transaction, which changes nothing).
//! Whatever breaks between the sending and the answer is unknown, for a request that changes something; a request
//! that changes nothing has certainly not changed anything.

use zookeeper_client::Error;

use crate::client::Effect;
use crate::operation::Outcome;

/// The token for bytes that make no sense.
pub(super) const BAD_REPLY: &str = "bad-reply";

/// Why an operation did not get its answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stop {
    /// The client was dead before the request: nothing was sent.
    Unsent,
    /// The library or the server answered with an error.
    Error(Effect, Error),
    /// The connection broke after the request was handed over.
    Lost(Effect),
    /// The library panicked over the answer.
    BadReply(Effect),
    /// Time was up.
    Deadline(Effect),
}

impl Stop {
    /// Whether the client can no longer be trusted to send nothing more of this.
    pub(super) fn kills(&self) -> bool {
        match self {
            Stop::Unsent | Stop::Lost(_) | Stop::BadReply(_) | Stop::Deadline(_) => true,
            Stop::Error(_, error) => match refusal(error) {
                Some(_) => matches!(error, Error::SessionExpired | Error::SessionMoved),
                None => true,
            },
        }
    }
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Outcome {
        match stop {
            Stop::Unsent => Outcome::fail("disconnected"),
            Stop::Lost(effect) => effect.unknown("connection-lost"),
            Stop::BadReply(effect) => effect.unknown(BAD_REPLY),
            Stop::Deadline(effect) => effect.unknown("timeout"),
            Stop::Error(effect, error) => match refusal(&error) {
                Some(token) => Outcome::fail(token),
                None => effect.unknown(doubt(&error)),
            },
        }
    }
}

/// The outcome of an operation that was broken off after its first part took effect: unknown, whatever broke it off.
pub(super) fn half_done(stop: Stop) -> Outcome {
    match Outcome::from(stop) {
        Outcome::Fail { error } => Outcome::Info { error },
        outcome => outcome,
    }
}

/// An error in a word.
pub(super) fn token(error: &Error) -> &'static str {
    refusal(error).unwrap_or_else(|| doubt(error))
}

/// The errors by which a server says that it did not do it.
fn refusal(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::NoNode => "no-node",
        Error::NodeExists => "node-exists",
        Error::BadVersion => "bad-version",
        Error::NotEmpty => "not-empty",
        Error::NoChildrenForEphemerals => "no-children-for-ephemerals",
        Error::NoAuth => "no-auth",
        Error::InvalidAcl => "invalid-acl",
        Error::QuotaExceeded => "quota-exceeded",
        Error::NotReadOnly => "not-read-only",
        Error::Unimplemented => "unimplemented",
        // Refused before it was queued.
        Error::Throttled => "throttled",
        // Refused by the check of the session that precedes every transaction.
        Error::SessionExpired => "session-expired",
        Error::SessionMoved => "session-moved",
        // Found by the library before anything was sent.
        Error::BadArguments(_) => "bad-arguments",
        _ => return None,
    })
}

/// The errors after which nobody knows.
fn doubt(error: &Error) -> &'static str {
    match error {
        // The library reports a broken connection and a silent one (`no response from connection`) as custom errors.
        Error::ConnectionLoss | Error::Custom(_) => "connection-lost",
        Error::ClientClosed => "client-closed",
        Error::Timeout => "timeout",
        Error::AuthFailed => "auth-failed",
        Error::UnmarshalError { .. } | Error::UnexpectedError(_) | Error::UnexpectedErrorCode(_) => BAD_REPLY,
        // System errors of the server: it stumbled somewhere between the request and the answer.
        _ => "system-error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_definite_for_reads_and_writes() {
        let refusals = [
            (Error::NoNode, "no-node"),
            (Error::NodeExists, "node-exists"),
            (Error::BadVersion, "bad-version"),
            (Error::SessionExpired, "session-expired"),
            (Error::SessionMoved, "session-moved"),
            (Error::Throttled, "throttled"),
            (Error::BadArguments(&"empty"), "bad-arguments"),
        ];
        for (error, token) in refusals {
            for effect in [Effect::None, Effect::Write] {
                assert_eq!(Outcome::from(Stop::Error(effect, error.clone())), Outcome::fail(token), "{error:?}");
            }
        }
    }

    #[test]
    fn doubt_is_unknown_for_writes_and_definite_for_reads() {
        let doubts = [
            (Stop::Lost as fn(Effect) -> Stop, "connection-lost"),
            (Stop::Deadline, "timeout"),
            (Stop::BadReply, "bad-reply"),
            (|effect| Stop::Error(effect, Error::ConnectionLoss), "connection-lost"),
            (|effect| Stop::Error(effect, Error::Timeout), "timeout"),
            (|effect| Stop::Error(effect, Error::ClientClosed), "client-closed"),
            (|effect| Stop::Error(effect, Error::UnexpectedErrorCode(-99)), "bad-reply"),
            (|effect| Stop::Error(effect, Error::MarshallingError), "system-error"),
            (|effect| Stop::Error(effect, Error::RuntimeInconsistent), "system-error"),
        ];
        for (stop, token) in doubts {
            assert_eq!(Outcome::from(stop(Effect::Write)), Outcome::info(token));
            assert_eq!(Outcome::from(stop(Effect::None)), Outcome::fail(token));
            assert!(stop(Effect::None).kills(), "{token}: a request without an answer may still be in a queue");
        }
    }

    #[test]
    fn only_what_was_never_sent_fails_without_an_answer() {
        assert_eq!(Outcome::from(Stop::Unsent), Outcome::fail("disconnected"));
    }
}
