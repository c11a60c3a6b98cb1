//! What clients do: generators, client adapters, outcome tables, and which checkers judge them.
//!
//! A [`workload::Workload`] is found by name in the [`registry`]. It brings a [generator](generator::Generator) for
//! the main phase and one for the liveness phase, the [clients](client::Connect) of a protocol, and its judge.

pub mod client;
pub mod generator;
mod grow;
pub mod holders;
mod judge;
mod keys;
mod lease;
mod lock;
pub mod operation;
mod register;
pub mod registry;
mod session;
pub mod speech;
pub mod workload;
