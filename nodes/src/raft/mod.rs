//! Raft consensus.

mod config;
mod role;

pub use config::Timeouts;
pub use role::Role;
