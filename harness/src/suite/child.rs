//! A test of a suite as a `grudge test` of its own, which ends when the suite does.

use std::path::Path;
use std::pin::pin;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::sleep;

use super::outcome::Outcome;
use super::{Test, WhenMissing};
use crate::exit::Failure;
use crate::real;
use crate::report::Results;
use crate::runner::stop::Stop;

/// A test that lasts so many times as long as it should, and so much longer, does not end any more.
const TIMES: u32 = 3;
const LONGER: Duration = Duration::from_secs(600);

/// Runs a test; its folder is in that store. Who is asked to stop asks the test to, and waits for what it can still say.
pub async fn run(test: &Test, when_missing: WhenMissing, store: &Path, stop: Stop) -> Outcome {
    if let Err(error) = test.spec.system.system().and_then(|system| system.installed()) {
        let reason = error.to_string();
        return match when_missing {
            WhenMissing::Fail => Outcome::Broken { reason },
            WhenMissing::Skip => Outcome::Skipped { reason },
        };
    }
    match results(test, store, stop).await {
        Ok(results) => Outcome::from(&results),
        Err(failure) => Outcome::Broken { reason: failure.to_string() },
    }
}

async fn results(test: &Test, store: &Path, stop: Stop) -> Result<Results, Failure> {
    let mut command = Command::from(real::command(&test.spec, store)?);
    // In a group of its own, so that Ctrl-C comes to it once, from here.
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    // SAFETY: between fork and exec only prctl is called, a plain system call.
    unsafe { command.pre_exec(|| prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from)) };
    let child = command.spawn().context("`grudge test` cannot be started")?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let output = watched(child.wait_with_output(), pid, TIMES * test.length() + LONGER, stop).await?;
    real::results(&output)
}

async fn watched(
    output: impl Future<Output = std::io::Result<Output>>,
    pid: Option<Pid>,
    limit: Duration,
    mut stop: Stop,
) -> Result<Output> {
    let (mut output, mut over) = (pin!(output), pin!(sleep(limit)));
    let mut asked = false;
    loop {
        tokio::select! {
            output = &mut output => return output.context("what `grudge test` says cannot be read"),
            () = stop.wait(), if !asked => {
                asked = true;
                // One that has ended meanwhile needs no asking.
                pid.map(|pid| kill(pid, Signal::SIGINT));
            }
            // Dropped, it is killed.
            () = &mut over => return Err(anyhow!("`grudge test` did not end in {} s, and was killed", limit.as_secs())),
        }
    }
}
