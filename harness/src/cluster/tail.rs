//! The tail of a file that others append to: the lines that are new.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// The most that is read at once.
const CHUNK: u64 = 1 << 20;

/// What is appended to a file, which may not be there yet.
pub(crate) struct Tail {
    path: PathBuf,
    /// Where the last whole line ends. What follows is read anew until it is whole: a new life of the writer cuts off
    /// what a kill had torn.
    read: u64,
}

impl Tail {
    pub(super) fn at_its_end(path: PathBuf) -> Tail {
        let read = path.metadata().map_or(0, |file| file.len());
        Tail { path, read }
    }

    pub(crate) fn from_its_start(path: PathBuf) -> Tail {
        Tail { path, read: 0 }
    }

    /// Whole lines that were written since it was last asked, all but what is too much at once; none if they cannot be
    /// read, which is logged.
    pub(crate) fn new_lines(&mut self) -> String {
        match self.read_on() {
            Ok(lines) => String::from_utf8_lossy(&lines).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                tracing::warn!("{}: {error}", self.path.display());
                String::new()
            }
        }
    }

    fn read_on(&mut self) -> io::Result<Vec<u8>> {
        let length = self.path.metadata()?.len();
        self.read = self.read.min(length);
        if length == self.read {
            return Ok(Vec::new());
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        let read = file.take(CHUNK).read_to_end(&mut bytes)? as u64;
        // A line that is longer than that is told in parts.
        if read < CHUNK || bytes.contains(&b'\n') {
            bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
        }
        self.read += bytes.len() as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::*;

    #[test]
    fn a_line_is_new_once_it_is_whole_and_a_new_life_may_cut_a_torn_one_off() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("log");
        assert_eq!(Tail::at_its_end(path.clone()).new_lines(), "", "it is not there yet");
        fs::write(&path, "life\nleading 1\n").expect("a small file");
        let mut tail = Tail::at_its_end(path.clone());
        let mut appended = |text: &str| {
            let mut file = OpenOptions::new().append(true).open(&path).expect("it is there");
            file.write_all(text.as_bytes()).expect("a few bytes");
            tail.new_lines()
        };
        assert_eq!(appended(""), "", "what was before does not count");
        assert_eq!(appended("applied 1 2\nlead"), "applied 1 2\n");
        assert_eq!(appended("ing 2\nleading 3\n"), "leading 2\nleading 3\n");
        assert_eq!(appended("leading 4"), "");
        let whole = fs::read_to_string(&path).expect("text").rfind('\n').expect("a line") + 1;
        let file = OpenOptions::new().write(true).open(&path).expect("it is there");
        file.set_len(whole as u64).expect("it can be cut");
        assert_eq!(appended(""), "");
        assert_eq!(appended("life\nleading 5\n"), "life\nleading 5\n");
    }
}
