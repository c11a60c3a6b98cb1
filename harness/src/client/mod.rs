//! Clients as processes of their own, which can be cut off, paused and killed as their nodes can.
//!
//! `grudge client` is such a program and hosts the clients that come with this one; any other that keeps to the lines
//! will do:
#![doc = include_str!("../../../workloads/CLIENTS.md")]

mod host;
pub(crate) mod lines;
pub(crate) mod process;
mod roster;
pub(crate) mod seat;

pub use host::serve;
pub use roster::{Clients, Roster};
pub use seat::Staff;
