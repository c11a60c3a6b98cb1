//! A replica's events in a file: what an agreement of all replicas is judged by after a run of real processes.
//!
//! One line an event in plain text, one `write` a batch and no fsync: what a process had written survives its kill. A
//! life begins with a line of its own. Only a whole line counts: what a kill cut off is dropped by the reader, and cut
//! away when the next life begins.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::point::Point;
use crate::replica::{Event, NodeId};

/// How a life begins.
const LIFE: &str = "life";

/// Why a file of events cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The operating system refuses.
    #[error("cannot {what} the events in {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A line is no event.
    #[error("{path}, line {line}: {text:?} is no event")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
}

/// Writes the events of one life.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    batch: String,
}

impl Writer {
    /// Begins a life at the end of the file, which is made if it is missing.
    ///
    /// # Errors
    /// [`EventsError::Io`].
    pub fn begin(path: &Path) -> Result<Self, EventsError> {
        let fail = |source| EventsError::Io { what: "write down", path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(fail)?;
        let whole = whole_lines(&mut file).map_err(fail)?;
        file.set_len(whole).map_err(fail)?;
        file.seek(SeekFrom::Start(whole)).map_err(fail)?;
        let mut writer = Writer { file, path: path.to_owned(), batch: format!("{LIFE}\n") };
        writer.flush()?;
        Ok(writer)
    }

    /// Adds an event to the batch.
    pub fn note(&mut self, event: &Event) {
        let line = match event {
            Event::Leading { epoch } => writeln!(self.batch, "leading {epoch}"),
            Event::Following { epoch, leader } => writeln!(self.batch, "following {epoch} {}", leader.0),
            Event::Looking => writeln!(self.batch, "looking"),
            Event::Restored { position } => writeln!(self.batch, "restored {position:x}"),
            Event::Applied { position, digest } => writeln!(self.batch, "applied {position:x} {digest:x}"),
            Event::Reached(point) => writeln!(self.batch, "reached {}", name(*point)),
        };
        line.expect("a String takes all text");
    }

    /// Writes the batch, if there is anything in it.
    ///
    /// # Errors
    /// [`EventsError::Io`].
    pub fn flush(&mut self) -> Result<(), EventsError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(self.batch.as_bytes());
        self.batch.clear();
        written.map_err(|source| EventsError::Io { what: "write down", path: self.path.clone(), source })
    }
}

/// The length of the file up to the end of its last whole line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last as u64 + 1))
}

/// Reads all events with the life, from 1, in which each happened.
///
/// # Errors
/// [`EventsError`].
pub fn read(path: &Path) -> Result<Vec<(u64, Event)>, EventsError> {
    let bytes =
        std::fs::read(path).map_err(|source| EventsError::Io { what: "read", path: path.to_owned(), source })?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(&[][..], |last| &bytes[..last]);
    let (mut life, mut events) = (0, Vec::new());
    for (at, line) in whole.split(|&byte| byte == b'\n').enumerate().filter(|_| !whole.is_empty()) {
        let text = String::from_utf8_lossy(line);
        match parse(&text) {
            Some(Line::Life) => life += 1,
            Some(Line::Event(event)) => events.push((life, event)),
            None => {
                let text = text.into_owned();
                return Err(EventsError::Malformed { path: path.to_owned(), line: at + 1, text });
            }
        }
    }
    Ok(events)
}

enum Line {
    Life,
    Event(Event),
}

fn parse(line: &str) -> Option<Line> {
    let mut words = line.split(' ');
    let event = match words.next()? {
        LIFE => return words.next().is_none().then_some(Line::Life),
        "leading" => Event::Leading { epoch: words.next()?.parse().ok()? },
        "following" => {
            let epoch = words.next()?.parse().ok()?;
            Event::Following { epoch, leader: NodeId(words.next()?.parse().ok()?) }
        }
        "looking" => Event::Looking,
        "restored" => Event::Restored { position: hexadecimal(words.next()?)? },
        "applied" => {
            let position = hexadecimal(words.next()?)?;
            Event::Applied { position, digest: hexadecimal(words.next()?)? }
        }
        "reached" => Event::Reached(Point::from_str(words.next()?, false).ok()?),
        _ => return None,
    };
    words.next().is_none().then_some(Line::Event(event))
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word, 16).ok()
}

fn name(point: Point) -> String {
    let value = point.to_possible_value().expect("every point has a name");
    value.get_name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_kinds() -> Vec<Event> {
        vec![
            Event::Looking,
            Event::Following { epoch: 7, leader: NodeId(3) },
            Event::Restored { position: 0x7_0000_0001 },
            Event::Applied { position: u64::MAX, digest: 0xabc },
            Event::Leading { epoch: 8 },
            Event::Reached(Point::ZabEstablished),
        ]
    }

    fn write(path: &Path, events: &[Event]) {
        let mut writer = Writer::begin(path).expect("the directory is there");
        events.iter().for_each(|event| writer.note(event));
        writer.flush().expect("the disk takes a few bytes");
    }

    #[test]
    fn what_was_written_is_read_with_its_life() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events");
        write(&path, &all_kinds());
        write(&path, &[]);
        write(&path, &[Event::Looking]);
        let expected: Vec<_> = all_kinds().into_iter().map(|event| (1, event)).chain([(3, Event::Looking)]).collect();
        assert_eq!(read(&path).expect("a whole file"), expected);
    }

    #[test]
    fn a_torn_last_line_is_dropped_wherever_it_was_torn() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events");
        write(&path, &all_kinds());
        let whole = std::fs::read(&path).expect("it was just written");
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).expect("it can be cut");
            let ends = whole[..length].iter().filter(|&&byte| byte == b'\n').count();
            let left = ends.saturating_sub(1);
            let events: Vec<Event> = read(&path).expect("a torn tail").into_iter().map(|(_, event)| event).collect();
            assert_eq!(events, all_kinds()[..left], "cut at {length}");
            write(&path, &[Event::Looking]);
            let lives = if ends == 0 { 1 } else { 2 };
            let last = read(&path).expect("the next life cut the torn line away").pop();
            assert_eq!(last, Some((lives, Event::Looking)), "cut at {length}");
        }
    }

    #[test]
    fn a_line_that_is_no_event_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("events");
        for bad in ["leading", "leading x", "following 1", "applied 1 2 3", "reached nothing", "life 2", ""] {
            std::fs::write(&path, format!("life\nlooking\n{bad}\nlooking\n")).expect("it can be written");
            let error = read(&path).expect_err("no event").to_string();
            assert!(error.contains(&format!("events, line 3: {bad:?} is no event")), "{error}");
        }
        let missing = read(&dir.path().join("none")).expect_err("no file").to_string();
        assert!(missing.contains("cannot read the events in"), "{missing}");
    }
}
