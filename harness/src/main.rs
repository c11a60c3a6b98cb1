//! The `grudge` binary.

fn main() {}
