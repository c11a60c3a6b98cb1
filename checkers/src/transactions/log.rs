//! Transactions kept small: 20 bytes each, 24 a micro-operation, and each list once, however often it was read.
//!
//! Reads of a list that grows are beginnings of one another. So a key has *branches*, lists of which none that was tried is
//! the beginning of another, and a read is a branch and a length. A key of which all reads agree has one branch.

use rustc_hash::FxHashMap;
use serde_json::Value;
use smallvec::SmallVec;

use crate::history::{Outcome, Process};

/// The number of a transaction; they are numbered in the order of their calls.
pub(super) type Txn = u32;
/// The number of a key.
pub(super) type Key = u32;
/// The position of an event in the history; [`NEVER`] if there is none.
pub(super) type Position = u32;

/// The end of what has none.
pub(super) const NEVER: Position = u32::MAX;

/// Naturals below this are their own code; the codes from here on are those of texts.
const TEXTS: u64 = 1 << 63;

/// A JSON value, as a number that is good for comparing and hashing. Equal values have equal codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Code(u64);

/// The values behind the codes.
#[derive(Debug, Default)]
pub(super) struct Codes {
    texts: Vec<Box<str>>,
    by_text: FxHashMap<Box<str>, u64>,
}

impl Codes {
    pub(super) fn code(&mut self, value: &Value) -> Code {
        if let Some(natural) = value.as_u64().filter(|&natural| natural < TEXTS) {
            return Code(natural);
        }
        let text = value.to_string();
        if let Some(&code) = self.by_text.get(text.as_str()) {
            return Code(code);
        }
        let code = TEXTS | self.texts.len() as u64;
        self.texts.push(text.as_str().into());
        self.by_text.insert(text.into(), code);
        Code(code)
    }

    /// The value as JSON.
    pub(super) fn show(&self, code: Code) -> String {
        match code.0 < TEXTS {
            true => code.0.to_string(),
            false => self.texts[(code.0 & !TEXTS) as usize].to_string(),
        }
    }
}

/// One transaction.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) process: u32,
    pub(super) call: Position,
    /// Of its completion, whatever that said.
    pub(super) ret: Position,
    pub(super) outcome: Outcome,
    /// Where its micro-operations begin.
    pub(super) first: u32,
}

/// A part of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Micro {
    pub(super) txn: Txn,
    pub(super) key: Key,
    pub(super) act: Act,
}

/// What a micro-operation does. Of transactions that did not surely commit only the writes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// An append to a list, or a write of a register.
    Write(Code),
    /// A list was read: this, and behind it as many elements as its transaction had appended to it by then.
    List { base: Slice, own: u32 },
    /// A register was read; nothing was in it if there is no value.
    Value(Option<Code>),
}

/// The beginning of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) branch: u32,
    pub(super) len: u32,
}

/// So many branches are tried before a read gets one of its own: a key whose reads all differ costs no square.
const TRIED: usize = 8;

/// All transactions of a history.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) txns: Vec<Transaction>,
    pub(super) micros: Vec<Micro>,
    pub(super) codes: Codes,
    keys: Vec<Code>,
    numbers: FxHashMap<Code, Key>,
    /// Each list that was read; the first is the empty one, which all keys share.
    branches: Vec<Vec<Code>>,
    /// The other branches of each key.
    of_key: Vec<SmallVec<[u32; 1]>>,
    /// What the last committed transaction that appended to each key has appended to it so far.
    appended: Vec<(Txn, SmallVec<[Code; 1]>)>,
    processes: FxHashMap<Process, u32>,
    names: Vec<Process>,
}

impl Log {
    pub(super) fn key(&mut self, value: &Value) -> Key {
        let code = self.codes.code(value);
        let next = number(self.keys.len());
        *self.numbers.entry(code).or_insert_with(|| {
            self.keys.push(code);
            self.of_key.push(SmallVec::new());
            self.appended.push((Txn::MAX, SmallVec::new()));
            next
        })
    }

