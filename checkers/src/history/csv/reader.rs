//! Reads histories, row by row.

use std::io::Read;

use serde_json::Value;

use super::rows::{Row, Rows};
use super::spans::{self, Span};
use super::{COLUMNS, ReadError};
use crate::history::{Event, Kind, Process};

/// A stream of events out of a CSV file. It ends at the end of the file or after the first error.
///
/// # One row for each operation
/// A file with columns `start` and `end` instead of `time` (both in nanoseconds) has one row for each operation, in
/// any order; `type` is its outcome and `end` may be empty where there was none. Each row becomes two events, and
/// such a file is read as a whole before the first event comes. Events of the same time are ordered so that
/// operations which touch are concurrent, as far as a process can only make one call at a time.
#[derive(Debug)]
pub struct Reader<R: Read> {
    rows: Rows<R>,
    fields: Fields,
    state: State,
}

#[derive(Debug)]
enum State {
    /// One row is one event; the next has this index if the file does not say.
    Events {
        next: u64,
    },
    /// One row is one operation; nothing was read yet.
    Spans,
    /// All operations were read.
    Spread {
        events: std::vec::IntoIter<Event>,
        error: Option<ReadError>,
    },
    Done,
}

/// Where the columns are.
#[derive(Debug)]
struct Fields {
    process: usize,
    kind: usize,
    f: usize,
    value: usize,
    index: Option<usize>,
    time: Option<usize>,
    key: Option<usize>,
    node: Option<usize>,
    error: Option<usize>,
    version: Option<usize>,
    span: Option<(usize, usize)>,
    extra: Vec<(usize, String)>,
}

impl<R: Read> Reader<R> {
    /// Reads the first row, which names the columns.
    ///
    /// # Errors
    /// The file is empty or a required column is missing.
    pub fn new(source: R) -> Result<Self, ReadError> {
        let rows = Rows::new(source)?;
        let fields = Fields::find(&rows)?;
        let state = if fields.span.is_some() { State::Spans } else { State::Events { next: 0 } };
        Ok(Reader { rows, fields, state })
    }

    fn event(&mut self, next: u64) -> Result<Option<Event>, ReadError> {
        let Some(row) = self.rows.next()? else { return Ok(None) };
        let found = self.optional(&row, self.fields.index, "a whole number from 0")?;
        if let Some(index) = found.filter(|&index| index < next) {
            let problem = format!("expected {next} or more, found {index}: rows are in the order of their index");
            return Err(self.blame(&row, self.fields.index, problem));
        }
        let time = self.optional(&row, self.fields.time, "a whole number of nanoseconds")?.unwrap_or(0);
        let mut event = self.common(&row)?;
        event.index = found.unwrap_or(next);
        event.time = time;
        Ok(Some(event))
    }

    fn span(&mut self, start: usize, end: usize) -> Result<Option<Span>, ReadError> {
        const UNIT: &str = "a whole number of nanoseconds";
        let Some(row) = self.rows.next()? else { return Ok(None) };
        let event = self.common(&row)?;
        if event.kind == Kind::Invoke {
            let problem = "expected `ok`, `fail` or `info`: with `start` and `end` a row is a whole operation";
            return Err(self.blame(&row, Some(self.fields.kind), problem));
        }
        let Some(begun) = self.optional(&row, Some(start), UNIT)? else {
            return Err(self.blame(&row, Some(start), format!("expected {UNIT}, found nothing")));
        };
        let ended: Option<u64> = self.optional(&row, Some(end), UNIT)?;
        if ended.is_some_and(|ended| ended < begun) {
            return Err(self.blame(&row, Some(end), "the operation ends before it starts"));
        }
        if ended.is_none() && event.kind != Kind::Info {
            let problem = format!("expected {UNIT}, found nothing, and the outcome is `{}`", event.kind);
            return Err(self.blame(&row, Some(end), problem));
        }
        Ok(Some(Span { event, start: begun, end: ended }))
    }

