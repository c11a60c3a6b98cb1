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
    pub(super) fn after(mut self, bytes: &[u8]) -> Place {
        bytes.iter().for_each(|&byte| self.pass(byte));
        self
    }

    fn pass(&mut self, byte: u8) {
        if byte == b'\n' {
            self.line += 1;
            self.character = 1;
        } else if byte & 0b1100_0000 != 0b1000_0000 {
            self.character += 1;
        }
    }
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
