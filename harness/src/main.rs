//! The `grudge` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Simulated time is bought with allocations, on many threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    grudge::cli::main(std::env::args_os()).into()
}
