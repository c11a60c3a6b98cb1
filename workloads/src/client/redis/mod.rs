//! Redis' protocol, of a server alone or of several under sentinels.
//!
//! # What is promised
//!
//! A client is one connection to one server. There is nothing that reconnects, follows a redirection or sends anything
//! again: a [`link::Link`] hands each request to its connection once. When the connection breaks, or a call outlives its
//! deadline, the client is dead and its connection's task is aborted.
//!
//! # Sentinels
//!
//! What listens at its node's port says whether it is a server or a sentinel. A sentinel is asked who the master is, and
//! the client connects there, if that one says so, too. It asks again a few times a second, where others listen for
//! `+switch-master`, and is dead when its sentinel has come to know another master. The node in the history is the one
//! whose sentinel was asked.

mod link;
mod lock;
mod outcome;
mod register;
mod role;
mod sentinel;
mod session;
mod set;

pub(crate) use lock::Lock;
pub(crate) use register::Register;
pub(crate) use session::Session;
pub(crate) use set::Set;
