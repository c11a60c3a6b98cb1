//! What several tests use.

pub mod brute;
pub mod random;
pub mod replay;
