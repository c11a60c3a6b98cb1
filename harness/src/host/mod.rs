//! Hosts of other people's networks, reached by `ssh`.

pub mod address;
pub mod inventory;
pub mod program;
pub mod ssh;
