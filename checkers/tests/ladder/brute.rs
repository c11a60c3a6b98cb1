//! The definitions of the levels, tried out: every order of the operations, every order of the writes, every pair.

use std::collections::BTreeMap;

use grudge_checkers::history::{History, Operation, Outcome};
use grudge_checkers::ladder::Level;
use serde_json::Value;

pub struct Brute<'h> {
    operations: Vec<Operation<'h>>,
    versioned: bool,
}

fn happened(operation: &Operation<'_>) -> bool {
    operation.outcome() == Outcome::Ok
}

fn written<'h>(operation: &Operation<'h>) -> Option<&'h Value> {
    match operation.f() {
        "write" => Some(&operation.invoke.value),
        "cas" => Some(&operation.invoke.value[1]),
        _ => None,
    }
}

/// Of what surely happened.
fn found<'h>(operation: &Operation<'h>) -> Option<&'h Value> {
    match operation.f() {
        "read" => operation.completion.map(|completion| &completion.value),
        "cas" => Some(&operation.invoke.value[0]),
        _ => None,
    }
}

fn version(operation: &Operation<'_>) -> Option<i64> {
    operation.completion.filter(|_| happened(operation)).and_then(|completion| completion.version)
}

fn returned_before(one: &Operation<'_>, other: &Operation<'_>) -> bool {
    happened(one) && one.ret.is_some_and(|ret| ret < other.call)
}

fn user(operation: &Operation<'_>) -> String {
    let named = operation.invoke.extra.iter().find(|(column, _)| column == "user");
    named.map_or_else(|| format!("process {}", operation.process()), |(_, user)| user.clone())
}

/// What one operation may not be newer than, of another.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Saw,
    Wrote,
}

fn sides(level: Level) -> (Side, Side) {
    match level {
        Level::ReadYourWrites => (Side::Wrote, Side::Saw),
        Level::MonotonicWrites => (Side::Wrote, Side::Wrote),
        Level::WritesFollowReads => (Side::Saw, Side::Wrote),
        _ => (Side::Saw, Side::Saw),
    }
}

const GUARANTEES: [Level; 5] = [
    Level::ReadYourWrites,
    Level::MonotonicReads,
    Level::MonotonicWrites,
    Level::WritesFollowReads,
    Level::MonotonicPerUser,
];

/// How new something is in an order of the writes: nothing is before them all.
type Age = i64;

/// An order that is being made: who is in it, what each key holds and with which version, which versions were learnt.
#[derive(Clone)]
struct Sequence {
    done: Vec<bool>,
    holds: BTreeMap<Option<String>, usize>,
    /// Of the writes, in order.
    order: Vec<usize>,
    learnt: BTreeMap<usize, i64>,
}

