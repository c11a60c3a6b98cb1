//! Tests that are run in a sandbox of their own, and what they ask of a cluster.

use std::future::Future;
use std::process::ExitCode;

use grudge::fault::Targets;
use grudge::sandbox::{self, Network, SandboxError};
use libtest_mimic::{Arguments, Failed, Trial};

/// Runs the trials one after the other, all in one sandbox. They are skipped without permission for one, and where
/// something else that they need is missing, as it is said.
pub fn run(needs: Result<(), String>, trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // All clusters use the same addresses, so there is one at a time.
    arguments.test_threads = Some(1);
    if !arguments.list {
        if let Err(missing) = needs {
            anstream::eprintln!("skipped: {missing}");
            return ExitCode::SUCCESS;
        }
        match sandbox::enter(Network::Own) {
            Ok(_) => {}
            Err(error @ SandboxError::Permission { .. }) => {
                anstream::eprintln!("skipped: {error}");
                return ExitCode::SUCCESS;
            }
            Err(error) => panic!("{error}"),
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

pub fn trial<F: Future<Output = ()> + 'static>(name: &str, test: fn() -> F) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.map_err(Failed::from)?.block_on(test());
        Ok(())
    })
}

pub fn nodes(names: &[&str]) -> Targets {
    Targets::Nodes(names.iter().map(|name| (*name).to_owned()).collect())
}
