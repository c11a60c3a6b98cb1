//! Checks that watch a system while it runs: they answer at the moment of a violation that nothing to come can mend, and
//! what they remember is bounded by the *window*, that is by what is open at a time and what was called meanwhile.
//!
//! | watch | asks | and remembers besides the window |
//! |---|---|---|
//! | [`registers`](Watch::registers) | whether registers with compare-and-set are linearizable, of which every value is written once | each key's present value, and updates of unknown outcome that nobody saw |
//! | [`fenced_mutexes`](Watch::fenced_mutexes) | whether fenced locks are linearizable | each key's present token |
//! | [`sessions`](Watch::sessions) | the [session guarantees](crate::session), by versions | of each living session what it saw last of each key |
//!
//! A watch that meets something outside its precondition, such as a value written twice, watches that key no longer, and
//! says so at the end: then what it has not found invalid is unknown. What it calls invalid, the check of the whole
//! history calls invalid, too; the converse holds where the precondition does. Both are fuzzed.

mod fenced;
mod register;
mod session;
mod zones;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::history::{Event, HistoryError, Kind, Operation, Outcome, Pairing, Process, Tape};
use crate::judgement::{Checking, Judgement};
use crate::verdict::{Verdict, Witness};

pub use register::Reads;

/// A check that watches.
pub struct Watch {
    watcher: Box<dyn Watcher>,
    pairing: Pairing,
    operations: usize,
    state: State,
}

enum State {
    Watching,
    Broken(Witness),
    /// The history cannot be read any further.
    Lost(HistoryError),
}

impl Watch {
    /// Watches registers.
    #[must_use]
    pub fn registers(reads: Reads) -> Watch {
        Watch::of(register::Registers::new(reads))
    }

    /// Watches fenced locks.
    #[must_use]
    pub fn fenced_mutexes() -> Watch {
        Watch::of(fenced::Fences::default())
    }

    /// Watches sessions.
    #[must_use]
    pub fn sessions() -> Watch {
        Watch::of(session::Sessions::default())
    }

    fn of(watcher: impl Watcher + 'static) -> Watch {
        Watch { watcher: Box::new(watcher), pairing: Pairing::default(), operations: 0, state: State::Watching }
    }

    /// How much it remembers: values, tokens, open calls and the like.
    #[must_use]
    pub fn remembers(&self) -> usize {
        self.watcher.remembers()
    }

    fn take(&mut self, event: &Event) -> Option<Witness> {
        let at = self.pairing.position();
        self.watcher.sees(event);
        let (watcher, operations) = (&mut self.watcher, &mut self.operations);
        let mut broken = None;
        let paired = self.pairing.push(event, |operation| {
            *operations += 1;
            broken = watcher.ended(operation);
        });
        if let Err(error) = paired {
            self.state = State::Lost(error);
        } else if event.kind == Kind::Invoke && event.process != Process::Nemesis {
            self.watcher.called(event, at);
        }
        broken
    }
}

impl Checking for Watch {
    fn push(&mut self, event: &Event) -> Option<Witness> {
        if !matches!(self.state, State::Watching) {
            return None;
        }
        let witness = self.take(event)?;
        self.state = State::Broken(witness.clone());
        Some(witness)
    }

    fn finish(mut self: Box<Self>, _: &dyn Tape) -> Judgement {
        if let (State::Watching, Some(witness)) = (&self.state, self.watcher.over()) {
            self.state = State::Broken(witness);
        }
        let verdict = match (self.state, self.watcher.doubt()) {
            (State::Broken(witness), _) => Verdict::Invalid { witness },
            (State::Lost(error), _) => Verdict::Unknown { reason: error.to_string() },
            (State::Watching, Some(reason)) => Verdict::Unknown { reason },
            (State::Watching, None) => Verdict::Valid,
        };
        Judgement::bare(verdict, self.operations)
    }
}

/// What is watched for.
trait Watcher: Send {
    /// Any event at all, before anything else is made of it.
    fn sees(&mut self, _event: &Event) {}

    /// A client made a call, at this position.
    fn called(&mut self, invoke: &Event, at: usize);

    /// A call ended. Answers with the violation that this made.
    fn ended(&mut self, operation: &Operation<'_>) -> Option<Witness>;

    /// Nothing is to come: what is open is never answered. Answers with the violation that this makes.
    fn over(&mut self) -> Option<Witness> {
        None
    }

    /// Why not everything could be watched.
    fn doubt(&self) -> Option<String>;

    /// How much is remembered.
    fn remembers(&self) -> usize;
}

/// Something of each key.
struct ByKey<T> {
    named: FxHashMap<Box<str>, T>,
    keyless: Option<T>,
}

impl<T> Default for ByKey<T> {
    fn default() -> Self {
        ByKey { named: FxHashMap::default(), keyless: None }
    }
}

impl<T> ByKey<T> {
    fn get(&mut self, key: Option<&str>) -> Option<&mut T> {
        match key {
            Some(key) => self.named.get_mut(key),
            None => self.keyless.as_mut(),
        }
    }

    fn set(&mut self, key: Option<&str>, value: T) {
        match key {
            Some(key) => drop(self.named.insert(key.into(), value)),
            None => self.keyless = Some(value),
        }
    }

