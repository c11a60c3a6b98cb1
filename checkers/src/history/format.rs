//! Which format a file has, and one reader for all of them.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use super::window::Window;
use super::{Event, ReadError, Tape, csv, edn, json};

/// How a history is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// [`csv`].
    Csv,
    /// [`edn`], as Jepsen writes it.
    Edn,
    /// [`json`], one object a line.
    JsonLines,
}

/// What the names of compressed files end with.
const COMPRESSED: [&str; 2] = [".gz", ".zst"];

impl Format {
    /// What the name of a file says, compressed or not.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Format> {
        let name = name.to_ascii_lowercase();
        let name = COMPRESSED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Format::Csv),
            "edn" => Some(Format::Edn),
            "jsonl" | "ndjson" | "json" => Some(Format::JsonLines),
            _ => None,
        }
    }

    /// What the first bytes of a file look like.
    #[must_use]
    pub fn of_content(beginning: &[u8]) -> Format {
        let mut telling = beginning.iter().filter(|byte| !byte.is_ascii_whitespace());
        match (telling.next(), telling.next()) {
            (Some(b'{'), Some(b'"')) => Format::JsonLines,
            (Some(b'['), Some(b'{')) if telling.next() == Some(&b'"') => Format::JsonLines,
            (Some(b'{' | b'[' | b'(' | b'#' | b';'), _) => Format::Edn,
            _ => Format::Csv,
        }
    }

    /// Writes a whole history.
    ///
    /// # Errors
    /// The sink's own; what stopped the reading of the tape, as `InvalidData`, after all before it was written.
    pub fn write<W: Write>(self, sink: W, tape: &dyn Tape) -> io::Result<()> {
        match self {
            Format::Csv => csv::write_tape(sink, tape),
            Format::Edn => write_each(sink, tape, edn::append),
            Format::JsonLines => write_each(sink, tape, json::append),
        }
    }
}

fn write_each<W: Write>(
    sink: W,
    tape: &dyn Tape,
    append: impl Fn(&mut io::BufWriter<W>, &Event) -> io::Result<()>,
) -> io::Result<()> {
    let mut sink = io::BufWriter::new(sink);
    let mut failed = Ok(());
    let played = tape.play(&mut |event| {
        if failed.is_ok() {
            failed = append(&mut sink, event);
        }
    });
    failed?;
    sink.flush()?;
    played.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Format::Csv => "CSV",
            Format::Edn => "EDN",
            Format::JsonLines => "JSON lines",
        })
    }
}

/// By the ending of its files.
impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Format::of_name(&format!(".{text}"))
            .ok_or_else(|| format!("there is no format `{text}`; there are: csv, edn, jsonl"))
    }
}

/// A stream of events out of a file of any format. It ends at the end of the file or after the first error.
#[derive(Debug)]
pub enum Reader<R: Read> {
    /// Of CSV.
    Csv(Box<csv::Reader<R>>),
    /// Of EDN.
    Edn(edn::Reader<R>),
    /// Of JSON lines.
    JsonLines(json::Reader<R>),
}

impl<R: Read> Reader<R> {
    /// Begins to read a file of this format, or of the one that it looks like.
    ///
    /// # Errors
    /// The source's own, and what is wrong with the first row of a table.
    pub fn new(source: R, format: Option<Format>) -> Result<Self, ReadError> {
        let failed = |error| ReadError::source(1, error);
        let mut window = Window::new(source).map_err(failed)?;
        let is_blank = |bytes: &[u8]| bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).count() < 3;
        if format.is_none() {
            while is_blank(window.rest()) && window.more().map_err(failed)? {}
        }
        Ok(match format.unwrap_or_else(|| Format::of_content(window.rest())) {
            Format::Csv => Reader::Csv(Box::new(csv::Reader::over(window)?)),
            Format::Edn => Reader::Edn(edn::Reader::over(window)),
            Format::JsonLines => Reader::JsonLines(json::Reader::over(window)),
        })
    }

    /// Which format it reads.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Reader::Csv(_) => Format::Csv,
            Reader::Edn(_) => Format::Edn,
            Reader::JsonLines(_) => Format::JsonLines,
        }
    }

    /// Reads the next event over the one that is given; false at the end. After an error there is nothing more, and what
    /// the event holds means nothing.
    ///
    /// # Errors
    /// The file is damaged here.
    pub fn refill(&mut self, event: &mut Event) -> Result<bool, ReadError> {
        match self {
            Reader::Csv(reader) => reader.refill(event),
            Reader::Edn(reader) => reader.refill(event),
            Reader::JsonLines(reader) => reader.refill(event),
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut event = Event::empty();
        self.refill(&mut event).map(|more| more.then_some(event)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_format() {
        for (name, format) in [
            ("history.csv", Some(Format::Csv)),
            ("store/a.b/history.EDN", Some(Format::Edn)),
            ("history.jsonl.gz", Some(Format::JsonLines)),
            ("history.ndjson", Some(Format::JsonLines)),
            ("history.csv.zst", Some(Format::Csv)),
            ("history.gz", None),
            ("history.txt", None),
            ("csv", None),
        ] {
            assert_eq!(Format::of_name(name), format, "{name}");
        }
    }

    #[test]
    fn so_do_the_first_bytes() {
        for (beginning, format) in [
            ("process,type,f,value\n", Format::Csv),
            ("\"process\",type", Format::Csv),
            ("", Format::Csv),
            ("[{:process 0", Format::Edn),
            ("; a comment\n[{", Format::Edn),
            ("#jepsen.history.Op{:index 0", Format::Edn),
            ("\n {:type :invoke", Format::Edn),
            ("[ #jepsen.history.Op{", Format::Edn),
            ("[]", Format::Edn),
            ("{\"process\":0", Format::JsonLines),
            (" [\n { \"process\":0", Format::JsonLines),
        ] {
            assert_eq!(Format::of_content(beginning.as_bytes()), format, "{beginning:?}");
        }
    }
}
