//! Hosts: a cluster whose nodes are whole machines.
//!
//! ```text
//!   this machine                                    each host
//!   Fleet ── Agent ── lines of JSON over ssh ── grudge agent ── one replica, its disk, its clock, its rules
//! ```
//!
//! On each host an *agent* (`grudge agent`) does to its one node what a local cluster does to all of its own: it is the
//! same code on a cluster of one. The [`Fleet`] decides whom a fault means, has the agents concerned put it in force, and
//! makes one receipt of theirs. Only partitions are its own: they are made of rules on every host, and proven by
//! datagrams between all of them.
//!
//! An agent lives in a sandbox with the network of its host, and dies with the line over which it is told what to do.
//! Nothing outlives it there: no process, mount, rule or file.
//!
//! What a node writes into its log and its events is sent on at once, so that it is here if the host is not there any
//! more. A host that is lost ends the run as a failure of the harness.
//!
//! Hosts are reached by [`ssh`], which also puts this program there.

pub mod address;
mod agent;
mod camp;
mod fleet;
mod gather;
mod interfaces;
pub mod inventory;
mod line;
pub mod program;
pub mod ssh;
mod words;

pub use address::Interface;
pub use agent::serve;
pub use camp::{Camp, CampError};
pub use fleet::{Fleet, Host};
pub use gather::{GatherError, gather};
pub use line::{Agent, HostError};
pub use words::Hello;
