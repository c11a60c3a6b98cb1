//! Tests of the store alone, of its requests, and of whole clusters under chaos.

mod bugs;
mod chaos;
mod cluster;
mod history;
mod keepers;
mod leases;
mod narrow;
mod requests;
mod semantics;
