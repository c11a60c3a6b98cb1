//! What clients do: generators, client adapters, outcome tables, and which checkers judge them.

pub mod client;
pub mod generator;
pub mod operation;
pub mod workload;
