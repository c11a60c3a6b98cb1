//! What each error means for the operation, as in the real client's table: a server that answers with an error code
//! has refused; whatever breaks between the sending and the answer is unknown for a request that changes something.

use grudge_nodes::znode::ErrorCode;
use grudge_workloads::operation::Outcome;

use super::Effect;

/// Why an operation did not get its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The client was dead before the request: nothing was sent.
    Unsent,
    /// The server answered with an error.
    Refused(Effect, ErrorCode),
    /// The connection broke after the request was handed over.
    Lost(Effect),
    /// The server answered another question.
    BadReply(Effect),
    /// Time was up.
    Deadline(Effect),
}

impl Stop {
    /// Whether the client can no longer be trusted to send nothing more of this.
    pub(super) fn kills(self) -> bool {
        match self {
            Stop::Unsent | Stop::Lost(_) | Stop::BadReply(_) | Stop::Deadline(_) => true,
            Stop::Refused(_, error) => match refusal(error) {
                Some(_) => matches!(error, ErrorCode::SessionExpired | ErrorCode::SessionMoved),
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
            Stop::BadReply(effect) => effect.unknown("bad-reply"),
            Stop::Deadline(effect) => effect.unknown("timeout"),
            Stop::Refused(effect, error) => match refusal(error) {
                Some(token) => Outcome::fail(token),
                None => effect.unknown("system-error"),
            },
        }
    }
}

/// The outcome of an operation that was broken off after its first part took effect: unknown, whatever broke it off.
pub(crate) fn half_done(stop: Stop) -> Outcome {
    match Outcome::from(stop) {
        Outcome::Fail { error } => Outcome::Info { error },
        outcome => outcome,
    }
}

/// The errors by which a server says that it did not do it.
fn refusal(error: ErrorCode) -> Option<&'static str> {
    Some(match error {
        ErrorCode::NoNode => "no-node",
        ErrorCode::NodeExists => "node-exists",
        ErrorCode::BadVersion => "bad-version",
        ErrorCode::NotEmpty => "not-empty",
        ErrorCode::NoChildrenForEphemerals => "no-children-for-ephemerals",
        ErrorCode::InvalidAcl => "invalid-acl",
        ErrorCode::Unimplemented => "unimplemented",
        ErrorCode::SessionExpired => "session-expired",
        ErrorCode::SessionMoved => "session-moved",
        ErrorCode::BadArguments => "bad-arguments",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_definite_and_everything_else_is_unknown_for_writes() {
        for effect in [Effect::None, Effect::Write] {
            assert_eq!(Outcome::from(Stop::Refused(effect, ErrorCode::BadVersion)), Outcome::fail("bad-version"));
            assert_eq!(Outcome::from(Stop::Refused(effect, ErrorCode::SessionMoved)), Outcome::fail("session-moved"));
        }
        for (stop, token) in [(Stop::Lost as fn(_) -> _, "connection-lost"), (Stop::Deadline, "timeout")] {
            assert_eq!(Outcome::from(stop(Effect::Write)), Outcome::info(token));
            assert_eq!(Outcome::from(stop(Effect::None)), Outcome::fail(token));
            assert!(stop(Effect::None).kills());
        }
    }
}
