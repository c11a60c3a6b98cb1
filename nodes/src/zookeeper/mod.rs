//! ZooKeeper's client protocol over TCP, in front of [`crate::znode`].
//!
//! `jute` reads and writes fields, `wire` messages, `words` the plain-text questions; `server` moves them over sockets.

mod jute;
mod server;
mod wire;
mod words;

pub use server::{Options, serve};

#[cfg(test)]
mod tests;
