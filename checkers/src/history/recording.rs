//! A history in a file, which is read anew each time.

use std::io::{self, Read};
use std::ops::ControlFlow;

use super::edn::{Independent, lift};
use super::format::{Format, Reader};
use super::{Event, ReadError, Tape};

/// A history of any format that lies where it can be opened again and again: nothing of it is kept in memory.
///
/// It is given the opening, not the file: this crate reads what it is handed. The source is read in large pieces and
/// needs no buffer of its own.
pub struct Recording<F> {
    open: F,
    format: Format,
    is_jepsen: bool,
    values: Values,
}

/// What the values of clients' events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    Plain,
    /// Each is a pair of an independent key and a value.
    Keyed,
}

impl<R: Read, F: Fn() -> io::Result<R>> Recording<F> {
    /// Looks at the file to see what it is. Where EDN begins with values that are pairs of key and value, all of it is
    /// read to be sure.
    ///
    /// # Errors
    /// The source's own, and what is wrong with the first row of a table.
    pub fn new(open: F, format: Option<Format>) -> Result<Self, ReadError> {
        let reader = begin(&open, format)?;
        let format = reader.format();
        let (is_jepsen, values) = match reader {
            Reader::Edn(reader) => look(reader),
            Reader::Csv(_) | Reader::JsonLines(_) => (false, Values::Plain),
        };
        Ok(Recording { open, format, is_jepsen, values })
    }

    /// How the file is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether it is EDN that our own writer did not write.
    pub fn is_jepsen(&self) -> bool {
        self.is_jepsen
    }

    /// As [`Tape::play`], until it is told to break off.
    ///
    /// # Errors
    /// What stopped the reading, after every event before the damage was handed out.
    pub fn play_while(&self, each: &mut dyn FnMut(&Event) -> ControlFlow<()>) -> Result<(), ReadError> {
        let mut reader = self.begin()?;
        let mut event = Event::empty();
        while reader.refill(&mut event)? {
            self.finish(&mut event);
            if each(&event).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn begin(&self) -> Result<Reader<R>, ReadError> {
        begin(&self.open, Some(self.format))
    }

    fn finish(&self, event: &mut Event) {
        if self.values == Values::Keyed {
            lift(event);
        }
    }

    fn pick_by_reading(&self, positions: &[usize]) -> Result<Vec<Event>, ReadError> {
        let mut picked = Vec::with_capacity(positions.len());
        let mut position = 0;
        self.play_while(&mut |event| {
            let Some(&next) = positions.get(picked.len()) else { return ControlFlow::Break(()) };
            if position == next {
                picked.push(event.clone());
            }
            position += 1;
            ControlFlow::Continue(())
        })?;
        Ok(picked)
    }
}

impl<R: Read, F: Fn() -> io::Result<R>> Tape for Recording<F> {
    fn play(&self, each: &mut dyn FnMut(&Event)) -> Result<(), ReadError> {
        self.play_while(&mut |event| {
            each(event);
            ControlFlow::Continue(())
        })
    }

    fn pick(&self, positions: &[usize]) -> Result<Vec<Event>, ReadError> {
        let Reader::Csv(mut reader) = self.begin()? else { return self.pick_by_reading(positions) };
        let mut picked = Vec::with_capacity(positions.len());
        let mut passed = 0;
        for &position in positions {
            let mut event = Event::empty();
            if !reader.skip_events(position - passed)? || !reader.refill(&mut event)? {
                break;
            }
            picked.push(event);
            passed = position + 1;
        }
        if reader.has_guessed() { self.pick_by_reading(positions) } else { Ok(picked) }
    }
}

fn begin<R: Read>(open: &impl Fn() -> io::Result<R>, format: Option<Format>) -> Result<Reader<R>, ReadError> {
    let source = open().map_err(|error| ReadError::source(1, error))?;
    Reader::new(source, format)
}

/// Whether our own writer did not write it, and whether all values of clients' events are certainly pairs of an
/// independent key and a value, as far as the file can be read.
fn look<R: Read>(mut reader: super::edn::Reader<R>) -> (bool, Values) {
    let mut independent = Independent::default();
    let mut event = Event::empty();
    while let Ok(true) = reader.refill(&mut event) {
        independent.push(&event);
        if reader.has_keys() || independent.is_refuted() {
            break;
        }
    }
    let values = if independent.is_certain() && !reader.has_keys() { Values::Keyed } else { Values::Plain };
    (!reader.has_keys(), values)
}