    fn values(&self) -> impl Iterator<Item = &T> {
        self.named.values().chain(&self.keyless)
    }
}

/// What is watched of one key.
enum Watched<T> {
    /// It is watched.
    Yes(Box<T>),
    /// It is not for here any more.
    No,
}

/// Keys that are watched each by itself.
struct Keys<T> {
    keys: ByKey<Watched<T>>,
    doubt: Option<String>,
}

impl<T> Default for Keys<T> {
    fn default() -> Self {
        Keys { keys: ByKey::default(), doubt: None }
    }
}

impl<T: Default> Keys<T> {
    /// A call was made: the key begins to be watched, if it is new.
    fn called(&mut self, invoke: &Event, take: impl FnOnce(&mut T) -> Result<(), String>) {
        let key = invoke.key.as_deref();
        if self.keys.get(key).is_none() {
            self.keys.set(key, Watched::Yes(Box::default()));
        }
        let Some(Watched::Yes(object)) = self.keys.get(key) else { return };
        if let Err(why) = take(object) {
            self.give_up(key, &why);
        }
    }

    /// A call ended, where it had been made.
    fn ended(
        &mut self,
        operation: &Operation<'_>,
        take: impl FnOnce(&mut T) -> Result<Result<(), Violation>, String>,
    ) -> Option<Witness> {
        let key = operation.invoke.key.as_deref();
        if operation.key() != key {
            let why = format!("{}: the call does not say its key", operation.events());
            self.give_up(key, &why);
            self.give_up(operation.key(), &why);
            return None;
        }
        let Some(Watched::Yes(object)) = self.keys.get(key) else { return None };
        match take(object) {
            Ok(Ok(())) => None,
            Ok(Err(Violation { reason, shown })) => Some(witness(key, reason, &shown)),
            Err(why) => {
                self.give_up(key, &why);
                None
            }
        }
    }

    /// A key is watched no longer.
    fn give_up(&mut self, key: Option<&str>, why: &str) {
        let named = key.map_or_else(String::new, |key| format!("key `{key}`: "));
        self.doubt.get_or_insert_with(|| format!("{named}{why}, so it was watched no longer"));
        self.keys.set(key, Watched::No);
    }

    /// What violates its promise, of all keys, the history being over.
    fn over(&self, ask: impl Fn(&T) -> Result<(), Violation>) -> Option<Witness> {
        let named = self.keys.named.iter().map(|(key, watched)| (Some(&**key), watched));
        let keys = named.chain(self.keys.keyless.iter().map(|watched| (None, watched)));
        let witnesses = keys.filter_map(|(key, watched)| {
            let Watched::Yes(object) = watched else { return None };
            let Violation { reason, shown } = ask(object).err()?;
            Some(witness(key, reason, &shown))
        });
        witnesses.min_by_key(|witness| witness.events.last().map(|event| event.index))
    }

    fn watched(&self) -> impl Iterator<Item = &T> {
        self.keys.values().filter_map(|watched| match watched {
            Watched::Yes(object) => Some(&**object),
            Watched::No => None,
        })
    }
}

/// A contradiction, and what shows it.
struct Violation {
    reason: String,
    shown: Vec<Shown>,
}

fn violation<T>(reason: String, shown: impl IntoIterator<Item = Shown>) -> Result<T, Violation> {
    Err(Violation { reason, shown: shown.into_iter().collect() })
}

/// An operation that is remembered to be shown.
#[derive(Clone, Debug)]
struct Shown {
    invoke: Arc<Event>,
    completion: Option<Arc<Event>>,
    call: usize,
    ret: Option<usize>,
}

impl Shown {
    fn of(operation: &Operation<'_>) -> Shown {
        let completion = operation.completion.map(|completion| Arc::new(completion.clone()));
        let invoke = Arc::new(operation.invoke.clone());
        Shown { invoke, completion, call: operation.call, ret: operation.ret }
    }

    fn operation(&self) -> Operation<'_> {
        let (invoke, completion) = (&*self.invoke, self.completion.as_deref());
        Operation { invoke, completion, call: self.call, ret: self.ret }
    }

    /// `process 1 read 7 at n2 (events 4 and 5)`
    fn words(&self) -> String {
        let operation = self.operation();
        let value = match operation.f() {
            "read" | "acquire" => operation.completion.map_or(&operation.invoke.value, |event| &event.value),
            _ => &operation.invoke.value,
        };
        let did = match (operation.f(), value.as_array().map(Vec::as_slice)) {
            ("read", _) => format!("read {value}"),
            ("write", _) => format!("wrote {value}"),
            ("cas", Some([old, new])) => format!("replaced {old} by {new}"),
            ("acquire", _) => format!("acquired with token {value}"),
            ("prove", _) => format!("proved that it holds with token {value}"),
            ("release", _) => format!("released token {value}"),
            (f, _) => format!("did `{f}` of {value}"),
        };
        let perhaps = if operation.outcome() == Outcome::Ok { "" } else { ", with unknown outcome," };
        let node = operation.node().map_or_else(String::new, |node| format!(" at {node}"));
        format!("process {} {did}{perhaps}{node} ({})", operation.process(), operation.events())
    }
}

/// The operations as a witness.
fn witness<'s>(key: Option<&str>, reason: String, shown: impl IntoIterator<Item = &'s Shown>) -> Witness {
    let events = shown.into_iter().flat_map(|shown| [Some(&shown.invoke), shown.completion.as_ref()]);
    let mut events: Vec<Event> = events.flatten().map(|event| Event::clone(event)).collect();
    events.sort_by_key(|event| event.index);
    events.dedup_by_key(|event| event.index);
    Witness { key: key.map(str::to_owned), reason, events }
}
