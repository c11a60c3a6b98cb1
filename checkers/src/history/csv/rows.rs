//! Rows of text with the exact place of each field, whatever the line ends.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::COLUMNS;
use crate::history::{Column, ReadError};

/// A row whose number of fields is that of the first row.
#[derive(Debug)]
pub(super) struct Row<'r> {
    /// All fields, one after another.
    text: &'r str,
    record: &'r ::csv::ByteRecord,
    columns: &'r [String],
    line: u64,
}

/// The rows of a file, after the first.
#[derive(Debug)]
pub(super) struct Rows<R> {
    csv: ::csv::Reader<Watch<R>>,
    columns: Vec<String>,
    /// Whether our own writer wrote it, as far as the columns can tell.
    ours: bool,
    /// The row that was read last.
    record: ::csv::ByteRecord,
    /// The line in which it ends.
    last_line: u64,
}

impl<R: Read> Rows<R> {
    /// Reads the first row.
    pub(super) fn new(source: R) -> Result<Self, ReadError> {
        let csv = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(Watch::new(source));
        let (columns, record) = (Vec::new(), ::csv::ByteRecord::new());
        let mut rows = Rows { csv, columns, ours: false, record, last_line: 1 };
        if !rows.skip()? {
            return Err(ReadError::new(1, None, "the file is empty; its first row names the columns"));
        }
        let row = rows.row()?;
        let names = (0..row.record.len()).map(|at| row.get(at).trim_start_matches('\u{feff}').trim().to_owned());
        let (names, line): (Vec<String>, u64) = (names.collect(), row.line);
        rows.columns = names;
        let names = rows.columns.iter().enumerate();
        if let Some((at, _)) = names.into_iter().find(|(at, name)| rows.columns[..*at].contains(name)) {
            return Err(ReadError::new(line, Some(column(&rows.columns, at)), "the column is there twice"));
        }
        if matches!(rows.csv.get_ref().tail, Tail::Text | Tail::InQuotes) {
            return Err(ReadError::new(line, None, "the first row has no line end: it is half written"));
        }
        rows.ours = rows.columns.len() >= COLUMNS.len() && rows.columns.iter().zip(COLUMNS).all(|(a, b)| a == b);
        Ok(rows)
    }

    /// The place of the column with this name.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next row, if it is whole.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, ReadError> {
        if !self.skip()? {
            return Ok(None);
        }
        let (tail, ours) = (self.csv.get_ref().tail, self.ours);
        let row = self.row()?;
        row.whole(tail, ours).map(|()| Some(row))
    }

    /// Passes over the next row, whatever it holds; false at the end.
    pub(super) fn skip(&mut self) -> Result<bool, ReadError> {
        let more = self.csv.read_byte_record(&mut self.record);
        let end = self.csv.position().byte();
        self.last_line = self.csv.get_mut().line_at(end.saturating_sub(1));
        more.map_err(|error| unreadable(self.last_line, error))
    }

    /// The row that was read last, if it is text.
    fn row(&self) -> Result<Row<'_>, ReadError> {
        let Rows { record, columns, .. } = self;
        let bytes = record.as_slice();
        let line = self.last_line - count_newlines(bytes);
        // Where one field ends in the middle of a character, the next may still complete it.
        let is_text = bytes.is_ascii() || record.iter().all(|field| std::str::from_utf8(field).is_ok());
        match std::str::from_utf8(bytes) {
            Ok(text) if is_text => Ok(Row { text, record, columns, line }),
            _ => {
                let at = record.iter().position(|field| std::str::from_utf8(field).is_err()).unwrap_or(0);
                let before: u64 = record.iter().take(at).map(count_newlines).sum();
                Err(ReadError::new(line + before, Some(column(columns, at)), "the field is not UTF-8"))
            }
        }
    }
}

impl<'r> Row<'r> {
    pub(super) fn get(&self, at: usize) -> &'r str {
        self.record.range(at).map_or("", |field| &self.text[field])
    }

    /// An error in this row, in the column at this place.
    pub(super) fn blame(&self, at: Option<usize>, problem: impl Into<String>) -> ReadError {
        let line = self.line_of(at.unwrap_or(0));
        ReadError::new(line, at.map(|at| column(self.columns, at)), problem)
    }

    /// The line in which the field begins.
    fn line_of(&self, at: usize) -> u64 {
        self.line + self.record.iter().take(at).map(count_newlines).sum::<u64>()
    }

    /// Our own writer ends every row with a line feed; a foreign file may leave out the last one, but never a closing
    /// quote.
    fn whole(&self, tail: Tail, ours: bool) -> Result<(), ReadError> {
        let (found, expected) = (self.record.len(), self.columns.len());
        let blame = |line_of, at, problem| {
            let line = self.line_of(line_of);
            Err(ReadError::new(line, Some(column(self.columns, at)), problem))
        };
        if found < expected {
            let cut = if tail == Tail::More { "" } else { ": it is half written" };
            return blame(found, found - 1, format!("the row ends after {found} of {expected} columns{cut}"));
        }
        if found > expected {
            let problem = format!("the row has {found} columns, the first row {expected}");
            return blame(expected, expected, problem);
        }
        match tail {
            Tail::More | Tail::Newline => Ok(()),
            Tail::Text if !ours => Ok(()),
            Tail::Text | Tail::InQuotes => {
                blame(expected, expected - 1, "the row has no line end: it is half written".to_owned())
            }
        }
    }
}

fn column(columns: &[String], at: usize) -> Column {
    Column { number: at + 1, name: columns.get(at).cloned().unwrap_or_default() }
}

fn count_newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn unreadable(line: u64, error: ::csv::Error) -> ReadError {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => ReadError::source(line, error),
        other => ReadError::new(line, None, format!("cannot be read: {other:?}")),
    }
}

/// Watches the bytes go by: where the lines end and how the file does. The csv crate counts lines too, but it is one
/// behind after CR LF.
#[derive(Debug)]
struct Watch<R> {
    source: R,
    offset: u64,
    /// Offsets of the line feeds that were read and not yet passed.
    newlines: VecDeque<u64>,
    passed: u64,
    quotes: usize,
    last: u8,
    tail: Tail,
}

/// How the file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// The end is not known to be reached.
    More,
    Newline,
    Text,
    InQuotes,
}

impl<R> Watch<R> {
    fn new(source: R) -> Self {
        Watch { source, offset: 0, newlines: VecDeque::new(), passed: 0, quotes: 0, last: 0, tail: Tail::More }
    }

    /// The line of the byte at this offset, from 1. Offsets are asked in increasing order.
    fn line_at(&mut self, offset: u64) -> u64 {
        while self.newlines.front().is_some_and(|&newline| newline < offset) {
            self.newlines.pop_front();
            self.passed += 1;
        }
        self.passed + 1
    }
}

impl<R: Read> Read for Watch<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let read = &buffer[..count];
        self.newlines.extend(memchr::memchr_iter(b'\n', read).map(|at| self.offset + at as u64));
        self.quotes += memchr::memchr_iter(b'"', read).count();
        self.last = read.last().copied().unwrap_or(self.last);
        self.offset += count as u64;
        if count == 0 && !buffer.is_empty() {
            let newline = self.last == b'\n';
            self.tail = match (self.quotes % 2, newline) {
                (1, _) => Tail::InQuotes,
                (_, true) => Tail::Newline,
                (_, false) => Tail::Text,
            };
        }
        Ok(count)
    }
}
