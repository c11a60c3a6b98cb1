//! Registers over HTTP, as a description has them: for systems of which nobody writes a line of code.
//!
//! # What is promised
//!
//! A client is one HTTP/1.1 connection to one node. Nothing retries, follows a redirect or connects again: each request
//! is handed to the connection once, and it is known whether the connection took it. When the connection breaks, or a
//! call outlives its deadline, the client is dead and its connection's task is aborted.
//!
//! # What is described
//!
//! An [`Api`] has a [`Call`] for each operation: its request, and by which [`Sign`]s the answer is told.

mod api;
mod clients;
mod line;
mod outcome;
mod register;
mod session;
mod sign;

pub use api::{Api, Call};
pub(crate) use clients::Clients;
pub use line::Line;
pub(super) use session::ask;
pub use sign::Sign;
pub(super) use sign::{check_pointer, found, same};
