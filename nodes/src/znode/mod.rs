//! A ZooKeeper server above the broadcast: znodes, sessions, watches.
//!
//! # What it promises
//!
//! ZooKeeper's guarantees: writes are linearizable and totally ordered by zxid; each client's requests are carried
//! out in its order (FIFO); a watch is told before the change can be seen; a session's ephemeral nodes end with it;
//! a client never sees an older state after a newer one, on whichever server. Beyond ZooKeeper's: a `sync` is
//! confirmed by a quorum, so that a read behind it is linearizable.
//!
//! # How
//!
//! Four layers, each a pure value, joined by [`Replica`]:
//!
//! - `tree` holds the znodes, `session` who is connected, `txn` applies the log's requests to both;
//! - `watch` and `connection` are what one server knows of its own clients;
//! - `leader` is what the leader alone decides: when a session expires, and which connection it belongs to;
//! - `service` puts them together and talks to the broadcast ([`crate::zab`]) in opaque bytes.
//!
//! The client protocol's bytes are the business of [`crate::zookeeper`]; here requests are types.

mod connection;
mod error;
mod leader;
mod local;
mod op;
mod path;
mod replica;
mod service;
mod session;
mod tree;
mod txn;
mod watch;

pub use error::ErrorCode;
pub use op::{
    Answer, ChildrenAnswer, Connect, Create, CreateAnswer, CreateMode, EventKind, Local, Mode, NodeOp, Op, Read, Reply,
    Request, SetWatches, Status, WatchKind, Write,
};
pub use replica::{Config, Replica};
pub use session::{Password, Session, SessionId, Tracker, negotiate};
pub use tree::{Acl, Stat, Tree};

#[cfg(test)]
mod tests;
