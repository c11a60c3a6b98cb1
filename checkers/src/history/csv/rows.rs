//! Rows of text with the exact place of each field, whatever the line ends.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::{COLUMNS, Column, ReadError};

/// A row whose number of fields is that of the first row.
#[derive(Debug)]
pub(super) struct Row {
    fields: Vec<String>,
    line: u64,
}

/// The rows of a file, after the first.
#[derive(Debug)]
pub(super) struct Rows<R> {
    csv: ::csv::Reader<Watch<R>>,
    columns: Vec<String>,
}

impl<R: Read> Rows<R> {
    /// Reads the first row.
    pub(super) fn new(source: R) -> Result<Self, ReadError> {
        let watch =
            Watch { source, offset: 0, newlines: VecDeque::new(), passed: 0, quotes: 0, last: 0, tail: Tail::More };
        let csv = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(watch);
        let mut rows = Rows { csv, columns: Vec::new() };
        let Some(row) = rows.record()? else {
            return Err(ReadError::new(1, None, "the file is empty; its first row names the columns"));
        };
        rows.columns = row.fields.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        for (at, name) in rows.columns.iter().enumerate() {
            if rows.columns[..at].contains(name) {
                return Err(ReadError::new(row.line, Some(rows.column(at)), "the column is there twice"));
            }
        }
        if matches!(rows.csv.get_ref().tail, Tail::Text | Tail::InQuotes) {
            return Err(ReadError::new(row.line, None, "the first row has no line end: it is half written"));
        }
        Ok(rows)
    }

    /// The place of the column with this name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(super) fn column(&self, at: usize) -> Column {
        Column { number: at + 1, name: self.columns.get(at).cloned().unwrap_or_default() }
    }

    /// The next row, if it is whole.
    pub(super) fn next(&mut self) -> Result<Option<Row>, ReadError> {
        let Some(row) = self.record()? else { return Ok(None) };
        let (found, expected) = (row.fields.len(), self.columns.len());
        if found < expected {
            let cut = if self.csv.get_ref().tail == Tail::More { "" } else { ": it is half written" };
            let problem = format!("the row ends after {found} of {expected} columns{cut}");
            return Err(ReadError::new(row.line_of(found), Some(self.column(found - 1)), problem));
        }
        if found > expected {
            let problem = format!("the row has {found} columns, the first row {expected}");
            return Err(ReadError::new(row.line_of(expected), Some(self.column(expected)), problem));
        }
        if self.half_written() {
            let problem = "the row has no line end: it is half written";
            return Err(ReadError::new(row.line_of(expected), Some(self.column(expected - 1)), problem));
        }
        Ok(Some(row))
    }

    fn record(&mut self) -> Result<Option<Row>, ReadError> {
        let mut record = ::csv::ByteRecord::new();
        let more = self.csv.read_byte_record(&mut record);
        let end = self.csv.position().byte();
        let last_line = self.csv.get_mut().line_at(end.saturating_sub(1));
        match more {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(unreadable(last_line, error)),
        }
        let newlines: usize = record.iter().map(count_newlines).sum();
        let mut row = Row { fields: Vec::with_capacity(record.len()), line: last_line - newlines as u64 };
        for (at, field) in record.iter().enumerate() {
            let Ok(text) = std::str::from_utf8(field) else {
                return Err(ReadError::new(row.line_of(at), Some(self.column(at)), "the field is not UTF-8"));
            };
            row.fields.push(text.to_owned());
        }
        Ok(Some(row))
    }

    /// Whether the row just read may lack its end. Our writer ends every row with a line feed; a foreign file may
    /// leave out the last one, but never a closing quote.
    fn half_written(&self) -> bool {
        match self.csv.get_ref().tail {
            Tail::More | Tail::Newline => false,
            Tail::InQuotes => true,
            Tail::Text => self.columns.len() >= COLUMNS.len() && self.columns.iter().zip(COLUMNS).all(|(a, b)| a == b),
        }
    }
}

impl Row {
    pub(super) fn get(&self, at: usize) -> &str {
        &self.fields[at]
    }

    /// The line in which the field begins.
    pub(super) fn line_of(&self, at: usize) -> u64 {
        let before = self.fields.iter().take(at);
        self.line + before.map(|field| count_newlines(field.as_bytes()) as u64).sum::<u64>()
    }
}

fn count_newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

fn unreadable(line: u64, error: ::csv::Error) -> ReadError {
    let problem = format!("cannot be read: {error}");
    match error.into_kind() {
        ::csv::ErrorKind::Io(io) => ReadError { line, column: None, problem, io: Some(io) },
        _ => ReadError::new(line, None, problem),
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
    quotes: u64,
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
        for (at, &byte) in buffer[..count].iter().enumerate() {
            match byte {
                b'\n' => self.newlines.push_back(self.offset + at as u64),
                b'"' => self.quotes += 1,
                _ => {}
            }
        }
        self.last = buffer[..count].last().copied().unwrap_or(self.last);
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
