//! Calls paired with what became of them.

use rustc_hash::FxHashMap;

use super::{Event, Kind, Process};

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It certainly did not happen.
    Fail,
    /// It may have happened, or may happen yet: `info`, or no completion at all.
    Info,
}

/// A call and its completion.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'h> {
    /// The event with which it began.
    pub invoke: &'h Event,
    /// The event with which it ended, if the history has one.
    pub completion: Option<&'h Event>,
    /// Position of `invoke` among the history's events.
    pub call: usize,
    /// Position of `completion` among the history's events.
    pub ret: Option<usize>,
}

impl<'h> Operation<'h> {
    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.completion.map(|event| event.kind) {
            Some(Kind::Ok) => Outcome::Ok,
            Some(Kind::Fail) => Outcome::Fail,
            Some(Kind::Info | Kind::Invoke) | None => Outcome::Info,
        }
    }

    /// Who called.
    #[must_use]
    pub fn process(&self) -> Process {
        self.invoke.process
    }

    /// The operation's name.
    #[must_use]
    pub fn f(&self) -> &'h str {
        &self.invoke.f
    }

    /// Which object.
    #[must_use]
    pub fn key(&self) -> Option<&'h str> {
        self.invoke.key.as_deref().or_else(|| self.completion.and_then(|event| event.key.as_deref()))
    }

    /// The node that was asked.
    #[must_use]
    pub fn node(&self) -> Option<&'h str> {
        self.invoke.node.as_deref().or_else(|| self.completion.and_then(|event| event.node.as_deref()))
    }
}

impl Operation<'_> {
    /// Its events by their indexes, in words.
    #[must_use]
    pub fn events(&self) -> String {
        match self.completion {
            Some(completion) => format!("events {} and {}", self.invoke.index, completion.index),
            None => format!("event {}", self.invoke.index),
        }
    }
}

/// An event that breaks a promise of the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Indexes are dense from 0.
    #[error("event {expected} has the index {found}: indexes count up from 0 without a gap")]
    Index {
        /// The event's position.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// Time never goes back.
    #[error("event {index} is at {found} ns, after an event at {before} ns: time never goes back")]
    Time {
        /// The event's index.
        index: u64,
        /// The time of the event before, in nanoseconds.
        before: u64,
        /// Its time, in nanoseconds.
        found: u64,
    },
    /// A process is single-threaded.
    #[error("event {index}: process {process} begins `{f}` while its call of event {open} is still open")]
    Overlap {
        /// The event's index.
        index: u64,
        /// Whose.
        process: Process,
        /// What it begins.
        f: String,
        /// The index of the call that is open.
        open: u64,
    },
    /// Only what began can end.
    #[error("event {index}: process {process} ends `{f}` ({kind}) and has no open call")]
    NoCall {
        /// The event's index.
        index: u64,
        /// Whose.
        process: Process,
        /// What it ends.
        f: String,
        /// With which type.
        kind: Kind,
    },
    /// A completion is of the call it completes.
    #[error("event {index}: process {process} ends {found}, but its open call of event {open} is {expected}")]
    Mismatch {
        /// The event's index.
        index: u64,
        /// Whose.
        process: Process,
        /// What it ends.
        found: String,
        /// The index of the call that is open.
        open: u64,
        /// What that call is.
        expected: String,
    },
}

/// Pairs calls with completions. After an `info` a process should not speak again; if it does (some histories do
/// so), its next call is taken as one of its own.
pub(super) fn pair(events: &[Event]) -> Result<Vec<Operation<'_>>, HistoryError> {
    let mut operations: Vec<Operation<'_>> = Vec::with_capacity(events.len() / 2);
    let mut open: FxHashMap<Process, usize> = FxHashMap::default();
    for (position, event) in events.iter().enumerate() {
        if event.process == Process::Nemesis {
            continue;
        }
        if event.kind == Kind::Invoke {
            if let Some(earlier) = open.insert(event.process, operations.len()) {
                return Err(overlap(event, operations[earlier].invoke));
            }
            operations.push(Operation { invoke: event, completion: None, call: position, ret: None });
            continue;
        }
        let Some(number) = open.remove(&event.process) else { return Err(no_call(event)) };
        let operation = &mut operations[number];
        if !completes(operation.invoke, event) {
            return Err(mismatch(event, operation.invoke));
        }
        operation.completion = Some(event);
        operation.ret = Some(position);
    }
    Ok(operations)
}

pub(super) fn completes(invoke: &Event, completion: &Event) -> bool {
    let same_key = invoke.key.is_none() || completion.key.is_none() || invoke.key == completion.key;
    invoke.f == completion.f && same_key
}

pub(super) fn overlap(event: &Event, open: &Event) -> HistoryError {
    HistoryError::Overlap { index: event.index, process: event.process, f: event.f.clone(), open: open.index }
}

pub(super) fn no_call(event: &Event) -> HistoryError {
    HistoryError::NoCall { index: event.index, process: event.process, f: event.f.clone(), kind: event.kind }
}

pub(super) fn mismatch(event: &Event, open: &Event) -> HistoryError {
    let (found, expected) = (title(event), title(open));
    HistoryError::Mismatch { index: event.index, process: event.process, found, open: open.index, expected }
}

fn title(event: &Event) -> String {
    match &event.key {
        Some(key) => format!("`{}` of `{key}`", event.f),
        None => format!("`{}`", event.f),
    }
}