    fn spread(&mut self, start: usize, end: usize) -> State {
        let mut spans = Vec::new();
        let error = loop {
            match self.span(start, end) {
                Ok(Some(span)) => spans.push(span),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        State::Spread { events: spans::spread(spans).into_iter(), error }
    }

    /// All of an event but its index and time.
    fn common(&self, row: &Row) -> Result<Event, ReadError> {
        let process: Process = row
            .get(self.fields.process)
            .parse()
            .map_err(|problem: String| self.blame(row, Some(self.fields.process), problem))?;
        let text = |at: Option<usize>| at.map(|at| row.get(at)).filter(|text| !text.is_empty()).map(str::to_owned);
        let extra = self.fields.extra.iter().map(|(at, name)| (name.clone(), row.get(*at).to_owned()));
        Ok(Event {
            index: 0,
            time: 0,
            process,
            kind: self.kind(row)?,
            f: row.get(self.fields.f).to_owned(),
            key: text(self.fields.key),
            value: self.value(row)?,
            node: text(self.fields.node),
            error: text(self.fields.error),
            version: self.optional(row, self.fields.version, "an integer")?,
            extra: extra.collect(),
        })
    }

    fn kind(&self, row: &Row) -> Result<Kind, ReadError> {
        let text = row.get(self.fields.kind);
        let kinds = [Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info];
        kinds.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            self.blame(row, Some(self.fields.kind), format!("expected invoke, ok, fail or info, found `{text}`"))
        })
    }

    /// JSON, or a bare word as other tools write it. What opens like JSON and is none was damaged.
    fn value(&self, row: &Row) -> Result<Value, ReadError> {
        let text = row.get(self.fields.value);
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        match serde_json::from_str(text) {
            Ok(value) => Ok(value),
            Err(error) if text.trim_start().starts_with(['[', '{', '"']) => {
                let problem = format!("the value is no JSON: {error} of the field");
                Err(self.blame(row, Some(self.fields.value), problem))
            }
            Err(_) => Ok(Value::String(text.to_owned())),
        }
    }

    fn optional<T: std::str::FromStr>(
        &self,
        row: &Row,
        at: Option<usize>,
        expected: &str,
    ) -> Result<Option<T>, ReadError> {
        let Some(text) = at.map(|at| row.get(at)).filter(|text| !text.is_empty()) else { return Ok(None) };
        let parsed = text.trim().parse().ok();
        parsed.map(Some).ok_or_else(|| self.blame(row, at, format!("expected {expected}, found `{text}`")))
    }

    fn blame(&self, row: &Row, at: Option<usize>, problem: impl Into<String>) -> ReadError {
        let line = row.line_of(at.unwrap_or(0));
        ReadError::new(line, at.map(|at| self.rows.column(at)), problem)
    }
}

impl Fields {
    fn find<R: Read>(rows: &Rows<R>) -> Result<Fields, ReadError> {
        let need = |name: &str| {
            rows.find(name).ok_or_else(|| {
                let found = rows.columns().join(", ");
                ReadError::new(1, None, format!("there is no column `{name}`, only: {found}"))
            })
        };
        let span = rows.find("start").zip(rows.find("end"));
        let known = |name: &str| COLUMNS.contains(&name) || (span.is_some() && (name == "start" || name == "end"));
        let columns = rows.columns().iter().enumerate();
        Ok(Fields {
            process: need("process")?,
            kind: need("type")?,
            f: need("f")?,
            value: need("value")?,
            index: rows.find("index"),
            time: rows.find("time"),
            key: rows.find("key"),
            node: rows.find("node"),
            error: rows.find("error"),
            version: rows.find("version"),
            span,
            extra: columns.filter(|(_, name)| !known(name)).map(|(at, name)| (at, name.clone())).collect(),
        })
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let (State::Spans, Some((start, end))) = (&self.state, self.fields.span) {
            self.state = self.spread(start, end);
        }
        let item = match &mut self.state {
            State::Events { next } => {
                let next = *next;
                self.event(next).transpose()
            }
            State::Spread { events, error } => events.next().map(Ok).or_else(|| error.take().map(Err)),
            State::Spans | State::Done => None,
        };
        match (&item, &mut self.state) {
            (Some(Ok(event)), State::Events { next }) => *next = event.index.saturating_add(1),
            (Some(Ok(_)), _) => {}
            (Some(Err(_)) | None, state) => *state = State::Done,
        }
        item
    }
}
