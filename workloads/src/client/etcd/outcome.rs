//! What each error means for the operation: the one place where definite and unknown are decided.
//!
//! `fail` is claimed only where it is certain that the operation did not happen and will not:
//! - the connection never took the request;
//! - the server answered with one of its own refusals. Those are found before a proposal is made (arguments, size,
//!   back-pressure), or when it is applied, where a refused request changes nothing (lease not found, no space);
//! - `no leader`: a member says so when it has nobody to propose to, before it proposes.
//!
//! Everything else is unknown for a request that changes something. In particular `request timed out` and `leader
//! changed`: the proposal is in somebody's log and may be committed later. A request that changes nothing has
//! certainly not changed anything.

use std::error::Error;

use tonic::{Code, Status};

use super::link::LinkError;
use crate::client::Effect;
pub(super) use crate::client::stop::Stop;

/// How the server's own messages begin; a message without it was made on the way.
const SERVER: &str = "etcdserver: ";

/// The token of a request that names a lease which is not there any more.
pub(super) const LEASE_NOT_FOUND: &str = "requested-lease-not-found";

impl Stop {
    /// What a gRPC status means.
    pub(super) fn of(effect: Effect, status: Status) -> Stop {
        match status.source().and_then(|source| source.downcast_ref::<LinkError>()) {
            Some(LinkError::Unsent(_)) => return Stop::Unsent,
            Some(LinkError::Lost(_)) => return Stop::Lost(effect),
            None => {}
        }
        match status.message().strip_prefix(SERVER) {
            Some(message) if refuses(status.code(), message) => Stop::Refused(token(message)),
            Some(message) => Stop::Doubt(effect, token(message)),
            None => Stop::Doubt(effect, token(&format!("{:?}", status.code()))),
        }
    }
}

/// Whether this answer of the server is a refusal.
fn refuses(code: Code, message: &str) -> bool {
    match code {
        Code::InvalidArgument
        | Code::OutOfRange
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::ResourceExhausted
        | Code::PermissionDenied
        | Code::Unauthenticated => true,
        Code::Unavailable => message == "no leader",
        _ => false,
    }
}

/// A message as a short token.
fn token(message: &str) -> String {
    let words = message.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.take(8).map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Outcome;

    fn outcome(effect: Effect, code: Code, message: &str) -> Outcome {
        Stop::of(effect, Status::new(code, message)).into()
    }

    #[test]
    fn a_refusal_is_definite_for_reads_and_writes() {
        let refusals = [
            (Code::Unavailable, "etcdserver: no leader", "no-leader"),
            (Code::NotFound, "etcdserver: requested lease not found", LEASE_NOT_FOUND),
            (Code::InvalidArgument, "etcdserver: key is not provided", "key-is-not-provided"),
            (Code::InvalidArgument, "etcdserver: request is too large", "request-is-too-large"),
            (Code::ResourceExhausted, "etcdserver: too many requests", "too-many-requests"),
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", "mvcc-database-space-exceeded"),
            (Code::FailedPrecondition, "etcdserver: lease already exists", "lease-already-exists"),
        ];
        for (code, message, token) in refusals {
            for effect in [Effect::None, Effect::Write] {
                assert_eq!(outcome(effect, code, message), Outcome::fail(token));
            }
        }
    }

    #[test]
    fn doubt_is_unknown_for_writes_and_definite_for_reads() {
        let doubts = [
            (Code::Unavailable, "etcdserver: request timed out", "request-timed-out"),
            (Code::Unavailable, "etcdserver: leader changed", "leader-changed"),
            (Code::Unavailable, "etcdserver: server stopped", "server-stopped"),
            (Code::Unknown, "raft proposal dropped", "unknown"),
            (Code::Unavailable, "transport is closing", "unavailable"),
            (Code::OutOfRange, "decoded message length too large", "outofrange"),
            (Code::Cancelled, "h2 stream reset", "cancelled"),
            (Code::Internal, "missing trailers", "internal"),
        ];
        for (code, message, token) in doubts {
            assert_eq!(outcome(Effect::Write, code, message), Outcome::info(token));
            assert_eq!(outcome(Effect::None, code, message), Outcome::fail(token));
        }
        for (stop, token) in [(Stop::Lost as fn(_) -> _, "connection-lost"), (Stop::Deadline, "timeout")] {
            assert_eq!(Outcome::from(stop(Effect::Write)), Outcome::info(token));
            assert_eq!(Outcome::from(stop(Effect::None)), Outcome::fail(token));
            assert!(stop(Effect::None).kills());
        }
    }

    #[test]
    fn the_link_knows_what_it_did_not_send() {
        let status = |error: LinkError| Status::from_error(Box::new(error));
        assert_eq!(Stop::of(Effect::Write, status(LinkError::Unsent("closed".to_owned()))), Stop::Unsent);
        assert_eq!(Stop::of(Effect::Write, status(LinkError::Lost("reset".to_owned()))), Stop::Lost(Effect::Write));
    }
}
