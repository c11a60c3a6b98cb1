//! By what a history is to be judged, as far as its operations tell by their names and values.
//!
//! A guess is made while the history is read, and widens: `read` and `write` are those of a register until a `cas` comes.
//! So [`judge`] begins with what the first events tell, and again where a later one does not fit.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::ops::ControlFlow;

use serde_json::Value;

use crate::checker::Checker;
use crate::history::{Event, Kind, Process, ReadError, Recording};
use crate::judgement::Judgement;
use crate::linearizability::Limits;
use crate::model::Parameters;

/// What was seen so far of the clients' operations.
#[derive(Clone, Debug, Default)]
pub struct Guess {
    names: BTreeSet<String>,
    signs: BTreeSet<Sign>,
    /// The name of the last event, which is nearly always known.
    last: String,
    checker: Option<Checker>,
}

/// What a value tells that a name does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    /// A step `["append", key, element]` of a transaction.
    Append,
    /// Another step of one, `["r", key, value]` or `["w", key, value]`.
    Step,
    /// A lock was granted with a token.
    Token,
    /// A read returned two lists.
    TwoLists,
    /// A read returned a number.
    Number,
}

/// Names that go together, and the checker of operations that have some of them and no others, if it needs no sign.
const BY_NAMES: [(&[&str], &str); 16] = [
    (&["read", "write"], "register"),
    (&["read", "write", "cas"], "cas-register"),
    (&["acquire", "release"], "mutex"),
    (&["acquire", "prove", "release"], "fenced-mutex"),
    (&["acquire-read", "release-read", "acquire-write", "release-write"], "read-write-lock"),
    (&["add", "read", "read-local"], "set"),
    (&["add", "remove", "contains"], "lin-set"),
    (&["enqueue", "dequeue"], "queue"),
    (&["push", "pop"], "stack"),
    (&["insert", "poll"], "priority-queue"),
    (&["get", "put", "append"], "kv"),
    (&["generate"], "ids"),
    (&["increment", "decrement", "add", "read"], "counter"),
    (&["grant", "renew", "check", "revoke"], "lease"),
    (&["read", "write", "hop"], "session"),
    (&["txn"], "rw-register"),
];

impl Guess {
    /// Takes the next event; true if the guess is another now.
    pub fn push(&mut self, event: &Event) -> bool {
        if event.process == Process::Nemesis {
            return false;
        }
        let is_new_name = event.f != self.last && {
            event.f.clone_into(&mut self.last);
            self.names.insert(event.f.clone())
        };
        let is_new_sign = sign(event).is_some_and(|sign| self.signs.insert(sign));
        if !is_new_name && !is_new_sign {
            return false;
        }
        let thought = self.think().and_then(|name| name.parse().ok());
        std::mem::replace(&mut self.checker, thought) != thought
    }

    /// What judges all that was seen so far, if anything known does.
    #[must_use]
    pub fn checker(&self) -> Option<Checker> {
        self.checker
    }

    fn think(&self) -> Option<&'static str> {
        let shows = |sign| self.signs.contains(&sign);
        if shows(Sign::Append) {
            return Some("list-append");
        }
        if shows(Sign::Step) {
            return Some("rw-register");
        }
        let fits = |names: &[&str]| self.names.iter().all(|name| names.contains(&name.as_str()));
        match BY_NAMES.iter().find(|(names, _)| fits(names))?.1 {
            "register" if shows(Sign::TwoLists) => Some("pairs"),
            "mutex" if shows(Sign::Token) => Some("fenced-mutex"),
            "set" if shows(Sign::Number) => Some("counter"),
            name => Some(name),
        }
    }
}

fn sign(event: &Event) -> Option<Sign> {
    match &event.value {
        Value::Array(items) => step(items).or_else(|| {
            let are_two_lists = items.len() == 2 && items.iter().all(Value::is_array);
            (are_two_lists && answers(event, "read")).then_some(Sign::TwoLists)
        }),
        Value::Null => None,
        Value::Number(_) if answers(event, "read") => Some(Sign::Number),
        _ => answers(event, "acquire").then_some(Sign::Token),
    }
}

/// What the steps of a transaction tell; one that only reads may be of either kind.
fn step(items: &[Value]) -> Option<Sign> {
    let steps = items.iter().filter_map(Value::as_array).filter(|step| step.len() == 3);
    let names = || steps.clone().filter_map(|step| step[0].as_str());
    if names().any(|name| name == "append") {
        return Some(Sign::Append);
    }
    names().any(|name| matches!(name, "r" | "w")).then_some(Sign::Step)
}

fn answers(event: &Event, f: &str) -> bool {
    event.kind == Kind::Ok && event.f == f
}

/// A judgement, and of what.
#[derive(Clone, Debug, PartialEq)]
pub struct Guessed {
    /// What judged.
    pub checker: Checker,
    /// What it says.
    pub judgement: Judgement,
}

/// From so many events a first guess is made, before the check begins.
const STRETCH: u64 = 10_000;

/// Judges a file by what its operations tell that they are. None if they do not tell, or contradict each other.
///
/// # Errors
/// What stopped the reading before anything could be guessed.
pub fn judge<R: Read, F: Fn() -> io::Result<R>>(
    recording: &Recording<F>,
    parameters: &Parameters,
    limits: &Limits,
) -> Result<Option<Guessed>, ReadError> {
    let mut guess = Guess::default();
    let mut seen = 0;
    let damage = recording.play_while(&mut |event| {
        guess.push(event);
        seen += 1;
        if seen < STRETCH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    while let Some(checker) = guess.checker() {
        let mut checking = checker.begin_with(parameters, limits);
        let played = recording.play_while(&mut |event| {
            if guess.push(event) {
                return ControlFlow::Break(());
            }
            checking.push(event);
            ControlFlow::Continue(())
        });
        if guess.checker() == Some(checker) {
            let judgement = checking.finish(recording).damaged(played);
            return Ok(Some(Guessed { checker, judgement }));
        }
    }
    damage.map(|()| None)
}
