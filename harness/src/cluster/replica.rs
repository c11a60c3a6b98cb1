//! One node's process, over all its lives: start, supervision, death.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::{join_all, select_all};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::start::Start;
use super::{ClusterError, Crash, Node};
use crate::disk::Disk;
use crate::net::enter_namespace;
use crate::system;

/// How much of the end of a log is read for its last lines.
const LOG_TAIL: u64 = 16 * 1024;
/// How many of them are shown.
const LOG_LINES: usize = 12;

/// The crashes of a whole cluster, in the order in which they were noticed.
pub(crate) type Crashes = Arc<Mutex<Vec<Crash>>>;

/// How a node's process is started, and its present life.
pub(crate) struct Replica {
    pub node: Node,
    /// The network in which it lives.
    namespace: OwnedFd,
    /// The program and its arguments.
    line: Vec<String>,
    /// The same of what runs beside it; empty if nothing does.
    beside: Vec<String>,
    env: BTreeMap<String, String>,
    pub log: PathBuf,
    /// The folder of its disk.
    pub data: PathBuf,
    life: Life,
    /// The layer under that folder, if faults may want one.
    pub disk: Option<Disk>,
    /// How many faults are in force of which it may die by itself.
    excuses: Arc<AtomicUsize>,
    /// Whether the harness has stopped it by SIGSTOP.
    paused: Arc<Mutex<bool>>,
}

/// One life: from start to death.
struct Life {
    pid: Pid,
    /// Set before the harness kills it; a death without it is a crash.
    condemned: Arc<AtomicBool>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

/// The present life of a replica, for those who watch it while others go on with the replica.
#[derive(Clone)]
pub(crate) struct Present {
    /// The node's name.
    pub node: String,
    pub client_address: SocketAddr,
    pub pid: Pid,
    condemned: Arc<AtomicBool>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Present {
    /// Waits until it was reaped.
    pub(crate) async fn reaped(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        let status = ended.wait_for(Option::is_some).await.map(|status| *status);
        // The supervisor ends with the runtime only, and so does whoever waits here.
        status.ok().flatten().unwrap_or_else(|| ExitStatus::from_raw(0))
    }

    /// Whether the harness has killed it.
    pub(crate) fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::SeqCst)
    }
}

/// Stops the processes of one life and lets them go on, for those who do it often and beside others.
#[derive(Clone)]
pub(crate) struct Reins {
    present: Present,
    paused: Arc<Mutex<bool>>,
}

impl Reins {
    /// Whether that life has ended.
    pub(crate) fn ended(&self) -> bool {
        self.present.ended.borrow().is_some()
    }

    pub(crate) fn stop(&self) {
        self.send(Signal::SIGSTOP);
    }

    /// Lets them go on, unless they are paused.
    pub(crate) fn go_on(&self) {
        let paused = self.paused.lock().expect("no holder panics");
        if !*paused {
            self.send(Signal::SIGCONT);
        }
    }

    fn send(&self, signal: Signal) {
        if self.ended() {
            return;
        }
        if let Err(error) = killpg(self.present.pid, signal) {
            tracing::debug!("{}: {signal}: {error}", self.present.node);
        }
    }
}

impl Replica {
    /// Starts its first life in that network namespace.
    pub(crate) fn start(
        start: Start,
        namespace: OwnedFd,
        disk: Option<Disk>,
        crashes: &Crashes,
    ) -> Result<Replica, ClusterError> {
        let Start { node, line, beside, env, files, log, data, events: _ } = start;
        for (path, text) in files {
            system::lay(&path, &text).map_err(|cause| ClusterError::Folder { path, cause })?;
        }
        let children = spawn_all(&node, [&line, &beside], &env, &log, &namespace)?;
        let excuses = Arc::new(AtomicUsize::new(0));
        let life = Life::supervised(children, &node, &log, &excuses, crashes);
        let paused = Arc::default();
        Ok(Replica { node, namespace, line, beside, env, log, data, disk, life, excuses, paused })
    }

