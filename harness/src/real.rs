//! Whole runs on real processes, for those who need many: each by a `grudge test` of its own, because a sandbox is for
//! a process and not for a part of it.

use std::path::Path;
use std::process::{Command, Stdio};

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
    std::fs::create_dir_all(store).with_context(|| format!("cannot write {}: {}", store.display(), store::ADVICE))?;
    let file = store.join("test.toml");
    let text = toml::to_string_pretty(spec).context("a test cannot be expressed as TOML")?;
    store::write(&file, text.as_bytes())?;
    let program = std::env::current_exe().context("this program cannot be found")?;
    let output = Command::new(program)
        .arg("test")
        .arg(&file)
        .arg("--json")
        .arg("--store")
        .arg(store)
        .stdin(Stdio::null())
        .output()
        .context("`grudge test` cannot be started")?;
    let code = output.status.code().unwrap_or(Exit::HarnessFailed as i32);
    if code > Exit::Unknown as i32 {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(match code == Exit::BadArguments as i32 {
            true => Failure::BadArguments(said),
            false => Failure::Harness(anyhow!("`grudge test {}` failed: {said}", file.display())),
        });
    }
    Ok(serde_json::from_slice(&output.stdout).context("`grudge test --json` did not print results")?)
}
