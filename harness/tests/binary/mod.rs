//! The real binary, for tests that bring a cluster up with it.

use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Clusters compete for the processors, and their timeouts are real: one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits for its turn; nothing if this machine cannot bring a cluster up.
pub fn turn(test: &str) -> Option<MutexGuard<'static, ()>> {
    let doctor = grudge(&["doctor"]);
    if doctor.status.success() {
        return Some(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner));
    }
    eprintln!("skipped: {test}: this machine cannot bring a cluster up:\n{}", text(&doctor.stdout));
    None
}

/// The binary, run to its end.
pub fn grudge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_grudge")).args(arguments).output().expect("the binary was built")
}

/// What was printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// All that it said, for a failing assertion.
pub fn told(output: &Output) -> String {
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}
