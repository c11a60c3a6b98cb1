//! The lookout: how often a node has begun to lead, as it happens.
//!
//! Replicas of ours write it down in their files of events; of others it is asked who leads.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use grudge_workloads::client::{Connect, Role};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Node, ready};

/// Between two looks at the files.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// Between two rounds of questions.
const ASK: Duration = Duration::from_millis(250);
/// How a replica's line begins that says that it leads.
const LEADS: &[u8] = b"leading ";

/// Counts until nobody is interested any more.
pub(super) fn begin(nodes: &[Node], events: Vec<PathBuf>, connect: Arc<dyn Connect>) -> watch::Receiver<u64> {
    let (count, receiver) = watch::channel(0);
    if events.is_empty() {
        tokio::spawn(ask(nodes.to_vec(), connect, count));
    } else {
        let tails = events.into_iter().map(Tail::at_its_end).collect();
        tokio::spawn(read(tails, count));
    }
    receiver
}

async fn read(mut tails: Vec<Tail>, count: watch::Sender<u64>) {
    loop {
        let mut led = 0;
        for tail in &mut tails {
            match tail.led() {
                Ok(times) => led += times,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!("{}: {error}", tail.path.display()),
            }
        }
        if led > 0 {
            count.send_modify(|count| *count += led);
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = count.closed() => return,
        }
    }
}

/// What is appended to a file of events.
struct Tail {
    path: PathBuf,
    read: u64,
    /// The beginning of a line whose end was not written yet.
    torn: Vec<u8>,
}

impl Tail {
    fn at_its_end(path: PathBuf) -> Tail {
        let read = path.metadata().map_or(0, |file| file.len());
        Tail { path, read, torn: Vec::new() }
    }

    /// How often its node has begun to lead since it was last asked.
    fn led(&mut self) -> io::Result<u64> {
        let length = self.path.metadata()?.len();
        if length < self.read {
            // A new life has cut off what a kill had torn.
            self.read = length;
            self.torn.clear();
        }
        if length == self.read {
            return Ok(0);
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = std::mem::take(&mut self.torn);
        self.read += file.take(length - self.read).read_to_end(&mut bytes)? as u64;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.torn = bytes.split_off(whole);
        let lines = bytes.split(|byte| *byte == b'\n');
        Ok(lines.filter(|line| line.starts_with(LEADS)).count() as u64)
    }
}

async fn ask(nodes: Vec<Node>, connect: Arc<dyn Connect>, count: watch::Sender<u64>) {
    let nodes: Vec<&Node> = nodes.iter().collect();
    let mut last: Option<BTreeSet<usize>> = None;
    loop {
        let roles = ready::roles(&nodes, connect.as_ref()).await;
        let leaders: BTreeSet<usize> =
            roles.iter().enumerate().filter(|(_, role)| **role == Ok(Role::Leader)).map(|(index, _)| index).collect();
        // Between two leaders nobody leads; who leads again afterwards is no new one as far as can be seen.
        if !leaders.is_empty() {
            let new = last.as_ref().map_or(0, |last| leaders.difference(last).count() as u64);
            if new > 0 {
                count.send_modify(|count| *count += new);
            }
            last = Some(leaders);
        }
        tokio::select! {
            () = sleep(ASK) => {}
            () = count.closed() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_line_is_counted_once_it_is_whole_and_a_new_life_may_cut_a_torn_one_off() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("events");
        std::fs::write(&path, "life\nleading 1\n").expect("a small file");
        let mut tail = Tail::at_its_end(path.clone());
        let mut append = |text: &str| {
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("it is there");
            file.write_all(text.as_bytes()).expect("a few bytes");
            tail.led().expect("it can be read")
        };
        assert_eq!(append(""), 0, "what was before does not count");
        assert_eq!(append("applied 1 2\nlead"), 0);
        assert_eq!(append("ing 2\nleading 3\n"), 2);
        assert_eq!(append("leading 4"), 0);
        let whole = std::fs::read_to_string(&path).expect("text").rfind('\n').expect("a line") + 1;
        std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(whole as u64))
            .expect("it can be cut");
        assert_eq!(tail.led().expect("it can be read"), 0);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("it is there");
        file.write_all(b"life\nleading 5\n").expect("a few bytes");
        assert_eq!(tail.led().expect("it can be read"), 1);
    }
}