impl<'h> Brute<'h> {
    pub fn new(history: &'h History) -> Self {
        let operations = history.operations().expect("it pairs");
        let matters = |operation: &Operation<'_>| match operation.outcome() {
            Outcome::Ok => true,
            Outcome::Fail => false,
            Outcome::Info => written(operation).is_some(),
        };
        let operations: Vec<Operation<'h>> = operations.into_iter().filter(matters).collect();
        let versioned = operations.iter().any(|operation| version(operation).is_some());
        Brute { operations, versioned }
    }

    /// Whether the level holds, if its definition says so.
    pub fn holds(&self, level: Level) -> Option<bool> {
        match level {
            Level::Linearizable => Some(self.has_order(returned_before)),
            Level::Sequential => {
                Some(self.has_order(|one, other| one.process() == other.process() && returned_before(one, other)))
            }
            Level::Convergent => self.converges(),
            guarantee if self.versioned => Some(self.keeps_versions(guarantee)),
            guarantee => self.fits(guarantee),
        }
    }

    fn has_order(&self, before: fn(&Operation<'_>, &Operation<'_>) -> bool) -> bool {
        let done = vec![false; self.operations.len()];
        let sequence = Sequence { done, holds: BTreeMap::new(), order: Vec::new(), learnt: BTreeMap::new() };
        self.extend(before, &sequence)
    }

    fn extend(&self, before: fn(&Operation<'_>, &Operation<'_>) -> bool, sequence: &Sequence) -> bool {
        let left: Vec<usize> = (0..self.operations.len()).filter(|&at| !sequence.done[at]).collect();
        if left.iter().all(|&at| !happened(&self.operations[at])) {
            return true;
        }
        left.iter().any(|&at| {
            let waits = left.iter().any(|&other| before(&self.operations[other], &self.operations[at]));
            !waits && self.step(at, sequence).is_some_and(|next| self.extend(before, &next))
        })
    }

    fn step(&self, at: usize, sequence: &Sequence) -> Option<Sequence> {
        let operation = &self.operations[at];
        let mut next = sequence.clone();
        next.done[at] = true;
        let key = operation.key().map(str::to_owned);
        let holds = sequence.holds.get(&key).copied();
        let value = holds.map_or(&Value::Null, |write| written(&self.operations[write]).expect("a write"));
        if found(operation).is_some_and(|found| found != value) {
            return None;
        }
        if operation.f() == "read" && self.versioned {
            match (version(operation), holds) {
                (Some(_), _) if value.is_null() => {}
                (Some(version), Some(write)) => drop(next.learnt.insert(write, version)),
                (Some(_), None) => return None,
                (None, Some(_)) if value.is_null() => return None,
                (None, _) => {}
            }
            if holds.is_some_and(|write| sequence.learnt.get(&write).is_some_and(|known| next.learnt[&write] != *known))
            {
                return None;
            }
        }
        if written(operation).is_some() {
            next.holds.insert(key, at);
            next.order.push(at);
            next.learnt.extend(version(operation).map(|version| (at, version)));
        }
        // The versions that are known grow.
        let known: Vec<i64> = next.order.iter().filter_map(|write| next.learnt.get(write)).copied().collect();
        known.is_sorted_by(|one, other| one < other).then_some(next)
    }

    fn keeps_versions(&self, level: Level) -> bool {
        let (first, then) = sides(level);
        let age = |side: Side, operation: &Operation<'_>| -> Option<Age> {
            match (side, operation.f()) {
                (Side::Saw, "write") | (Side::Wrote, "read") => None,
                (_, "read") if found(operation) == Some(&Value::Null) => Some(version(operation).unwrap_or(i64::MIN)),
                _ => version(operation),
            }
        };
        self.pairs(level).all(|(one, other)| match (age(first, one), age(then, other)) {
            (Some(one), Some(other)) => one < other || (one == other && then == Side::Saw),
            _ => true,
        })
    }

    /// All pairs of which one comes before the other, as far as this level asks.
    fn pairs(&self, level: Level) -> impl Iterator<Item = (&Operation<'h>, &Operation<'h>)> {
        let by_key = !matches!(level, Level::MonotonicWrites | Level::WritesFollowReads);
        let together = move |one: &Operation<'_>, other: &Operation<'_>| match level {
            Level::MonotonicPerUser => user(one) == user(other),
            _ => one.process() == other.process(),
        };
        let all = self.operations.iter().flat_map(|one| self.operations.iter().map(move |other| (one, other)));
        all.filter(move |(one, other)| {
            together(one, other) && returned_before(one, other) && (!by_key || one.key() == other.key())
        })
    }

    /// Whether some order of the writes fits this guarantee and those above it that hold.
    fn fits(&self, level: Level) -> Option<bool> {
        let writes: Vec<usize> =
            (0..self.operations.len()).filter(|&at| written(&self.operations[at]).is_some()).collect();
        let clear = self.operations.iter().filter(|operation| happened(operation)).all(|operation| {
            found(operation).is_none_or(|value| {
                let sources = writes.iter().filter(|&&write| self.is_source(write, operation, value)).count();
                sources == usize::from(!value.is_null())
            })
        });
        let mut orders = permutations(&writes);
        for guarantee in GUARANTEES {
            let mut fitting = orders.clone();
            fitting.retain(|order| self.fits_order(guarantee, order));
            if guarantee == level {
                return if fitting.is_empty() { Some(false) } else { clear.then_some(true) };
            }
            if !fitting.is_empty() {
                orders = fitting;
            }
        }
        None
    }

    fn is_source(&self, write: usize, reader: &Operation<'_>, value: &Value) -> bool {
        let write = &self.operations[write];
        write.key() == reader.key() && written(write) == Some(value)
    }

    fn fits_order(&self, level: Level, order: &[usize]) -> bool {
        let (first, then) = sides(level);
        let age = |side: Side, operation: &Operation<'_>| -> Option<Age> {
            let value = match side {
                Side::Wrote => written(operation)?,
                Side::Saw => found(operation).filter(|_| happened(operation))?,
            };
            if side == Side::Wrote {
                return order
                    .iter()
                    .position(|&write| self.operations[write].call == operation.call)
                    .map(|at| at as Age);
            }
            let mut sources = (0..order.len()).filter(|&at| self.is_source(order[at], operation, value));
            match (sources.next(), sources.next()) {
                (None, None) if value.is_null() => Some(-1),
                (Some(source), None) if !value.is_null() => Some(source as Age),
                _ => None,
            }
        };
        let fits = |one: &Operation<'_>, other: &Operation<'_>| match (age(first, one), age(then, other)) {
            (Some(one), Some(other)) if first == Side::Saw && then == Side::Wrote => one < other,
            (Some(one), Some(other)) => one <= other,
            _ => true,
        };
        let itself = level != Level::WritesFollowReads
            || self.operations.iter().all(|operation| operation.f() != "cas" || fits(operation, operation));
        itself && self.pairs(level).all(|(one, other)| fits(one, other))
    }

    fn converges(&self) -> Option<bool> {
        let mut compared = false;
        let mut doubtful = false;
        for key in self.operations.iter().map(Operation::key) {
            let here: Vec<&Operation<'_>> = self.operations.iter().filter(|operation| operation.key() == key).collect();
            let updates: Vec<&&Operation<'_>> = here.iter().filter(|operation| written(operation).is_some()).collect();
            let Some(quiet) = updates.iter().map(|update| update.ret.unwrap_or(update.call)).max() else { continue };
            let reads: Vec<&&Operation<'_>> =
                here.iter().filter(|operation| operation.f() == "read" && operation.call > quiet).collect();
            let node =
                |read: &Operation<'_>| read.node().map_or_else(|| format!("process {}", read.process()), str::to_owned);
            let last =
                |read: &&&&Operation<'_>| !reads.iter().any(|other| node(other) == node(read) && other.ret > read.ret);
            let lasts: Vec<&&&Operation<'_>> = reads.iter().filter(last).collect();
            for one in &lasts {
                for other in &lasts {
                    compared |= node(one) != node(other);
                    if found(one) == found(other) {
                        continue;
                    }
                    let lost = |read: &Operation<'_>| {
                        updates.iter().any(|update| !happened(update) && written(update) == found(read))
                    };
                    if !lost(one) && !lost(other) {
                        return Some(false);
                    }
                    doubtful = true;
                }
            }
        }
        (compared && !doubtful).then_some(true)
    }
}

fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    let Some((first, rest)) = of.split_first() else { return vec![Vec::new()] };
    let shorter = permutations(rest);
    shorter
        .iter()
        .flat_map(|order| {
            (0..=order.len()).map(|at| {
                let mut order = order.clone();
                order.insert(at, *first);
                order
            })
        })
        .collect()
}
