//! What several tests use; each uses a part of it.
#![allow(dead_code)]

pub mod brute;
pub mod random;
pub mod replay;
pub mod simulated;
