//! What agents tell unasked, and where it goes: into copies of the nodes' files, among the crashes, to whoever waits for
//! datagrams.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::super::line::Agent;
use super::super::words::News;
use super::wires::Round;
use crate::cluster::ClusterError;
use crate::cluster::replica::Crashes;
use crate::store;

/// Where the news of one agent go.
struct Desk {
    log: File,
    events: File,
    crashes: Crashes,
    round: Arc<Round>,
}

/// Takes down from now on what these agents tell. Answers what could not be, once.
pub(super) fn take_down(
    agents: &[Agent],
    logs: &[PathBuf],
    events: &[PathBuf],
    crashes: &Crashes,
    round: &Arc<Round>,
) -> Result<watch::Receiver<Option<String>>, ClusterError> {
    let (failed, failure) = watch::channel(None);
    for ((agent, log), events) in agents.iter().zip(logs).zip(events) {
        let (crashes, round) = (Arc::clone(crashes), Arc::clone(round));
        let mut desk = Desk { log: opened(log)?, events: opened(events)?, crashes, round };
        let (mut news, failed) = (agent.news(), failed.clone());
        let folder = log.parent().unwrap_or(log).display().to_string();
        tokio::spawn(async move {
            while let Some(item) = news.recv().await {
                if let Err(error) = desk.take(item) {
                    failed.send_replace(Some(format!("cannot write into {folder}: {error}: {}", store::ADVICE)));
                    return;
                }
            }
        });
    }
    Ok(failure)
}

fn opened(path: &Path) -> Result<File, ClusterError> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|cause| ClusterError::Folder { path: path.to_owned(), cause })
}

impl Desk {
    fn take(&mut self, item: News) -> io::Result<()> {
        match item {
            News::Log(lines) => self.log.write_all(lines.as_bytes()),
            News::Events(lines) => self.events.write_all(lines.as_bytes()),
            News::Crash(crash) => {
                tracing::warn!("{} died: {}", crash.node, crash.status);
                self.crashes.lock().expect("no holder panics").push(crash);
                Ok(())
            }
            News::Heard { round, link } => {
                self.round.note(round, link);
                Ok(())
            }
        }
    }
}
