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

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes and texts by which etcd's clients tell errors apart: a client retries, or gives up, by them.
    #[test]
    fn errors_have_the_codes_and_texts_that_clients_know() {
        let table = [
            (Error::NoLeader, Code::Unavailable, "etcdserver: no leader"),
            (Error::LeaderChanged, Code::Unavailable, "etcdserver: leader changed"),
            (Error::Timeout, Code::Unavailable, "etcdserver: request timed out"),
            (Error::Compacted, Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted"),
            (Error::FutureRevision, Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision"),
            (Error::EmptyKey, Code::InvalidArgument, "etcdserver: key is not provided"),
            (Error::KeyNotFound, Code::InvalidArgument, "etcdserver: key not found"),
            (Error::ValueProvided, Code::InvalidArgument, "etcdserver: value is provided"),
            (Error::LeaseProvided, Code::InvalidArgument, "etcdserver: lease is provided"),
            (Error::DuplicateKey, Code::InvalidArgument, "etcdserver: duplicate key given in txn request"),
            (Error::TooManyOps, Code::InvalidArgument, "etcdserver: too many operations in txn request"),
            (Error::RequestTooLarge, Code::InvalidArgument, "etcdserver: request is too large"),
            (Error::LeaseNotFound, Code::NotFound, "etcdserver: requested lease not found"),
            (Error::LeaseExists, Code::FailedPrecondition, "etcdserver: lease already exists"),
            (Error::LeaseTtlTooLarge, Code::OutOfRange, "etcdserver: too large lease TTL"),
        ];
        for (error, code, text) in table {
            let status = status(error);
            assert_eq!((status.code(), status.message()), (code, text), "{error:?}");
        }
    }
}
