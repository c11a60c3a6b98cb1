//! Reads histories, map by map.

use std::io::Read;

use super::forms;
use crate::history::cursor::Cursor;
use crate::history::members::{Filling, text};
use crate::history::window::Window;
use crate::history::{Event, ReadError};

/// A stream of events out of an EDN file. It ends at the end of the file or after the first error.
///
/// The values of operations on independent keys stay pairs of key and value here: whether they are such pairs can only
/// be told from all of them. [`read`](super::read) and [`Recording`](crate::history::Recording) tell.
#[derive(Debug)]
pub struct Reader<R: Read> {
    cursor: Cursor<R>,
    state: State,
    /// The index of the next event if it does not say.
    next: u64,
    has_keys: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Before,
    /// Among maps one after another.
    Open,
    /// Among maps in a vector or list, which ends with this.
    Within(u8),
    Done,
}

impl<R: Read> Reader<R> {
    /// Over the whole source.
    ///
    /// # Errors
    /// The source's own.
    pub fn new(source: R) -> Result<Self, ReadError> {
        Window::new(source).map(Self::over).map_err(|error| ReadError::source(1, error))
    }

    pub(in crate::history) fn over(window: Window<R>) -> Self {
        Reader { cursor: Cursor::new(window), state: State::Before, next: 0, has_keys: false }
    }

    /// Reads the next event over the one that is given; false at the end. After an error there is nothing more, and what
    /// the event holds means nothing.
    ///
    /// # Errors
    /// The file is damaged here.
    pub fn refill(&mut self, event: &mut Event) -> Result<bool, ReadError> {
        let read = if self.state == State::Done { Ok(None) } else { self.event() };
        if !matches!(read, Ok(Some(_))) {
            self.state = State::Done;
        }
        Ok(read?.map(|read| *event = read).is_some())
    }

    /// Whether an event so far has had a `:key`, be it nil: then values are no pairs of key and value.
    pub(in crate::history) fn has_keys(&self) -> bool {
        self.has_keys
    }

    fn event(&mut self) -> Result<Option<Event>, ReadError> {
        forms::skip(&mut self.cursor)?;
        if self.state == State::Before {
            self.state = match self.cursor.peek()? {
                Some(b'[') => State::Within(b']'),
                Some(b'(') => State::Within(b')'),
                _ => State::Open,
            };
            if self.state != State::Open {
                self.cursor.pass(1);
                forms::skip(&mut self.cursor)?;
            }
        }
        let byte = self.cursor.peek()?;
        match (self.state, byte) {
            (State::Open, None) => Ok(None),
            (State::Within(close), Some(byte)) if byte == close => self.end(),
            (State::Within(_), None) => {
                Err(self.cursor.error("the file ends before its closing bracket: it is half written"))
            }
            _ => self.map().map(Some),
        }
    }

    /// The closing bracket of the history: nothing follows it.
    fn end(&mut self) -> Result<Option<Event>, ReadError> {
        self.cursor.pass(1);
        forms::skip(&mut self.cursor)?;
        match self.cursor.peek()? {
            None => Ok(None),
            Some(_) => Err(self.cursor.error("expected the end of the file behind the history's closing bracket")),
        }
    }

    fn map(&mut self) -> Result<Event, ReadError> {
        forms::skip_tags(&mut self.cursor)?;
        let begun = self.cursor.place();
        match self.cursor.peek()? {
            Some(b'{') => self.cursor.pass(1),
            Some(_) => return Err(begun.error("expected a map: an event of the history")),
            None => return Err(forms::half_written(&self.cursor)),
        }
        let mut filling = Filling::new();
        loop {
            forms::skip(&mut self.cursor)?;
            if self.cursor.peek()? == Some(b'}') {
                self.cursor.pass(1);
                break;
            }
            let name = text(forms::read(&mut self.cursor)?);
            forms::skip(&mut self.cursor)?;
            let place = self.cursor.place();
            if self.cursor.peek()? == Some(b'}') {
                return Err(place.error(format!("the map ends before the value of `{name}`")));
            }
            let value = forms::read(&mut self.cursor)?;
            filling.fill(&name, value).map_err(|problem| place.error(format!("{name}: {problem}")))?;
        }
        let has = filling.has();
        if !has.kind {
            return Err(begun.error("the event has no :type"));
        }
        self.has_keys |= has.key;
        let mut event = filling.finish(&mut self.next).map_err(|problem| begun.error(problem))?;
        if !has.f {
            TRANSACTION.clone_into(&mut event.f);
        }
        Ok(event)
    }
}

/// What an event does that does not say what.
const TRANSACTION: &str = "txn";

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut event = Event::empty();
        self.refill(&mut event).map(|more| more.then_some(event)).transpose()
    }
}
