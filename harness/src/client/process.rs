//! One life of a client's process, and the lines to it.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use grudge_workloads::operation::Outcome;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::watch;

use super::lines::{Answer, Request, next, written};
use crate::cluster::replica::describe;

/// A client's process, for those who do something to it.
pub(crate) struct Process {
    pub(crate) pid: Pid,
    ended: watch::Receiver<Option<ExitStatus>>,
}

/// The way to a client's process. Dropped, it kills the process: whoever was not heard to the end is not asked again.
pub(super) struct Line {
    pub(super) process: Arc<Process>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum Broken {
    /// It had ended before.
    #[error("it was not there any more")]
    Gone,
    /// It has ended since it was asked.
    #[error("it ended and did not answer")]
    Died,
    /// It has said something else.
    #[error("{0}")]
    Garbage(io::Error),
}

impl Broken {
    pub(super) fn token(&self) -> &'static str {
        match self {
            Broken::Gone => "client-gone",
            Broken::Died => "client-died",
            Broken::Garbage(_) => "client-garbage",
        }
    }

    /// What it means for the call that was to be made.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Broken::Gone => Outcome::fail(self.token()),
            Broken::Died | Broken::Garbage(_) => Outcome::info(self.token()),
        }
    }
}

impl Process {
    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits until it was reaped; nothing if it cannot be waited for.
    pub(crate) async fn reaped(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }

    /// Sends a signal to it and to whatever it has started.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), String> {
        match self.ended() {
            Some(status) => Err(format!("it has ended: {}", describe(status))),
            None => killpg(self.pid, signal).map_err(|error| format!("{signal}: {error}")),
        }
    }
}

impl Line {
    /// Starts a client's process.
    pub(super) fn hire(command: &[String], log: &Path) -> io::Result<Line> {
        let errors = OpenOptions::new().create(true).append(true).open(log)?;
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let pid = pid.expect("a child that was not waited for has a number");
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            match child.wait().await {
                Ok(status) => {
                    // What it has started goes with it, if anything is left of that.
                    let _ = killpg(pid, Signal::SIGKILL);
                    let _ = tell.send(Some(status));
                }
                Err(error) => tracing::error!("client {pid} cannot be waited for: {error}"),
            }
        });
        Ok(Line { process: Arc::new(Process { pid, ended }), input, output })
    }

    /// Tells it something and waits for its answer.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Answer, Broken> {
        let line = written(request).map_err(Broken::Garbage)?;
        let sent = self.input.write(&line).await.map_err(|_| Broken::Gone)?;
        self.input.write_all(&line[sent..]).await.map_err(|_| Broken::Died)?;
        match next(&mut self.output).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Broken::Died),
            Err(error) => Err(Broken::Garbage(error)),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Err(error) = self.process.signal(Signal::SIGKILL) {
            tracing::debug!("client {}: {error}", self.process.pid);
        }
    }
}
