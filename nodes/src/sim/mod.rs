//! The simulator: a cluster of any [`Replica`](crate::replica::Replica) in memory, in virtual time, from one seed.
//!
//! # What it promises
//!
//! The same seed gives the same run, step by step. Everything that is drawn (delays, losses, torn writes,
//! faults) comes from ChaCha8 streams of that seed, events of the same instant happen in the order in which they
//! were scheduled, and nothing depends on the order of a hash map.
//!
//! # What it breaks
//!
//! - **Network**: messages are delayed, lost, repeated and reordered; links are cut, in one direction too.
//!   A message may reach a later life of its receiver.
//! - **Disks**: a write is volatile until a fsync, which takes virtual time and covers whatever was queued when it
//!   began. A power loss keeps what was fsynced and at most a prefix of the rest; the kill of a process keeps what
//!   was handed to the system, acknowledged or not.
//! - **Processes**: crash, restart, pause. Outputs behind a barrier which was not reached are gone.
//! - **Clocks**: each life's clock begins somewhere else.
//!
//! # What it asserts after each step
//!
//! [`Replica::check`](crate::replica::Replica::check); one leader an epoch; the same digest for the same applied
//! position; positions applied in order with none left out (see [`Agreement`]); no panic; and the caller's own
//! invariants over all live replicas. What is broken is a [`Violation`], which prints how to repeat it.
//!
//! # What it leaves out
//!
//! Clocks that run at different speeds, records that rot on the disk, disks that are full, and clients that are
//! far away: a request reaches its replica at once.

mod agreement;
mod chaos;
mod disk;
mod network;
mod options;
mod seeds;
mod trace;
mod violation;
mod world;

pub use agreement::Agreement;
pub use chaos::{Chaos, Crash};
pub use network::Cut;
pub use options::{Options, Span};
pub use seeds::{expect_violation, for_each_seed};
pub use violation::Violation;
pub use world::{Replied, World};

#[cfg(test)]
mod tests;
