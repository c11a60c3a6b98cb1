//! One set's elements, and the reads that showed or missed them.

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::LocalReads;
use crate::history::{Operation, Outcome};

/// The end of what never happened.
const NEVER: usize = usize::MAX;

/// One element.
pub(super) struct Element<'h> {
    pub(super) value: &'h Value,
    /// Its addition; of several the one acknowledged first, or else the first that may have happened.
    pub(super) added: Operation<'h>,
    /// Position of the first call that may have added it.
    begun: usize,
    /// Position from which on it is known.
    known: usize,
    /// The latest read that showed it, by the position of its call.
    pub(super) shown: Option<Operation<'h>>,
    /// The read with which it became known, if that was before an acknowledgement.
    pub(super) first_shown: Option<Operation<'h>>,
    /// The latest read that missed it.
    pub(super) missed: Option<Operation<'h>>,
}

/// What was found out about an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Known and never missed.
    Ok,
    /// Missed and shown again.
    Stale,
    /// Missed for good.
    Lost,
    /// Acknowledged and never looked for.
    NeverRead,
    /// It may never have been added, and nobody saw it.
    Unknown,
}

impl Element<'_> {
    pub(super) fn fate(&self) -> Fate {
        match (&self.missed, &self.shown) {
            (Some(missed), Some(shown)) if missed.call < shown.call => Fate::Stale,
            (Some(_), _) => Fate::Lost,
            (None, Some(_)) => Fate::Ok,
            (None, None) if self.known < NEVER => Fate::NeverRead,
            (None, None) => Fate::Unknown,
        }
    }

    /// Whether only a read told that it had been added.
    pub(super) fn is_recovered(&self) -> bool {
        self.added.outcome() == Outcome::Info && self.shown.is_some()
    }
}

/// A read that showed what was never added.
pub(super) struct Phantom<'h> {
    pub(super) value: &'h Value,
    pub(super) read: Operation<'h>,
    /// The addition that makes no difference: it failed, or began after the read.
    pub(super) added: Option<Operation<'h>>,
}

/// One set.
pub(super) struct Elements<'h> {
    pub(super) elements: Vec<Element<'h>>,
    pub(super) phantoms: Vec<Phantom<'h>>,
    /// How many reads succeeded.
    pub(super) reads: usize,
}

/// Something of each element. Natural numbers are what elements mostly are, and need no text to be looked up.
struct Names<T> {
    naturals: FxHashMap<u64, T>,
    others: FxHashMap<String, T>,
}

impl<T: Copy> Names<T> {
    fn new() -> Self {
        Names { naturals: FxHashMap::default(), others: FxHashMap::default() }
    }

    fn get(&self, value: &Value) -> Option<T> {
        match value.as_u64() {
            Some(natural) => self.naturals.get(&natural).copied(),
            None => self.others.get(&value.to_string()).copied(),
        }
    }

    /// What is there already, or else this.
    fn get_or_insert(&mut self, value: &Value, new: T) -> T {
        match value.as_u64() {
            Some(natural) => *self.naturals.entry(natural).or_insert(new),
            None => *self.others.entry(value.to_string()).or_insert(new),
        }
    }
}

/// A read that succeeded, with the numbers of the elements that it showed.
struct Read<'h> {
    operation: Operation<'h>,
    shown: Vec<usize>,
}

