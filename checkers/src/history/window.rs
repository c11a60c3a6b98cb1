//! A source of bytes through a window that slides over it and grows where something does not fit into it.

use std::io::{self, Read};

/// What a window holds at first: enough to be read in large pieces, little enough for the processor's cache.
const SIZE: usize = 128 << 10;

/// The bytes of a source that were read and not yet passed.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl<R: Read> Window<R> {
    /// Over the whole source, without the byte order mark that some programs put in front of a text.
    pub(super) fn new(source: R) -> io::Result<Self> {
        let mut window = Window { source, bytes: vec![0; SIZE], from: 0, to: 0 };
        while window.rest().len() < MARK.len() && MARK.starts_with(window.rest()) && window.more()? {}
        if window.rest().starts_with(MARK) {
            window.pass(MARK.len());
        }
        Ok(window)
    }

    /// What can be seen.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }

    /// Leaves the first bytes behind.
    pub(super) fn pass(&mut self, count: usize) {
        debug_assert!(count <= self.to - self.from, "only what was seen is passed");
        self.from += count;
    }

    /// Shows more behind what can be seen; false at the end of the source.
    pub(super) fn more(&mut self) -> io::Result<bool> {
        if self.to == self.bytes.len() {
            self.make_room();
        }
        loop {
            match self.source.read(&mut self.bytes[self.to..]) {
                Ok(count) => {
                    self.to += count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn make_room(&mut self) {
        if self.from < self.bytes.len() / 2 {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        self.bytes.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
    }
}

/// What lies behind what was passed.
impl<R: Read> Read for Window<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest().is_empty() && !self.more()? {
            return Ok(0);
        }
        let count = self.rest().len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest()[..count]);
        self.pass(count);
        Ok(count)
    }
}

const MARK: &[u8] = "\u{feff}".as_bytes();
