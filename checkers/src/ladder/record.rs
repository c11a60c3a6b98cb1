//! The history as all levels see it: what may have happened to registers.

use rustc_hash::FxHashMap;

use crate::history::{Event, History, Operation, Outcome, Process};
use crate::model::{Data, Datum};
use crate::verdict::Witness;
use serde_json::Value;

/// What was done to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// This was read.
    Read(Datum),
    /// This was written.
    Write(Datum),
    /// The first was found and the second put in its place.
    Cas(Datum, Datum),
}

impl Act {
    pub(super) fn observes(self) -> Option<Datum> {
        match self {
            Act::Read(value) | Act::Cas(value, _) => Some(value),
            Act::Write(_) => None,
        }
    }

    pub(super) fn produces(self) -> Option<Datum> {
        match self {
            Act::Read(_) => None,
            Act::Write(value) | Act::Cas(_, value) => Some(value),
        }
    }
}

/// An operation that happened, or an update that may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'h> {
    pub(super) operation: Operation<'h>,
    pub(super) act: Act,
    /// The number of its key.
    pub(super) key: usize,
    /// The number of its process.
    pub(super) session: usize,
    /// The number of its user.
    pub(super) user: usize,
    /// Whether it is known to have happened; otherwise it has no return.
    pub(super) happened: bool,
    pub(super) version: Option<i64>,
}

impl Call<'_> {
    /// Position of its return, if it has one.
    pub(super) fn ret(&self) -> Option<usize> {
        self.operation.ret.filter(|_| self.happened)
    }
}

/// All calls, in the order in which they were made.
pub(super) struct Record<'h> {
    pub(super) calls: Vec<Call<'h>>,
    pub(super) keys: Vec<Option<&'h str>>,
    pub(super) sessions: usize,
    pub(super) users: usize,
    /// Whether somebody has the column `user`.
    pub(super) has_users: bool,
    /// Whether anything that happened has a version.
    pub(super) versioned: bool,
    /// What is in a register at first.
    pub(super) nothing: Datum,
    pub(super) data: Data,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum User<'h> {
    Named(&'h str),
    Process(Process),
}

impl<'h> Record<'h> {
    /// Reads a history.
    ///
    /// # Errors
    /// An event that does not pair, or a compare-and-set that cannot be read: which, and what was expected.
    pub(super) fn read(history: &'h History) -> Result<Record<'h>, String> {
        let mut data = Data::default();
        let nothing = data.intern(&Value::Null);
        let mut record = Record {
            calls: Vec::new(),
            keys: Vec::new(),
            sessions: 0,
            users: 0,
            has_users: false,
            versioned: false,
            nothing,
            data,
        };
        let mut keys: FxHashMap<Option<&'h str>, usize> = FxHashMap::default();
        let mut sessions: FxHashMap<Process, usize> = FxHashMap::default();
        let mut users: FxHashMap<User<'h>, usize> = FxHashMap::default();
        for operation in history.operations().map_err(|error| error.to_string())? {
            let Some(act) = record.act(&operation)? else { continue };
            let happened = operation.outcome() == Outcome::Ok;
            let key = *keys.entry(operation.key()).or_insert_with(|| {
                record.keys.push(operation.key());
                record.keys.len() - 1
            });
            let next = sessions.len();
            let session = *sessions.entry(operation.process()).or_insert(next);
            let named = named_user(operation.invoke);
            record.has_users |= named.is_some();
            let next = users.len();
            let user = named.map_or(User::Process(operation.process()), User::Named);
            let user = *users.entry(user).or_insert(next);
            let version = operation.completion.filter(|_| happened).and_then(|completion| completion.version);
            record.versioned |= version.is_some();
            record.calls.push(Call { operation, act, key, session, user, happened, version });
        }
        (record.sessions, record.users) = (sessions.len(), users.len());
        Ok(record)
    }

    /// None if it is no operation of a register, or did not happen, or tells nothing.
    fn act(&mut self, operation: &Operation<'h>) -> Result<Option<Act>, String> {
        let argument = &operation.invoke.value;
        Ok(match (operation.f(), operation.outcome(), operation.completion) {
            ("read", Outcome::Ok, Some(completion)) => Some(Act::Read(self.data.intern(&completion.value))),
            ("write", Outcome::Ok | Outcome::Info, _) => Some(Act::Write(self.data.intern(argument))),
            ("cas", Outcome::Ok | Outcome::Info, _) => match argument.as_array().map(Vec::as_slice) {
                Some([old, new]) => Some(Act::Cas(self.data.intern(old), self.data.intern(new))),
                _ => {
                    let events = operation.events();
                    return Err(format!("{events}: expected `[old, new]` as the value of a cas, found `{argument}`"));
                }
            },
            _ => None,
        })
    }

    /// What a call did, in words.
    pub(super) fn words(&self, call: usize) -> String {
        let Call { act, operation, version, happened, .. } = &self.calls[call];
        let text = |datum: &Datum| self.data.text(*datum);
        let did = match act {
            Act::Read(value) if *value == self.nothing => "read nothing".to_owned(),
            Act::Read(value) => format!("read {}", text(value)),
            Act::Write(value) => format!("wrote {}", text(value)),
            Act::Cas(old, new) => format!("replaced {} by {}", text(old), text(new)),
        };
        let perhaps = if *happened { "" } else { ", with unknown outcome," };
        let version = version.map_or_else(String::new, |version| format!(" with version {version}"));
        let key = operation.key().map_or_else(String::new, |key| format!(" of `{key}`"));
        let node = operation.node().map_or_else(String::new, |node| format!(" at {node}"));
        format!("{did}{perhaps}{version}{key}{node} ({})", operation.events())
    }

    /// The same, with who did it.
    pub(super) fn who(&self, call: usize) -> String {
        format!("process {} {}", self.calls[call].operation.process(), self.words(call))
    }

    /// The calls as a witness.
    pub(super) fn witness(&self, reason: String, calls: impl IntoIterator<Item = usize>) -> Witness {
        let mut calls: Vec<usize> = calls.into_iter().collect();
        calls.sort_unstable();
        calls.dedup();
        let mut keys = calls.iter().map(|&call| self.calls[call].key);
        let first = keys.next();
        let key = first.filter(|first| keys.all(|key| key == *first)).and_then(|key| self.keys[key]);
        let operations = calls.iter().map(|&call| self.calls[call].operation);
        let events = operations.flat_map(|operation| [Some(operation.invoke), operation.completion]);
        let mut events: Vec<Event> = events.flatten().cloned().collect();
        events.sort_by_key(|event| event.index);
        Witness { key: key.map(str::to_owned), reason, events }
    }

    /// Calls and returns in the order of the history.
    pub(super) fn moments(&self) -> Vec<(usize, Moment)> {
        let calls = self.calls.iter().enumerate();
        let mut moments: Vec<(usize, Moment)> = calls
            .flat_map(|(at, call)| {
                let ret = call.ret().map(|ret| (ret, Moment::Return(at)));
                std::iter::once((call.operation.call, Moment::Call(at))).chain(ret)
            })
            .collect();
        moments.sort_unstable_by_key(|moment| moment.0);
        moments
    }
}

/// A call is made or returns: its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Call(usize),
    Return(usize),
}

fn named_user(invoke: &Event) -> Option<&str> {
    invoke.extra.iter().find(|(column, text)| column == "user" && !text.is_empty()).map(|(_, text)| text.as_str())
}