    /// Starts its next life. The last one has ended.
    pub(crate) fn restart(&mut self, crashes: &Crashes) -> Result<(), ClusterError> {
        let lines: [&[String]; 2] = [&self.line, &self.beside];
        let children = spawn_all(&self.node, lines, &self.env, &self.log, &self.namespace)?;
        self.life = Life::supervised(children, &self.node, &self.log, &self.excuses, crashes);
        self.set_paused(false);
        Ok(())
    }

    pub(crate) fn pid(&self) -> Pid {
        self.life.pid
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        *self.life.ended.borrow()
    }

    /// Whether it runs and is not paused.
    pub(crate) fn is_running(&self) -> bool {
        self.ended().is_none() && !self.is_paused()
    }

    /// Whether the harness has stopped it by SIGSTOP, or is about to.
    pub(crate) fn is_paused(&self) -> bool {
        *self.paused.lock().expect("no holder panics")
    }

    /// Says so before it is stopped, and takes it back before it goes on.
    pub(crate) fn set_paused(&self, paused: bool) {
        *self.paused.lock().expect("no holder panics") = paused;
    }

    /// What it takes to stop its present life for a moment.
    pub(crate) fn reins(&self) -> Reins {
        Reins { present: self.present(), paused: Arc::clone(&self.paused) }
    }

