//! Sights: waits until a sign is seen of a node, which its log or its own word gives.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use grudge_workloads::client::{Connect, Role as Said};
use tokio::time::sleep;

use super::{Node, ready};
use crate::nemesis::sign::{Role, Seen, Sign};

/// Between two looks at the logs.
const LOOK: Duration = Duration::from_millis(20);
/// Between two rounds of questions.
const ASK: Duration = Duration::from_millis(100);

/// Looks from now on until the sign is seen at one of these nodes with their logs; answers at which.
pub(super) fn sight(
    sign: Sign,
    nodes: impl Iterator<Item = (Node, PathBuf)>,
    connect: Arc<dyn Connect>,
) -> BoxFuture<'static, String> {
    let Sign { what, node: asked, nth } = sign;
    let nodes = nodes.filter(|(node, _)| asked.as_ref().is_none_or(|name| *name == node.name));
    match what {
        Seen::Log(text) => {
            let logs = nodes.map(|(node, path)| (node.name, Log::at_its_end(path))).collect();
            Box::pin(logged(text, nth, logs))
        }
        Seen::Role(role) => Box::pin(became(role, nth, nodes.map(|(node, _)| node).collect(), connect)),
    }
}

async fn logged(text: String, nth: u64, mut logs: Vec<(String, Log)>) -> String {
    let mut left = nth;
    loop {
        for (name, log) in &mut logs {
            let seen = log.lines_with(&text).unwrap_or_else(|error| {
                tracing::warn!("{}: {error}", log.path.display());
                0
            });
            if seen >= left {
                return name.clone();
            }
            left -= seen;
        }
        sleep(LOOK).await;
    }
}

async fn became(role: Role, nth: u64, nodes: Vec<Node>, connect: Arc<dyn Connect>) -> String {
    let wanted = match role {
        Role::Leader => Said::Leader,
        Role::Follower => Said::Follower,
        Role::Looking => Said::Looking,
    };
    let nodes: Vec<&Node> = nodes.iter().collect();
    // What a node is when it is first waited for is nothing that it becomes. Who does not answer is what it was.
    let mut was: Vec<Option<Said>> = vec![None; nodes.len()];
    let mut left = nth;
    loop {
        let says = ready::roles(&nodes, connect.as_ref()).await;
        for ((node, was), says) in nodes.iter().zip(&mut was).zip(says) {
            let Ok(says) = says else { continue };
            if was.is_some_and(|was| was != says) && says == wanted {
                left -= 1;
                if left == 0 {
                    return node.name.clone();
                }
            }
            *was = Some(says);
        }
        sleep(ASK).await;
    }
}

/// What is appended to a log.
struct Log {
    path: PathBuf,
    read: u64,
    /// The beginning of a line whose end was not written yet.
    torn: Vec<u8>,
}

impl Log {
    fn at_its_end(path: PathBuf) -> Log {
        let read = path.metadata().map_or(0, |file| file.len());
        Log { path, read, torn: Vec::new() }
    }

    /// How many whole lines with this text were written since it was last asked.
    fn lines_with(&mut self, text: &str) -> io::Result<u64> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = std::mem::take(&mut self.torn);
        self.read += file.read_to_end(&mut bytes)? as u64;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.torn = bytes.split_off(whole);
        let written = String::from_utf8_lossy(&bytes);
        Ok(written.lines().filter(|line| line.contains(text)).count() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_line_counts_once_it_is_whole_and_was_written_since() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("log");
        std::fs::write(&path, "became leader\n").expect("a small file");
        let mut log = Log::at_its_end(path.clone());
        let mut append = |text: &str| {
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("it is there");
            file.write_all(text.as_bytes()).expect("a few bytes");
            log.lines_with("leader").expect("it can be read")
        };
        assert_eq!(append(""), 0, "what was before does not count");
        assert_eq!(append("a line\nbecame lea"), 0);
        assert_eq!(append("der at last\nleader, leader\nleader"), 2, "lines are counted, not words");
        assert_eq!(append("\n"), 1);
    }
}
