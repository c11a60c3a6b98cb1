//! A place in a text: byte by byte, and where that is.

use std::io::Read;

use super::ReadError;
use super::window::Window;

/// Goes through a source and knows the line and the character.
#[derive(Debug)]
pub(super) struct Cursor<R> {
    window: Window<R>,
    place: Place,
}

/// Where something is, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) character: usize,
}

impl Place {
    pub(super) fn error(self, problem: impl Into<String>) -> ReadError {
        ReadError::at(self.line, self.character, problem)
    }

    /// The place behind these bytes.
    pub(super) fn after(self, bytes: &[u8]) -> Place {
        let newlines = memchr::memchr_iter(b'\n', bytes).count() as u64;
        let (before, last_line) = match memchr::memrchr(b'\n', bytes) {
            Some(newline) => (1, &bytes[newline + 1..]),
            None => (self.character, bytes),
        };
        let characters = last_line.iter().filter(|&&byte| begins_character(byte)).count();
        Place { line: self.line + newlines, character: before + characters }
    }

    fn pass(&mut self, byte: u8) {
        if byte == b'\n' {
            self.line += 1;
            self.character = 1;
        } else if begins_character(byte) {
            self.character += 1;
        }
    }
}

/// Whether it is no continuation of a character in UTF-8.
fn begins_character(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

impl<R: Read> Cursor<R> {
    pub(super) fn new(window: Window<R>) -> Self {
        Cursor { window, place: Place { line: 1, character: 1 } }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// An error here.
    pub(super) fn error(&self, problem: impl Into<String>) -> ReadError {
        self.place.error(problem)
    }

    /// The byte at the cursor; none at the end of the source.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        if self.window.rest().is_empty() && !self.more()? {
            return Ok(None);
        }
        Ok(self.window.rest().first().copied())
    }

    /// Whether these bytes are at the cursor.
    pub(super) fn is_at(&mut self, bytes: &[u8]) -> Result<bool, ReadError> {
        while self.window.rest().len() < bytes.len() && bytes.starts_with(self.window.rest()) && self.more()? {}
        Ok(self.window.rest().starts_with(bytes))
    }

    /// All that was read and not yet passed; [`Cursor::more`] makes it longer.
    pub(super) fn rest(&self) -> &[u8] {
        self.window.rest()
    }

    /// Reads on; false at the end of the source.
    pub(super) fn more(&mut self) -> Result<bool, ReadError> {
        self.window.more().map_err(|error| ReadError::source(self.place.line, error))
    }

    /// Goes on by so many bytes, which have been seen.
    pub(super) fn pass(&mut self, count: usize) {
        self.place = self.place.after(&self.window.rest()[..count]);
        self.window.pass(count);
    }

    /// Goes on to the first byte that is not wanted, or to the end, and hands out what lies before it, in pieces.
    pub(super) fn pass_while(
        &mut self,
        is_wanted: impl Fn(u8) -> bool,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), ReadError> {
        loop {
            let rest = self.window.rest();
            let end = rest.iter().position(|&byte| !is_wanted(byte));
            let piece = &rest[..end.unwrap_or(rest.len())];
            each(piece);
            self.pass(piece.len());
            if end.is_some() || !self.more()? {
                return Ok(());
            }
        }
    }

    /// Goes on by one byte and gives it.
    pub(super) fn bump(&mut self) -> Result<Option<u8>, ReadError> {
        let byte = self.peek()?;
        if let Some(byte) = byte {
            self.place.pass(byte);
            self.window.pass(1);
        }
        Ok(byte)
    }
}