    /// How many keys there are.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn process(&mut self, process: Process) -> u32 {
        let next = number(self.names.len());
        *self.processes.entry(process).or_insert_with(|| {
            self.names.push(process);
            next
        })
    }

    /// How many processes there are.
    pub(super) fn processes(&self) -> usize {
        self.names.len()
    }

    pub(super) fn process_name(&self, txn: Txn) -> Process {
        self.names[self.txns[txn as usize].process as usize]
    }

    /// Remembers what a transaction appends, to know it in its reads.
    pub(super) fn append(&mut self, txn: Txn, key: Key, element: Code) {
        let appended = &mut self.appended[key as usize];
        if appended.0 != txn {
            appended.0 = txn;
            appended.1.clear();
        }
        appended.1.push(element);
    }

    /// Remembers a list that was read. What the reader itself has appended before is at its end and nobody else's
    /// business: where it will come to stand was not yet decided.
    pub(super) fn read(&mut self, txn: Txn, key: Key, elements: &[Value]) -> Act {
        let Log { codes, appended, .. } = self;
        let (who, own) = &appended[key as usize];
        let count = if *who == txn { own.len().min(elements.len()) } else { 0 };
        let (base, end) = elements.split_at(elements.len() - count);
        match count > 0 && own.iter().eq(end.iter().map(|element| codes.code(element)).collect::<Vec<_>>().iter()) {
            true => Act::List { base: self.base(key, base), own: number(count) },
            false => Act::List { base: self.base(key, elements), own: 0 },
        }
    }

    fn base(&mut self, key: Key, elements: &[Value]) -> Slice {
        let len = number(elements.len());
        if self.branches.is_empty() {
            self.branches.push(Vec::new());
        }
        if len == 0 {
            return Slice { branch: 0, len };
        }
        let Log { codes, branches, of_key, .. } = self;
        let of_key = &mut of_key[key as usize];
        for &branch in of_key.iter().take(TRIED) {
            let list = &mut branches[branch as usize];
            let common = list.len().min(elements.len());
            if (0..common).all(|at| codes.code(&elements[at]) == list[at]) {
                list.extend(elements[common..].iter().map(|element| codes.code(element)));
                return Slice { branch, len };
            }
        }
        let branch = number(branches.len());
        branches.push(elements.iter().map(|element| codes.code(element)).collect());
        of_key.push(branch);
        Slice { branch, len }
    }

    pub(super) fn list(&self, slice: Slice) -> &[Code] {
        &self.branches[slice.branch as usize][..slice.len as usize]
    }

    pub(super) fn branch(&self, branch: u32) -> &[Code] {
        &self.branches[branch as usize]
    }

    /// The branches of a key, without the empty one.
    pub(super) fn branches_of(&self, key: Key) -> &[u32] {
        &self.of_key[key as usize]
    }

    pub(super) fn committed(&self, txn: Txn) -> bool {
        self.txns[txn as usize].outcome == Outcome::Ok
    }

    pub(super) fn micros_of(&self, txn: Txn) -> &[Micro] {
        let first = self.txns[txn as usize].first as usize;
        let rest = &self.micros[first.min(self.micros.len())..];
        let len = rest.iter().take_while(|micro| micro.txn == txn).count();
        &rest[..len]
    }

    /// The whole list of a read, of which the reader had appended this much.
    pub(super) fn whole(&self, base: Slice, own: &[Code]) -> Vec<Code> {
        [self.list(base), own].concat()
    }

    /// The key as an explanation calls it: text without its quotes.
    pub(super) fn show_key(&self, key: Key) -> String {
        let text = self.codes.show(self.keys[key as usize]);
        serde_json::from_str::<String>(&text).unwrap_or(text)
    }
}

/// A count as a number of 32 bits.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).expect("a history that fits into memory has fewer than 2^32 parts")
}
