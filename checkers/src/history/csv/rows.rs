//! Rows of text with the exact place of each field, whatever the line ends (RFC 4180, and what spreadsheets make of it).
//!
//! Rows end with LF, CR LF or CR; empty lines are skipped. A field that opens with a quote goes on to the closing one,
//! over line ends; two quotes in it are one; what follows the closing quote belongs to the field as it is. A quote
//! elsewhere is a character like others.
//!
//! Nearly every row of a history has no quote in it: such a row is cut at its commas and nothing is copied.

use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memchr2};

use super::COLUMNS;
use crate::history::window::Window;
use crate::history::{Column, ReadError};

/// A row whose number of fields is that of the first row.
#[derive(Debug)]
pub(super) struct Row<'r> {
    text: &'r str,
    fields: &'r [Range<usize>],
    columns: &'r [String],
    line: u64,
}

/// The rows of a file, after the first.
#[derive(Debug)]
pub(super) struct Rows<R> {
    window: Window<R>,
    columns: Vec<String>,
    /// Whether our own writer wrote it, as far as the columns can tell.
    ours: bool,
    /// The line in which the window begins.
    line: u64,
    /// The row that was handed out last still lies in the window: its bytes and its line ends.
    behind: (usize, u64),
    /// Where the fields of the row are: in the window, or in `unquoted`.
    fields: Vec<Range<usize>>,
    unquoted: Vec<u8>,
}

/// A row that lies at the beginning of the window.
struct Found {
    /// How long it is, without its line end.
    length: usize,
    writing: Writing,
    tail: Tail,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    Plain,
    /// With quotes: its fields have been put into `unquoted`.
    Quoted,
}

/// How a row ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    LineEnd,
    /// With the file.
    Text,
    /// With the file, and a quote is still open.
    InQuotes,
}

impl<R: Read> Rows<R> {
    /// Reads the first row.
    pub(super) fn new(window: Window<R>) -> Result<Self, ReadError> {
        let (fields, unquoted) = (Vec::new(), Vec::new());
        let mut rows = Rows { window, columns: Vec::new(), ours: false, line: 1, behind: (0, 0), fields, unquoted };
        let Some(found) = rows.find()? else {
            return Err(ReadError::new(1, None, "the file is empty; its first row names the columns"));
        };
        let row = rows.cut(&found)?;
        let line = row.line;
        let columns = row.fields.iter().map(|field| row.text[field.clone()].trim_start_matches('\u{feff}').trim());
        rows.columns = columns.map(str::to_owned).collect();
        let names = rows.columns.iter().enumerate();
        if let Some((at, _)) = names.into_iter().find(|(at, name)| rows.columns[..*at].contains(name)) {
            return Err(ReadError::new(line, Some(column(&rows.columns, at)), "the column is there twice"));
        }
        if found.tail != Tail::LineEnd {
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
        let Some(found) = self.find()? else { return Ok(None) };
        let ours = self.ours;
        let row = self.cut(&found)?;
        row.whole(found.tail, ours).map(|()| Some(row))
    }

    /// Passes over the next row, whatever it holds; false at the end.
    pub(super) fn skip(&mut self) -> Result<bool, ReadError> {
        self.find().map(|found| found.is_some())
    }

    /// Leaves the last row behind and finds the end of the next.
    fn find(&mut self) -> Result<Option<Found>, ReadError> {
        let (bytes, lines) = std::mem::take(&mut self.behind);
        self.window.pass(bytes);
        self.line += lines;
        if !self.skip_empty_lines()? {
            return Ok(None);
        }
        loop {
            let rest = self.window.rest();
            let end = memchr(b'\n', rest);
            let line = &rest[..end.unwrap_or(rest.len())];
            let line = if end.is_some() { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
            if memchr2(b'"', b'\r', line).is_some() {
                return self.find_quoted().map(Some);
            }
            let length = line.len();
            if let Some(end) = end {
                self.behind = (end + 1, 1);
                return Ok(Some(Found { length, writing: Writing::Plain, tail: Tail::LineEnd }));
            }
            if !self.more()? {
                self.behind = (length, 0);
                return Ok(Some(Found { length, writing: Writing::Plain, tail: Tail::Text }));
            }
        }
    }

    /// False at the end of the file.
    fn skip_empty_lines(&mut self) -> Result<bool, ReadError> {
        loop {
            match self.window.rest().first().copied() {
                Some(b'\n') => self.line += 1,
                Some(b'\r') => {}
                Some(_) => return Ok(true),
                None if self.more()? => continue,
                None => return Ok(false),
            }
            self.window.pass(1);
        }
    }

    /// As [`Rows::find`], byte by byte, for a row with quotes or a bare CR. A row that does not end in the window is
    /// begun again when there is more of it.
    fn find_quoted(&mut self) -> Result<Found, ReadError> {
        loop {
            self.fields.clear();
            self.unquoted.clear();
            let mut unquoting = Unquoting { fields: &mut self.fields, text: &mut self.unquoted, state: State::Opening };
            let rest = self.window.rest();
            let end = rest.iter().position(|&byte| unquoting.ends_with(byte));
            let state = unquoting.state;
            let length = end.unwrap_or(rest.len());
            let tail = match end {
                Some(_) => Tail::LineEnd,
                None if self.more()? => continue,
                None if state == State::Quoted => Tail::InQuotes,
                None => Tail::Text,
            };
            let row = &self.window.rest()[..length];
            self.behind = (length, count_newlines(row));
            let from = self.fields.last().map_or(0, |field| field.end);
            self.fields.push(from..self.unquoted.len());
            return Ok(Found { length, writing: Writing::Quoted, tail });
        }
    }

    fn more(&mut self) -> Result<bool, ReadError> {
        self.window.more().map_err(|error| ReadError::source(self.line, error))
    }

    /// The fields of a row that was found.
    fn cut(&mut self, found: &Found) -> Result<Row<'_>, ReadError> {
        let plain = &self.window.rest()[..found.length];
        let bytes = match found.writing {
            Writing::Quoted => &self.unquoted[..],
            Writing::Plain => {
                self.fields.clear();
                let mut from = 0;
                for (at, byte) in plain.iter().enumerate() {
                    if *byte == b',' {
                        self.fields.push(from..at);
                        from = at + 1;
                    }
                }
                self.fields.push(from..plain.len());
                plain
            }
        };
        let (fields, columns, line) = (&self.fields[..], &self.columns[..], self.line);
        // A comma is never a part of another character, so that the fields are text where the row is, and quoted fields
        // are looked at one by one.
        let is_text = |field: &Range<usize>| std::str::from_utf8(&bytes[field.clone()]).is_ok();
        let text =
            std::str::from_utf8(bytes).ok().filter(|_| found.writing == Writing::Plain || fields.iter().all(is_text));
        let Some(text) = text else {
            let at = fields.iter().position(|field| !is_text(field)).unwrap_or(0);
            let before: u64 = fields[..at].iter().map(|field| count_newlines(&bytes[field.clone()])).sum();
            return Err(ReadError::new(line + before, Some(column(columns, at)), "the field is not UTF-8"));
        };
        Ok(Row { text, fields, columns, line })
    }
}

impl<'r> Row<'r> {
    pub(super) fn get(&self, at: usize) -> &'r str {
        &self.text[self.fields[at].clone()]
    }

