//! The simulator: a cluster of any [`Replica`](crate::replica::Replica) in memory, in virtual time, from one seed.
//!
//! # What it promises
//!
//! The same seed gives the same run, step by step. Everything that is drawn (delays, losses, torn writes,
//! faults) comes from ChaCha8 streams of that seed, one for each purpose and place, so that a fault which is left out
//! moves little elsewhere. Events of the same instant happen in the order in which they were scheduled, and nothing
//! depends on the order of a hash map.
//!
//! # What it breaks
//!
//! - **Network**: messages are delayed, lost, repeated and reordered, everywhere or on some links; links are cut, in
//!   one direction too. A message may reach a later life of its receiver.
//! - **Disks**: a write is volatile until a fsync, which takes virtual time and covers whatever was queued when it
//!   began. A power loss keeps what was fsynced and at most a prefix of the rest; the kill of a process keeps what
//!   was handed to the system, acknowledged or not. Disks are slow, full, or cannot be read (see [`DiskFault`]).
//! - **Processes**: crash, restart, pause; a halt exactly at an armed [`Point`](crate::point::Point). Outputs behind a
//!   barrier which was not reached are gone with their process.
//! - **Clocks**: each life's clock begins somewhere else. A node's clock runs fast or slow, and jumps (see [`Jump`]).
//!
//! # Who asks
//!
//! Clients that are far away [connect](World::connect) over connections that keep their order and take their time, and
//! see them refused and closed. Clients beside a node [ask](World::request) and are answered without delay: tests that
//! want one answer.
//!
//! # What it asserts after each step
//!
//! [`Replica::check`](crate::replica::Replica::check); one leader an epoch; the same digest for the same applied
//! position; positions applied in order with none left out (see [`Agreement`](crate::agreement::Agreement)); no panic;
//! and the caller's own invariants over all live replicas. What is broken is a [`Violation`], which prints how to
//! repeat it. It ends the run, or the run goes on so that clients may see its consequence (see [`OnViolation`]).
//!
//! # What it leaves out
//!
//! Records that rot on the disk. Connections of clients that are cut or lossy: a client's view is made worse by what
//! happens to its node.

mod agenda;
mod chaos;
mod client;
mod clock;
mod disk;
mod network;
mod options;
mod seeds;
mod streams;
mod trace;
mod violation;
mod world;

pub use chaos::{Chaos, Crash};
pub use client::{Arrival, Heard, Replied};
pub use clock::Jump;
pub use disk::DiskFault;
pub use network::Cut;
pub use options::{Carried, OnViolation, Options, Packets, Span};
pub use seeds::{expect_violation, for_each_seed};
pub use violation::Violation;
pub use world::{Death, World};

#[cfg(test)]
mod tests;
