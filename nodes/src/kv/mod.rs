//! The replicated key-value store: etcd's data model over [`crate::raft`].

pub mod api;
mod config;

pub use config::{Config, Timeouts};
