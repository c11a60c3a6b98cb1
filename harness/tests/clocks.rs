//! Clocks of real processes, turned and right again. Needs what a cluster needs, and tracing; where the sandbox or
//! `grudge doctor`'s clocks are missing, the tests are skipped and say so.
//! A minute of each fault on whole systems under load is what `.ci/clocks` does.

mod clock;
mod standin;

use std::process::ExitCode;

use grudge::sandbox::{self, SandboxError};
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    clock::helper_if_asked();
    clock::target::busy_if_asked();
    standin::replica_if_asked();
    let mut arguments = Arguments::from_args();
    // All clusters use the same addresses, so there is one at a time.
    arguments.test_threads = Some(1);
    if !arguments.list {
        if let Err(why) = grudge::clock::way() {
            anstream::eprintln!("skipped: {why}");
            return ExitCode::SUCCESS;
        }
        match sandbox::enter() {
            Ok(_) => {}
            Err(error @ SandboxError::Permission { .. }) => {
                anstream::eprintln!("skipped: {error}");
                return ExitCode::SUCCESS;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let trials = clock::process::trials().into_iter().chain(clock::cluster::trials());
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
