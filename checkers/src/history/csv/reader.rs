//! Reads histories, row by row.

use std::io::Read;
use std::str::FromStr;

use super::fields::Fields;
use super::rows::{Row, Rows};
use super::spans::{self, Span};
use crate::history::window::Window;
use crate::history::{Event, Kind, ReadError, text};

/// A stream of events out of a CSV file. It ends at the end of the file or after the first error.
///
/// # One row for each operation
/// A file with columns `start` and `end` instead of `time` (both in nanoseconds) has one row for each operation, in
/// any order; `type` is its outcome and `end` may be empty where there was none. Each row becomes two events, and
/// such a file is read as a whole before the first event comes. Events of the same time are ordered so that
/// operations which touch are concurrent, as far as a process can only make one call at a time.
#[derive(Debug)]
pub struct Reader<R: Read> {
    rows: Rows<Window<R>>,
    fields: Fields,
    state: State,
}

#[derive(Debug)]
enum State {
    /// One row is one event.
    Events(Count),
    /// One row is one operation; nothing was read yet.
    Spans,
    /// All operations were read.
    Spread {
        events: std::vec::IntoIter<Event>,
        error: Option<ReadError>,
    },
    Done,
}

impl<R: Read> Reader<R> {
    /// Reads the first row, which names the columns.
    ///
    /// # Errors
    /// The file is empty or a required column is missing.
    pub fn new(source: R) -> Result<Self, ReadError> {
        Window::new(source).map_err(|error| ReadError::source(1, error)).and_then(Self::over)
    }

    pub(in crate::history) fn over(window: Window<R>) -> Result<Self, ReadError> {
        let rows = Rows::new(window)?;
        let fields = Fields::find(&rows)?;
        let state = if fields.span.is_some() { State::Spans } else { State::Events(Count::of(&fields)) };
        Ok(Reader { rows, fields, state })
    }

    /// Reads the next event over the one that is given, whose memory is used again; false at the end. After an error
    /// there is nothing more, and what the event holds means nothing.
    ///
    /// # Errors
    /// The row is damaged.
    pub fn refill(&mut self, event: &mut Event) -> Result<bool, ReadError> {
        if let (State::Spans, Some((start, end))) = (&self.state, self.fields.span) {
            self.state = self.spread(start, end);
        }
        let more = match &mut self.state {
            State::Events(count) => self.rows.next().and_then(|row| match row {
                Some(row) => read_event(&self.fields, &row, count, event).map(|()| true),
                None => Ok(false),
            }),
            State::Spread { events, error } => match events.next() {
                Some(read) => {
                    *event = read;
                    Ok(true)
                }
                None => error.take().map_or(Ok(false), Err),
            },
            State::Spans | State::Done => Ok(false),
        };
        if !matches!(more, Ok(true)) {
            self.state = State::Done;
        }
        more
    }

