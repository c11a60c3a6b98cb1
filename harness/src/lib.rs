//! Hosts, clusters, faults, the runner, the store, reports, the command line.

pub mod cli;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod disk;
pub mod doctor;
pub mod exit;
pub mod fault;
pub mod hold;
pub mod host;
pub mod hunt;
pub mod logging;
pub mod nemesis;
pub mod net;
pub mod real;
pub mod replay;
pub mod report;
pub mod runner;
pub mod sandbox;
pub mod shrink;
pub mod sim;
pub mod spec;
pub mod store;
pub mod suite;
pub mod system;
