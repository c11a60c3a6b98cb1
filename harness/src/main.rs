//! The `grudge` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    grudge::cli::main(std::env::args_os()).into()
}
