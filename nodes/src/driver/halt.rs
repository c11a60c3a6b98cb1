//! The halt file: how somebody outside stops this process exactly at a point of its protocol.
//!
//! The file `halt` in the data directory says `POINT COUNT`, `zab-established 1` for example. When the replica comes to
//! that point for the COUNT-th time since the file is there, the file is removed and the process stops itself with
//! SIGSTOP, before anything that the replica pushed after the point has left or was written. It goes on in order with
//! SIGCONT. The file is to appear whole: write it beside and rename it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use nix::sys::signal::{Signal, raise};

use crate::point::Point;

const FILE: &str = "halt";
/// How long what was said before the point may take to leave the process.
const LEAVE: Duration = Duration::from_millis(50);
/// Between two looks at whether it has left.
const LOOK: Duration = Duration::from_micros(200);

#[derive(Debug)]
pub(super) struct Halt {
    path: PathBuf,
    /// The file that was seen last, and how often its point was reached since.
    seen: Option<(Identity, u32)>,
}

/// What tells a file from a later one of the same name.
type Identity = (u64, i64, i64);

impl Halt {
    pub(super) fn new(data: &Path) -> Self {
        Halt { path: data.join(FILE), seen: None }
    }

    /// The replica comes to a point: whether it is to halt there.
    pub(super) fn is_armed(&mut self, point: Point) -> bool {
        match self.order() {
            Ok(Some((identity, wanted, count))) => {
                let before = self.seen.filter(|(seen, _)| *seen == identity).map_or(0, |(_, times)| times);
                let times = before + u32::from(wanted == point);
                self.seen = Some((identity, times));
                wanted == point && times >= count
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the halt file is ignored");
                false
            }
        }
    }

    fn order(&self) -> io::Result<Option<(Identity, Point, u32)>> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let file = std::fs::metadata(&self.path)?;
        let (point, count) = parse(&text).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{text:?} is not the name of a point and a count"))
        })?;
        Ok(Some(((file.ino(), file.mtime(), file.mtime_nsec()), point, count)))
    }

    /// Stops this process until somebody continues it. `left` says whether what was said before has left it.
    pub(super) fn stop(&mut self, point: Point, left: impl Fn() -> bool) {
        let began = Instant::now();
        while !left() && began.elapsed() < LEAVE {
            std::thread::sleep(LOOK);
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the halt file cannot be removed");
        }
        tracing::info!(?point, "halted");
        if let Err(error) = raise(Signal::SIGSTOP) {
            tracing::error!(%error, "this process cannot stop itself");
        }
        tracing::info!(?point, "going on");
    }
}

fn parse(text: &str) -> Option<(Point, u32)> {
    let (point, count) = text.trim().split_once(' ')?;
    Some((Point::from_str(point, false).ok()?, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_time_since_the_file_is_there_is_the_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |text: &str| {
            let new = dir.path().join("halt.new");
            std::fs::write(&new, text).expect("it can be written");
            std::fs::rename(new, dir.path().join(FILE)).expect("it can be renamed");
        };
        let mut halt = Halt::new(dir.path());
        assert!(!halt.is_armed(Point::RaftElected), "no file");
        write("raft-elected 3\n");
        assert!(!halt.is_armed(Point::RaftElected));
        assert!(!halt.is_armed(Point::ZabEstablished), "another point does not count");
        assert!(!halt.is_armed(Point::RaftElected));
        assert!(halt.is_armed(Point::RaftElected), "the third time");
        write("raft-elected 2");
        assert!(!halt.is_armed(Point::RaftElected), "a new file counts anew");
        assert!(halt.is_armed(Point::RaftElected));
        for wrong in ["", "raft-elected", "nowhere 1", "raft-elected one"] {
            write(wrong);
            assert!(!halt.is_armed(Point::RaftElected), "{wrong:?} is no order");
        }
    }
}