impl<'h> Elements<'h> {
    /// Reads one key's operations. The error names the events.
    pub(super) fn new(operations: &[Operation<'h>], local: LocalReads) -> Result<Self, String> {
        let mut set = Elements { elements: Vec::new(), phantoms: Vec::new(), reads: 0 };
        let mut refused = Names::new();
        let numbers = set.additions(operations, &mut refused)?;
        let mut reads = Vec::new();
        for operation in operations.iter().filter(|operation| operation.outcome() == Outcome::Ok) {
            let judged = match (operation.f(), local) {
                ("add", _) => continue,
                ("read", _) | (_, LocalReads::AreJudged) => true,
                (_, LocalReads::MayBeStale) => false,
            };
            let shown = set.read(operation, &numbers, &refused)?;
            set.reads += 1;
            if judged {
                reads.push(Read { operation: *operation, shown });
            }
        }
        set.find_missed(&reads);
        Ok(set)
    }

    fn additions(
        &mut self,
        operations: &[Operation<'h>],
        refused: &mut Names<Operation<'h>>,
    ) -> Result<Names<usize>, String> {
        let mut numbers = Names::new();
        for operation in operations {
            if !matches!(operation.f(), "add" | "read" | "read-local") {
                let (events, f) = (operation.events(), operation.f());
                return Err(format!("{events}: a set expected `add`, `read` or `read-local`, found `{f}`"));
            }
            if operation.f() != "add" {
                continue;
            }
            let value = &operation.invoke.value;
            if operation.outcome() == Outcome::Fail {
                refused.get_or_insert(value, *operation);
                continue;
            }
            let acknowledged = operation.ret.filter(|_| operation.outcome() == Outcome::Ok).unwrap_or(NEVER);
            let number = numbers.get_or_insert(value, self.elements.len());
            match self.elements.get_mut(number) {
                None => self.elements.push(Element {
                    value,
                    added: *operation,
                    begun: operation.call,
                    known: acknowledged,
                    shown: None,
                    first_shown: None,
                    missed: None,
                }),
                Some(element) if acknowledged < element.known => {
                    element.known = acknowledged;
                    element.added = *operation;
                }
                Some(_) => {}
            }
        }
        Ok(numbers)
    }

    /// Notes what a read showed.
    fn read(
        &mut self,
        read: &Operation<'h>,
        numbers: &Names<usize>,
        refused: &Names<Operation<'h>>,
    ) -> Result<Vec<usize>, String> {
        let (Some(completion), Some(ret)) = (read.completion, read.ret) else { return Ok(Vec::new()) };
        let Some(values) = completion.value.as_array() else {
            let (events, found) = (read.events(), &completion.value);
            return Err(format!("{events}: a read of a set expected a list of elements, found `{found}`"));
        };
        let mut shown = Vec::with_capacity(values.len());
        for value in values {
            let number = numbers.get(value);
            let Some(element) = number.map(|number| &mut self.elements[number]).filter(|known| known.begun < ret)
            else {
                let later = number.map(|number| self.elements[number].added);
                let added = later.or_else(|| refused.get(value));
                self.phantoms.push(Phantom { value, read: *read, added });
                continue;
            };
            if ret < element.known {
                element.known = ret;
                element.first_shown = Some(*read);
            }
            if element.shown.is_none_or(|shown| shown.call < read.call) {
                element.shown = Some(*read);
            }
            shown.extend(number);
        }
        Ok(shown)
    }

    /// A read has missed something if it shows fewer known elements than there were when it began.
    fn find_missed(&mut self, reads: &[Read<'h>]) {
        let mut by_known: Vec<usize> = (0..self.elements.len()).collect();
        by_known.sort_unstable_by_key(|&number| self.elements[number].known);
        // Which read saw an element last, so that one shown twice counts once.
        let mut seen_by = vec![NEVER; self.elements.len()];
        for (turn, read) in reads.iter().enumerate() {
            let call = read.operation.call;
            let mut known_and_shown = 0;
            for &number in &read.shown {
                let first = std::mem::replace(&mut seen_by[number], turn) != turn;
                known_and_shown += usize::from(first && self.elements[number].known < call);
            }
            let known = by_known.partition_point(|&number| self.elements[number].known < call);
            if known_and_shown == known {
                continue;
            }
            for &number in by_known[..known].iter().filter(|&&number| seen_by[number] != turn) {
                let missed = &mut self.elements[number].missed;
                if missed.is_none_or(|missed| missed.call < call) {
                    *missed = Some(read.operation);
                }
            }
        }
    }
}
