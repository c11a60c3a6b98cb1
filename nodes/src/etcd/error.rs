//! Which gRPC code each error has; the texts are the errors' own.

use tonic::{Code, Status};

use crate::driver::Stopped;
use crate::kv::api::Error;

/// An error as etcd's clients know it.
pub(super) fn status(error: Error) -> Status {
    let code = match error {
        Error::NoLeader | Error::LeaderChanged | Error::Timeout => Code::Unavailable,
        Error::Compacted | Error::FutureRevision | Error::LeaseTtlTooLarge => Code::OutOfRange,
        Error::EmptyKey
        | Error::KeyNotFound
        | Error::ValueProvided
        | Error::LeaseProvided
        | Error::DuplicateKey
        | Error::TooManyOps
        | Error::RequestTooLarge => Code::InvalidArgument,
        Error::LeaseNotFound => Code::NotFound,
        Error::LeaseExists => Code::FailedPrecondition,
    };
    Status::new(code, error.to_string())
}

/// The replica ended while the call waited: what became of it is unknown.
pub(super) fn stopped(_: Stopped) -> Status {
    Status::unavailable("etcdserver: server stopped")
}

/// A part of the API that is not served.
pub(super) fn unimplemented(what: &str) -> Status {
    Status::unimplemented(format!("etcdserver: {what} is not served here"))
}
