//! Tests of the store alone, of its requests, and of whole clusters under chaos.

mod chaos;
mod cluster;
mod history;
mod leases;
mod requests;
mod semantics;
