//! Reads histories, object by object.

use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use crate::history::cursor::Cursor;
use crate::history::members::Filling;
use crate::history::window::Window;
use crate::history::{Event, ReadError};

/// A stream of events out of a file of JSON objects. It ends at the end of the file or after the first error.
#[derive(Debug)]
pub struct Reader<R: Read> {
    cursor: Cursor<R>,
    state: State,
    /// The index of the next event if it does not say.
    next: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Before,
    /// Among objects one after another.
    Open,
    /// Among the items of an array.
    Within,
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
        Reader { cursor: Cursor::new(window), state: State::Before, next: 0 }
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

    fn event(&mut self) -> Result<Option<Event>, ReadError> {
        self.skip_space()?;
        if self.state == State::Before {
            self.state = if self.cursor.peek()? == Some(b'[') { State::Within } else { State::Open };
            if self.state == State::Within {
                self.cursor.pass(1);
                self.skip_space()?;
            }
        }
        match (self.state, self.cursor.peek()?) {
            (_, Some(b'{')) => self.object().map(Some),
            (State::Open, None) => Ok(None),
            (State::Within, Some(b']')) => self.end(),
            (_, None) => Err(self.cursor.error("the file ends before its closing bracket: it is half written")),
            (_, Some(_)) => Err(self.cursor.error("expected an object: an event of the history")),
        }
    }

    /// The closing bracket of the history: nothing follows it.
    fn end(&mut self) -> Result<Option<Event>, ReadError> {
        self.cursor.pass(1);
        self.skip_space()?;
        match self.cursor.peek()? {
            None => Ok(None),
            Some(_) => Err(self.cursor.error("expected the end of the file behind the history's closing bracket")),
        }
    }

    fn skip_space(&mut self) -> Result<(), ReadError> {
        let in_array = self.state == State::Within;
        while self.cursor.peek()?.is_some_and(|byte| byte.is_ascii_whitespace() || (in_array && byte == b',')) {
            self.cursor.pass(1);
        }
        Ok(())
    }

    fn object(&mut self) -> Result<Event, ReadError> {
        let place = self.cursor.place();
        let length = self.length()?;
        let object = &self.cursor.rest()[..length];
        let mut filling = Filling::new();
        let mut deserializer = serde_json::Deserializer::from_slice(object);
        (Members { filling: &mut filling }).deserialize(&mut deserializer).map_err(|error| {
            let line_begins = object.split_inclusive(|&byte| byte == b'\n').take(error.line().saturating_sub(1));
            let offset = line_begins.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
            place.after(&object[..offset.min(length)]).error(without_place(&error))
        })?;
        let has = filling.has();
        for (name, is_there) in [("process", has.process), ("type", has.kind), ("f", has.f)] {
            if !is_there {
                return Err(place.error(format!("the event has no `{name}`")));
            }
        }
        let event = filling.finish(&mut self.next).map_err(|problem| place.error(problem))?;
        self.cursor.pass(length);
        Ok(event)
    }

    /// How long the object at the cursor is: up to the brace that closes it.
    fn length(&mut self) -> Result<usize, ReadError> {
        let (mut at, mut depth, mut inside) = (0, 0_usize, Inside::Object);
        loop {
            for &byte in &self.cursor.rest()[at..] {
                at += 1;
                inside = match (inside, byte) {
                    (Inside::Object, b'"') | (Inside::Escape, _) => Inside::Text,
                    (Inside::Text, b'"') => Inside::Object,
                    (Inside::Text, b'\\') => Inside::Escape,
                    (inside, _) => inside,
                };
                match (inside, byte) {
                    (Inside::Object, b'{') => depth += 1,
                    (Inside::Object, b'}') => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    return Ok(at);
                }
            }
            if !self.cursor.more()? {
                let end = self.cursor.place().after(self.cursor.rest());
                return Err(end.error("the file ends in the middle of an object: it is half written"));
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Inside {
    Object,
    Text,
    Escape,
}

/// The error without the place in the object, which stands for nothing in the file.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map(str::to_owned).unwrap_or(text)
}

/// Fills an event with the members of an object as they come.
struct Members<'f> {
    filling: &'f mut Filling,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            let filled = self.filling.fill(&name, value);
            filled.map_err(|problem| A::Error::custom(format!("{name}: {problem}")))?;
        }
        Ok(())
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut event = Event::empty();
        self.refill(&mut event).map(|more| more.then_some(event)).transpose()
    }
}
