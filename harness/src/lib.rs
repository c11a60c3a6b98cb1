//! Hosts, clusters, faults, the runner, the store, reports, the command line.

pub mod cluster;
pub mod doctor;
pub mod fault;
pub mod sandbox;
pub mod system;
