//! `grudge clock`: a process for one order, because the harness is the parent of the replicas, and a parent that waits
//! for children cannot also be their tracer. One request on standard input, one answer on standard output, as JSON.
//!
//! It can be killed at any moment. The clocks of its processes are then right, or about to be, or as they were, or as
//! was asked.

use std::io::{self, Read, Write};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::order::{Answer, Request};

/// The name of the command.
pub const COMMAND: &str = "clock";

/// Has a process of its own do it: this program, called with [`COMMAND`].
///
/// # Errors
/// One sentence: there is no such process, or it did not answer.
pub async fn ask(request: &Request) -> Result<Answer, String> {
    let no_helper = |error: io::Error| format!("the process that turns clocks could not be run: {error}");
    let program = std::env::current_exe().map_err(no_helper)?;
    let mut command = Command::new(program);
    command.arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(no_helper)?;
    let text = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    let mut input = child.stdin.take().expect("it was asked for");
    input.write_all(&text).await.map_err(no_helper)?;
    drop(input);
    let output = child.wait_with_output().await.map_err(no_helper)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the process that turns clocks failed ({}): {}", output.status, said.trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("the process that turns clocks answered: {error}"))
}

/// Reads a request, does it, and writes the answer.
///
/// # Errors
/// One sentence: nothing can be done on this machine, or the request is none.
pub fn serve(mut input: impl Read, mut output: impl Write) -> Result<(), String> {
    let mut text = Vec::new();
    input.read_to_end(&mut text).map_err(|error| error.to_string())?;
    let request: Request = serde_json::from_slice(&text).map_err(|error| format!("this is no request: {error}"))?;
    let answer = super::obey(&request)?;
    let text = serde_json::to_vec(&answer).map_err(|error| error.to_string())?;
    output.write_all(&text).and_then(|()| output.flush()).map_err(|error| error.to_string())
}