    /// An error in this row, in the column at this place.
    pub(super) fn blame(&self, at: Option<usize>, problem: impl Into<String>) -> ReadError {
        let line = self.line_of(at.unwrap_or(0));
        ReadError::new(line, at.map(|at| column(self.columns, at)), problem)
    }

    /// The line in which the field begins.
    fn line_of(&self, at: usize) -> u64 {
        let before = self.fields.iter().take(at);
        self.line + before.map(|field| count_newlines(&self.text.as_bytes()[field.clone()])).sum::<u64>()
    }

    /// Our own writer ends every row with a line feed; a foreign file may leave out the last one, but never a closing
    /// quote.
    fn whole(&self, tail: Tail, ours: bool) -> Result<(), ReadError> {
        let (found, expected) = (self.fields.len(), self.columns.len());
        let blame = |line_of, at, problem| {
            let line = self.line_of(line_of);
            Err(ReadError::new(line, Some(column(self.columns, at)), problem))
        };
        if found < expected {
            let cut = if tail == Tail::LineEnd { "" } else { ": it is half written" };
            return blame(found, found - 1, format!("the row ends after {found} of {expected} columns{cut}"));
        }
        if found > expected {
            let problem = format!("the row has {found} columns, the first row {expected}");
            return blame(expected, expected, problem);
        }
        match tail {
            Tail::LineEnd => Ok(()),
            Tail::Text if !ours => Ok(()),
            Tail::Text | Tail::InQuotes => {
                blame(expected - 1, expected - 1, "the row has no line end: it is half written".to_owned())
            }
        }
    }
}

fn column(columns: &[String], at: usize) -> Column {
    Column { number: at + 1, name: columns.get(at).cloned().unwrap_or_default() }
}

fn count_newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Takes the quotes off a row while it goes by.
struct Unquoting<'u> {
    fields: &'u mut Vec<Range<usize>>,
    text: &'u mut Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a field.
    Opening,
    Bare,
    Quoted,
    /// After a quote in a quoted field: the closing one, or the first of two.
    QuoteInQuoted,
}

impl Unquoting<'_> {
    /// Takes the next byte; true if it ends the row.
    fn ends_with(&mut self, byte: u8) -> bool {
        self.state = match (self.state, byte) {
            (State::Opening, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::QuoteInQuoted,
            (State::Quoted, _) | (State::QuoteInQuoted, b'"') => {
                self.text.push(byte);
                State::Quoted
            }
            (_, b'\n' | b'\r') => return true,
            (_, b',') => {
                let from = self.fields.last().map_or(0, |field| field.end);
                self.fields.push(from..self.text.len());
                State::Opening
            }
            (_, _) => {
                self.text.push(byte);
                State::Bare
            }
        };
        false
    }
}
