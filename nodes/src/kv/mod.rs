//! The replicated key-value store: etcd's data model over [`crate::raft`].
//!
//! # What it promises
//!
//! Changes and linearizable reads happen in one order that agrees with real time, whichever replica is asked. Every
//! request is answered: with a result, with an error that means it certainly did not happen and never will, or with
//! [`api::Error::Timeout`], which means that nobody here knows. A key that hangs on a lease is there for the lease's
//! full time after the last keep-alive that was answered, whatever becomes of the leader.
//!
//! # How
//!
//! - A change is a command in the replicated log. The replica that a client asked answers when it applies the
//!   command itself. Commands have numbers that are never used twice, so one that the network repeated on its way to
//!   the leader is applied once.
//! - A read asks the consensus for an index and waits until that is applied. So do keep-alives, at the leader: one
//!   that has been deposed without knowing it prolongs nothing.
//! - A proposal belongs to one term. When an entry of a later term is applied before it, its client is told that it
//!   did not happen; otherwise an unanswered one ends as a timeout.
//! - Keys keep their former values until compaction ([`mvcc`]); leases count down at the leader only ([`lease`]).
//!
//! # What is left out
//!
//! Watches (the store's index of changes is there for them), members that come and go, users and roles, alarms.

pub mod api;
mod command;
mod config;
mod lease;
mod message;
mod mvcc;
mod pending;
mod replica;
mod state;
#[cfg(test)]
mod tests;
mod txn;

pub use command::RequestId;
pub use config::{Compaction, Config, Due, Timeouts};
pub use message::{LeaseAnswer, LeaseQuestion, Message};
pub use replica::Replica;
pub use state::State;
