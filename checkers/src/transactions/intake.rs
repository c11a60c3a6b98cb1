//! Takes a history event by event.
//!
//! Of an `ok` transaction its completion counts, of all others the call, and of that only what it writes: what they read
//! nobody was told. A list that is read as `null` is empty; a register is, too.

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::Kind;
use super::log::{Act, Key, Log, Micro, NEVER, Position, Transaction, Txn, number};
use crate::history::{Event, HistoryError, Kind as Ending, Outcome, Process};

/// A history as far as it was taken.
#[derive(Debug)]
pub(super) struct Intake {
    kind: Kind,
    pub(super) log: Log,
    open: FxHashMap<Process, Open>,
    /// What calls that have ended do not need any more.
    spare: Vec<Vec<Micro>>,
    position: Position,
    /// Why nothing more is taken.
    pub(super) error: Option<String>,
}

/// A transaction that was not answered yet.
#[derive(Debug)]
struct Open {
    txn: Txn,
    index: u64,
    writes: Vec<Micro>,
}

impl Intake {
    pub(super) fn new(kind: Kind) -> Self {
        let (log, open) = (Log::default(), FxHashMap::default());
        Intake { kind, log, open, spare: Vec::new(), position: 0, error: None }
    }

    /// Takes the next event. After one that cannot be read nothing is taken: what was open then stays without an answer.
    pub(super) fn push(&mut self, event: &Event) {
        let position = self.position;
        self.position += 1;
        if event.process == Process::Nemesis || self.error.is_some() {
            return;
        }
        let taken = match event.kind {
            Ending::Invoke => self.begin(event, position),
            _ => self.end(event, position),
        };
        self.error = taken.err();
    }

    fn begin(&mut self, event: &Event, call: Position) -> Result<(), String> {
        if let Some(open) = self.open.get(&event.process) {
            let (f, open) = (event.f.clone(), open.index);
            return Err(HistoryError::Overlap { index: event.index, process: event.process, f, open }.to_string());
        }
        let txn = number(self.log.txns.len());
        let process = self.log.process(event.process);
        let mut writes = self.spare.pop().unwrap_or_default();
        if let Some(micros) = event.value.as_array() {
            for micro in micros {
                let micro =
                    read(self.kind, micro, &mut self.log, (txn, Trust::Writes)).map_err(|p| unreadable(event, &p))?;
                writes.extend(micro.map(|(key, act)| Micro { txn, key, act }));
            }
        }
        self.log.txns.push(Transaction { process, call, ret: NEVER, outcome: Outcome::Info, first: NEVER });
        self.open.insert(event.process, Open { txn, index: event.index, writes });
        Ok(())
    }

    fn end(&mut self, event: &Event, ret: Position) -> Result<(), String> {
        let Some(Open { txn, index, mut writes }) = self.open.remove(&event.process) else {
            let Event { index, process, f, kind, .. } = event.clone();
            return Err(HistoryError::NoCall { index, process, f, kind }.to_string());
        };
        let taken = match event.kind {
            Ending::Ok => self.commit(txn, event),
            _ => {
                self.keep(txn, &writes);
                Ok(())
            }
        };
        if taken.is_err() {
            // It succeeded, but who knows with what: what it was asked to write may be there.
            self.open.insert(event.process, Open { txn, index, writes });
            return taken;
        }
        let transaction = &mut self.log.txns[txn as usize];
        transaction.ret = ret;
        transaction.outcome = match event.kind {
            Ending::Ok => Outcome::Ok,
            Ending::Fail => Outcome::Fail,
            Ending::Info | Ending::Invoke => Outcome::Info,
        };
        writes.clear();
        self.spare.push(writes);
        Ok(())
    }

    fn commit(&mut self, txn: Txn, event: &Event) -> Result<(), String> {
        let first = self.log.micros.len();
        let Some(micros) = event.value.as_array() else {
            return Err(unreadable(event, &format!("expected a list of micro-operations, found {}", event.value)));
        };
        for micro in micros {
            match read(self.kind, micro, &mut self.log, (txn, Trust::All)) {
                Ok(micro) => self.log.micros.extend(micro.map(|(key, act)| Micro { txn, key, act })),
                Err(problem) => {
                    self.log.micros.truncate(first);
                    return Err(unreadable(event, &problem));
                }
            }
        }
        self.log.txns[txn as usize].first = number(first);
        Ok(())
    }

    fn keep(&mut self, txn: Txn, writes: &[Micro]) {
        self.log.txns[txn as usize].first = number(self.log.micros.len());
        self.log.micros.extend_from_slice(writes);
    }

    /// All transactions, those that nobody answered among them, and why there may be more.
    pub(super) fn finish(mut self) -> (Log, Option<String>) {
        let mut open: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
        open.sort_unstable_by_key(|open| open.txn);
        for Open { txn, writes, .. } in open {
            self.keep(txn, &writes);
        }
        self.log.micros.shrink_to_fit();
        (self.log, self.error)
    }
}

fn unreadable(event: &Event, problem: &str) -> String {
    format!("event {}: {problem}", event.index)
}

/// How much of a micro-operation is known to have been.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// What it writes, should it happen.
    Writes,
    /// What it read as well.
    All,
}

/// The key of a micro-operation of a transaction and what it does, if that is known.
fn read(kind: Kind, micro: &Value, log: &mut Log, trust: (Txn, Trust)) -> Result<Option<(Key, Act)>, String> {
    let write = match kind {
        Kind::ListAppend => "append",
        Kind::RwRegister => "w",
    };
    let (f, key, value) = match micro.as_array().map(Vec::as_slice) {
        Some([Value::String(f), key, value]) => (f.as_str(), key, value),
        Some([Value::String(f), key]) if f == "r" => (f.as_str(), key, &Value::Null),
        _ => return Err(format!("expected `[\"{write}\", key, value]` or `[\"r\", key, value]`, found `{micro}`")),
    };
    if f != "r" && f != write {
        return Err(format!("expected `{write}` or `r`, found `{f}`"));
    }
    let (txn, trust) = trust;
    if f == "r" && trust == Trust::Writes {
        return Ok(None);
    }
    let key = log.key(key);
    let act = match (kind, f, value) {
        (Kind::ListAppend, "r", Value::Null) => log.read(txn, key, &[]),
        (Kind::ListAppend, "r", Value::Array(elements)) => log.read(txn, key, elements),
        (Kind::ListAppend, "r", _) => return Err(format!("expected a read of a list, found `{micro}`")),
        (Kind::RwRegister, "r", Value::Null) => Act::Value(None),
        (Kind::RwRegister, "r", value) => Act::Value(Some(log.codes.code(value))),
        (Kind::RwRegister, _, Value::Null) => {
            return Err(format!("`{micro}` writes null, which stands for a register without a value"));
        }
        (Kind::ListAppend, _, element) => {
            let element = log.codes.code(element);
            if trust == Trust::All {
                log.append(txn, key, element);
            }
            Act::Write(element)
        }
        (Kind::RwRegister, _, value) => Act::Write(log.codes.code(value)),
    };
    Ok(Some((key, act)))
}
