//! What several tests use; each uses a part of it.
#![allow(dead_code)]

pub mod arbitrary;
pub mod contended;
pub mod fuzz;
pub mod linearizable;
pub mod random;
pub mod simulated;
pub mod vessel;
