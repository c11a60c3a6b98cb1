//! The ZooKeeper protocol, over the crate `zookeeper-client`.
//!
//! # What is promised
//!
//! A client is one session on one connection to one node. When the connection breaks, when the session ends, or when a
//! call outlives its deadline, the client is dead: its background task is aborted, its socket closed, and whatever
//! that task still had to send is dropped with it. So each request is sent at most once, and never after its
//! operation was given up.
//!
//! # How
//!
//! The library keeps a session alive over reconnects, and a request that is queued while it is disconnected is sent
//! after the reconnect, even when its caller has long gone; dropping the library's client does not stop that (it
//! first works off its queue, to close the session politely). Therefore the library is made to spawn its task through
//! [`Session`], which can abort it.
//!
//! The library also panics over some answers that are too short. That happens where an answer is awaited, in this
//! code's task, and each such place goes through [`contain`](super::contain): such an answer is a bad reply like any
//! other.
//!
//! # What is left out
//!
//! A list of children that claims to have hundreds of millions makes the library reserve the memory for them at once;
//! if the machine refuses, the process aborts.
//!
//! A session is not carried over to another connection, except by a [`Nomad`], which is a connection of its own kind. It
//! is left to expire, as that of a crashed client is.

mod directory;
mod lock;
mod multi;
mod nomad;
mod outcome;
mod register;
mod role;
mod session;
mod set;

pub(crate) use lock::Lock;
pub(crate) use multi::Multi;
pub(crate) use nomad::{Nomad, Travels};
pub(crate) use register::Register;
pub(crate) use session::Session;
pub(crate) use set::Set;
