//! Clocks of real processes, turned and right again. Needs what a cluster needs, and tracing; where the sandbox or
//! `grudge doctor`'s clocks are missing, the tests are skipped and say so.
//! A minute of each fault on whole systems under load is what `.ci/clocks` does.

mod clock;
mod fixture;
mod standin;
mod trials;

use std::process::ExitCode;

fn main() -> ExitCode {
    clock::helper_if_asked();
    clock::target::busy_if_asked();
    standin::replica_if_asked();
    let trials = clock::process::trials().into_iter().chain(clock::cluster::trials());
    fixture::run(grudge::clock::way().map(drop), trials.collect())
}