    /// Passes over so many events, without a look at them where a row is an event; false if there are fewer.
    ///
    /// # Errors
    /// The source's own.
    pub(in crate::history) fn skip_events(&mut self, count: usize) -> Result<bool, ReadError> {
        for _ in 0..count {
            let more = match &mut self.state {
                State::Events(count) => {
                    count.skip();
                    self.rows.skip()?
                }
                _ => self.refill(&mut Event::empty())?,
            };
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether an event got its index by counting on from rows that were passed over, which may have said otherwise.
    pub(in crate::history) fn has_guessed(&self) -> bool {
        matches!(&self.state, State::Events(count) if count.has_guessed)
    }

    fn spread(&mut self, start: usize, end: usize) -> State {
        let mut spans = Vec::new();
        let error = loop {
            let span =
                self.rows.next().and_then(|row| row.map(|row| read_span(&self.fields, &row, start, end)).transpose());
            match span {
                Ok(Some(span)) => spans.push(span),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        State::Spread { events: spans::spread(spans).into_iter(), error }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut event = Event::empty();
        self.refill(&mut event).map(|more| more.then_some(event)).transpose()
    }
}

/// Counts indexes where the file does not say them.
#[derive(Debug)]
struct Count {
    /// The next event has this index, or a higher one.
    next: u64,
    /// Whether the file says them, in most rows at least.
    is_said: bool,
    /// Whether it is known what `next` is: no row was passed over since one said it.
    is_exact: bool,
    has_guessed: bool,
}

impl Count {
    fn of(fields: &Fields) -> Self {
        Count { next: 0, is_said: fields.index.is_some(), is_exact: true, has_guessed: false }
    }

    fn skip(&mut self) {
        self.next += 1;
        self.is_exact = !self.is_said;
    }

    /// The index of the next row, of which the row says so much.
    fn take(&mut self, said: Option<u64>) -> u64 {
        self.has_guessed |= said.is_none() && !self.is_exact;
        self.is_exact |= said.is_some();
        let index = said.unwrap_or(self.next);
        self.next = index.saturating_add(1);
        index
    }
}

fn read_event(fields: &Fields, row: &Row<'_>, count: &mut Count, event: &mut Event) -> Result<(), ReadError> {
    let said = natural(row, fields.index, "a whole number from 0")?;
    if let Some(index) = said.filter(|&index| index < count.next) {
        let next = count.next;
        let problem = format!("expected {next} or more, found {index}: rows are in the order of their index");
        return Err(row.blame(fields.index, problem));
    }
    event.time = natural(row, fields.time, NANOSECONDS)?.unwrap_or(0);
    read_common(fields, row, event)?;
    event.index = count.take(said);
    Ok(())
}

const NANOSECONDS: &str = "a whole number of nanoseconds";

fn read_span(fields: &Fields, row: &Row<'_>, start: usize, end: usize) -> Result<Span, ReadError> {
    let mut event = Event::empty();
    read_common(fields, row, &mut event)?;
    if event.kind == Kind::Invoke {
        let problem = "expected `ok`, `fail` or `info`: with `start` and `end` a row is a whole operation";
        return Err(row.blame(Some(fields.kind), problem));
    }
    let Some(begun) = natural(row, Some(start), NANOSECONDS)? else {
        return Err(row.blame(Some(start), format!("expected {NANOSECONDS}, found nothing")));
    };
    let ended = natural(row, Some(end), NANOSECONDS)?;
    if ended.is_some_and(|ended| ended < begun) {
        return Err(row.blame(Some(end), "the operation ends before it starts"));
    }
    if ended.is_none() && event.kind != Kind::Info {
        let problem = format!("expected {NANOSECONDS}, found nothing, and the outcome is `{}`", event.kind);
        return Err(row.blame(Some(end), problem));
    }
    Ok(Span { event, start: begun, end: ended })
}

/// All of an event but its index and time.
fn read_common(fields: &Fields, row: &Row<'_>, event: &mut Event) -> Result<(), ReadError> {
    let blame = |at: usize, problem| row.blame(Some(at), problem);
    let text_of = |at: Option<usize>| at.map_or("", |at| row.get(at));
    event.process = text::process(row.get(fields.process)).map_err(|problem| blame(fields.process, problem))?;
    event.kind = text::kind(row.get(fields.kind)).map_err(|problem| blame(fields.kind, problem))?;
    text::refill(&mut event.f, row.get(fields.f));
    text::refill_optional(&mut event.key, text_of(fields.key));
    text::refill_value(&mut event.value, row.get(fields.value)).map_err(|problem| blame(fields.value, problem))?;
    text::refill_optional(&mut event.node, text_of(fields.node));
    text::refill_optional(&mut event.error, text_of(fields.error));
    event.version = integer(row, fields.version)?;
    event.extra.resize_with(fields.extra.len(), Default::default);
    for ((at, name), (column, value)) in fields.extra.iter().zip(&mut event.extra) {
        text::refill(column, name);
        text::refill(value, row.get(*at));
    }
    Ok(())
}

fn natural(row: &Row<'_>, at: Option<usize>, expected: &str) -> Result<Option<u64>, ReadError> {
    optional(row, at, text::natural, expected)
}

fn integer(row: &Row<'_>, at: Option<usize>) -> Result<Option<i64>, ReadError> {
    optional(row, at, |text| text::natural(text)?.try_into().ok(), "an integer")
}

/// A number, if the field holds anything; `quick` reads nearly all of them.
fn optional<T: FromStr>(
    row: &Row<'_>,
    at: Option<usize>,
    quick: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<Option<T>, ReadError> {
    let Some(text) = at.map(|at| row.get(at)).filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed = quick(text).or_else(|| text.trim().parse().ok());
    parsed.map(Some).ok_or_else(|| row.blame(at, format!("expected {expected}, found `{text}`")))
}
