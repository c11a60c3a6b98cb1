//! Whole runs on real processes, for those who need many: each by a `grudge test` of its own, because a sandbox is for
//! a process and not for a part of it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, anyhow};

use crate::exit::{Exit, Failure};
use crate::report::Results;
use crate::spec::Spec;
use crate::store;

/// Runs a test; its folder is in that store.
///
/// # Errors
/// The harness failed, or the test cannot be run on real processes: the message is what `grudge test` said.
pub fn run(spec: &Spec, store: &Path) -> Result<Results, Failure> {
    results(&command(spec, store)?.output().context("`grudge test` cannot be started")?)
}

/// The command that runs a test; its folder is in that store.
///
/// # Errors
/// The test cannot be written there.
pub fn command(spec: &Spec, store: &Path) -> Result<Command, Failure> {
    std::fs::create_dir_all(store).with_context(|| format!("cannot write {}: {}", store.display(), store::ADVICE))?;
    let file = store.join("test.toml");
    let text = toml::to_string_pretty(spec).context("a test cannot be expressed as TOML")?;
    store::write(&file, text.as_bytes())?;
    let mut command = Command::new(std::env::current_exe().context("this program cannot be found")?);
    command.arg("test").arg(&file).arg("--json").arg("--store").arg(store).stdin(Stdio::null());
    Ok(command)
}

/// What that command has said, now that it has ended.
///
/// # Errors
/// As for [`run`].
pub fn results(output: &Output) -> Result<Results, Failure> {
    let code = output.status.code().unwrap_or(Exit::HarnessFailed as i32);
    if code > Exit::Unknown as i32 {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(match code == Exit::BadArguments as i32 {
            true => Failure::BadArguments(said),
            false => Failure::Harness(anyhow!("`grudge test` failed: {said}")),
        });
    }
    Ok(serde_json::from_slice(&output.stdout).context("`grudge test --json` did not print results")?)
}