    /// Sends a signal to all of its processes.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), String> {
        if let Some(status) = self.ended() {
            return Err(format!("{} has ended: {}", self.node.name, describe(status)));
        }
        if signal == Signal::SIGKILL {
            self.life.condemned.store(true, Ordering::SeqCst);
        }
        killpg(self.life.pid, signal).map_err(|error| format!("{}: {signal}: {error}", self.node.name))
    }

    /// Says that it may end by itself from now on, by the doing of a fault: such a death is no crash.
    pub(crate) fn excuse(&self) {
        self.excuses.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes that back, once for each time.
    pub(crate) fn end_excuse(&self) {
        self.excuses.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether it may end by itself.
    pub(crate) fn is_excused(&self) -> bool {
        self.excuses.load(Ordering::SeqCst) > 0
    }

    /// Gives its next lives more arguments.
    pub(crate) fn add_arguments(&mut self, more: Vec<String>) {
        self.line.extend(more);
    }

    /// Waits until it was reaped.
    pub(crate) async fn reaped(&self) -> ExitStatus {
        self.present().reaped().await
    }

    /// Its present life.
    pub(crate) fn present(&self) -> Present {
        let Life { pid, condemned, ended } = &self.life;
        Present {
            node: self.node.name.clone(),
            client_address: self.node.client_address,
            pid: *pid,
            condemned: Arc::clone(condemned),
            ended: ended.clone(),
        }
    }

    /// Whether the harness has killed its present life.
    pub(crate) fn is_condemned(&self) -> bool {
        self.life.condemned.load(Ordering::SeqCst)
    }
}

impl Drop for Life {
    /// A cluster that is dropped leaves no process, paused ones included.
    fn drop(&mut self) {
        if self.ended.borrow().is_none() {
            self.condemned.store(true, Ordering::SeqCst);
            if let Err(error) = killpg(self.pid, Signal::SIGKILL) {
                tracing::debug!("process group {} could not be killed: {error}", self.pid);
            }
        }
    }
}

impl Life {
    /// The life of these processes, of which the first leads the group. It ends with the first that ends.
    fn supervised(
        mut children: Vec<Child>,
        node: &Node,
        log: &Path,
        excuses: &Arc<AtomicUsize>,
        crashes: &Crashes,
    ) -> Life {
        let pid = number(&children[0]);
        let condemned = Arc::new(AtomicBool::new(false));
        let (tell, ended) = watch::channel(None);
        let (name, log, crashes, sentence) =
            (node.name.clone(), log.to_owned(), Arc::clone(crashes), Arc::clone(&condemned));
        let excuses = Arc::clone(excuses);
        tokio::spawn(async move {
            let ends = children.iter_mut().map(|child| Box::pin(child.wait()));
            let (first, which, others) = select_all(ends).await;
            let status = match first {
                Ok(status) => status,
                Err(error) => {
                    tracing::error!("{name} cannot be waited for: {error}");
                    return;
                }
            };
            let killed_by_us = sentence.load(Ordering::SeqCst) && status.signal() == Some(Signal::SIGKILL as i32);
            if !killed_by_us && excuses.load(Ordering::SeqCst) == 0 {
                let whose = if which == 0 { "" } else { "what runs beside it: " };
                let status = format!("{whose}{}", describe(status));
                let crash = Crash { node: name, status, log: last_lines(&log) };
                tracing::warn!("{} died: {}", crash.node, crash.status);
                crashes.lock().expect("no holder panics").push(crash);
            }
            if !others.is_empty() {
                // It leads the group, whose number is not given away as long as anybody is in it.
                if let Err(error) = killpg(pid, Signal::SIGKILL) {
                    tracing::debug!("process group {pid}: {error}");
                }
                join_all(others).await;
            }
            tell.send_replace(Some(status));
        });
        Life { pid, condemned, ended }
    }
}

/// Starts a node's process, and what runs beside it if anything does, in one group.
fn spawn_all(
    node: &Node,
    [own, beside]: [&[String]; 2],
    env: &BTreeMap<String, String>,
    log: &Path,
    namespace: &OwnedFd,
) -> Result<Vec<Child>, ClusterError> {
    let own = spawn(node, own, env, log, namespace, 0)?;
    if beside.is_empty() {
        return Ok(vec![own]);
    }
    let group = number(&own);
    match spawn(node, beside, env, log, namespace, group.as_raw()) {
        Ok(beside) => Ok(vec![own, beside]),
        Err(error) => {
            if let Err(again) = killpg(group, Signal::SIGKILL) {
                tracing::debug!("{}: {again}", node.name);
            }
            Err(error)
        }
    }
}

/// Starts one process, in that group; in one of its own if that is 0.
fn spawn(
    node: &Node,
    line: &[String],
    env: &BTreeMap<String, String>,
    log: &Path,
    namespace: &OwnedFd,
    group: i32,
) -> Result<Child, ClusterError> {
    let (program, arguments) = line.split_first().expect("a command line begins with a program");
    let unusable = |cause: std::io::Error| ClusterError::Folder { path: log.to_owned(), cause };
    let output = OpenOptions::new().create(true).append(true).open(log).map_err(unusable)?;
    let errors = output.try_clone().map_err(unusable)?;
    let mut command = Command::new(program);
    // What a program leaves where it runs, like the report of a JVM that has crashed, belongs to the run.
    command.current_dir(log.parent().expect("a log lies in its node's folder"));
    // No PR_SET_PDEATHSIG: it fires when the *thread* that spawned the child ends, and a runtime ends idle threads.
    // The sandbox's pid namespace kills replicas whose harness is gone.
    command.args(arguments).envs(env).stdin(Stdio::null()).stdout(output).stderr(errors).process_group(group);
    enter_namespace(&mut command, namespace.as_fd());
    command.spawn().map_err(|cause| ClusterError::Spawn { node: node.name.clone(), program: program.into(), cause })
}

fn number(child: &Child) -> Pid {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    pid.expect("a child that was not waited for has a number")
}

/// How a process ended, for people.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {number}"),
        },
        (None, None) => status.to_string(),
    }
}

/// The last lines of a log; none if there is no such log.
pub(crate) fn last_lines(log: &Path) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
        let mut tail = Vec::new();
        file.take(LOG_TAIL).read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&tail);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_log_is_shown() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let log = folder.path().join("log");
        let text: String = (0..10_000).map(|line| format!("line {line}\n")).collect();
        fs::write(&log, text).expect("a small file can be written");
        let lines = last_lines(&log);
        assert_eq!(lines.len(), LOG_LINES);
        assert_eq!(lines.last().map(String::as_str), Some("line 9999"));
    }

    #[test]
    fn ends_are_named() {
        assert_eq!(describe(ExitStatus::from_raw(101 << 8)), "exit code 101");
        assert_eq!(describe(ExitStatus::from_raw(11)), "killed by SIGSEGV");
    }
}
