//! The etcd v3 protocol, over clients generated from the API's description.
//!
//! # What is promised
//!
//! A client is one HTTP/2 connection to one node. There is no channel that reconnects or balances and nothing that
//! retries: a [`link::Link`] hands each request to its connection once, and knows whether the connection took it. When
//! the connection breaks, or a call outlives its deadline, the client is dead and its connection's task is aborted.
//!
//! # Leases
//!
//! A client that locks has one lease, granted at its first acquisition and renewed in the background three times in
//! its life. A dead client's lease is left to expire.

mod directory;
mod lease;
mod link;
mod lock;
mod members;
mod multi;
mod outcome;
mod register;
mod role;
mod session;
mod set;

pub(crate) use lease::Lease;
pub(crate) use lock::Lock;
pub(crate) use members::Members;
pub(crate) use multi::Multi;
pub(crate) use register::Register;
pub(crate) use session::Session;
pub(crate) use set::Set;

#[allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/etcd.rs"));
}
use proto::etcdserverpb as pb;
