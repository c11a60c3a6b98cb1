//! Why an operation was refused, in ZooKeeper's terms.

use serde::{Deserialize, Serialize};

/// An operation's error. Each has the number that the client protocol gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ErrorCode {
    /// An operation of a multi was not tried, because one before it failed.
    #[error("runtime inconsistency")]
    RuntimeInconsistency,
    /// The server does not know the operation.
    #[error("unimplemented")]
    Unimplemented,
    /// A path, a flag or a combination of them that means nothing.
    #[error("bad arguments")]
    BadArguments,
    /// The node, or the parent of a node to be created, does not exist.
    #[error("no node")]
    NoNode,
    /// The node has another version than the caller expected.
    #[error("bad version")]
    BadVersion,
    /// An ephemeral node bears no children.
    #[error("no children for ephemerals")]
    NoChildrenForEphemerals,
    /// There is such a node already.
    #[error("node exists")]
    NodeExists,
    /// A node with children is not deleted.
    #[error("not empty")]
    NotEmpty,
    /// The session is over.
    #[error("session expired")]
    SessionExpired,
    /// An access control list without entries.
    #[error("invalid ACL")]
    InvalidAcl,
    /// The session goes on over another connection.
    #[error("session moved")]
    SessionMoved,
    /// There is no such watch.
    #[error("no watcher")]
    NoWatcher,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            ErrorCode::RuntimeInconsistency => -2,
            ErrorCode::Unimplemented => -6,
            ErrorCode::BadArguments => -8,
            ErrorCode::NoNode => -101,
            ErrorCode::BadVersion => -103,
            ErrorCode::NoChildrenForEphemerals => -108,
            ErrorCode::NodeExists => -110,
            ErrorCode::NotEmpty => -111,
            ErrorCode::SessionExpired => -112,
            ErrorCode::InvalidAcl => -114,
            ErrorCode::SessionMoved => -118,
            ErrorCode::NoWatcher => -121,
        }
    }
}
