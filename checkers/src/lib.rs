//! Histories, models and verdicts. Pure: bytes in, verdict out.

pub mod history;
pub mod verdict;
