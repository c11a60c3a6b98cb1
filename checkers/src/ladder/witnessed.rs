//! Linearizable or sequential, with versions as witnesses: in n log n.
//!
//! Versions fix the order of all writes. What is left to place are the reads: one of version v of a key comes after that
//! version's write and before the next of that key. So each operation gets a *place*, a version: that of a write is its
//! own; that of a read is the newest of what it read and of the places of all that comes before it, in real time or in
//! its session. These are the least places that keep the order. There is a legal order if and only if each write's own
//! place is above all that comes before it, and each read's place is below the next version of its key: then sorting by
//! place, each write before the reads that share its place, and these by their calls, is legal.
//!
//! A compare-and-set has besides to have found the value of the version before its own.
//!
//! What succeeded without a version is left out: what the rest contradicts is a contradiction all the same, but what it
//! does not may be one. The write of a value that a read found, and that nobody is known to have written, is the one of
//! unknown outcome with that value, if there is one only.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::record::{Act, Moment, Record};
use crate::model::Datum;
use crate::verdict::Witness;

/// Which order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// What returned comes before what was called later.
    RealTime,
    /// The same within each session.
    Session,
}

/// What was found.
pub(super) enum Walk {
    /// There is a legal order.
    Order,
    /// There is none.
    Broken(Witness),
    /// Nothing contradicts the rest, but this could not be placed.
    Gap(usize),
}

/// Before every version.
const NOTHING: i64 = i64::MIN;

/// One version of a key.
#[derive(Clone, Copy)]
struct Version {
    value: Datum,
    /// The call that shows it: its write, or else a read.
    shown: usize,
    /// Its write, if that is known.
    write: Option<usize>,
}

/// Looks for a legal order that keeps the versions'.
pub(super) fn walk(record: &Record<'_>, pace: Pace) -> Walk {
    let mut versions = match Versions::read(record) {
        Ok(versions) => versions,
        Err(witness) => return Walk::Broken(witness),
    };
    if let Err(witness) = versions.check_compared().and_then(|()| versions.place(pace)) {
        return Walk::Broken(witness);
    }
    versions.gap.map_or(Walk::Order, Walk::Gap)
}

struct Versions<'r, 'h> {
    record: &'r Record<'h>,
    /// Of each key.
    keys: Vec<BTreeMap<i64, Version>>,
    /// The version of each call: its own, or that of what it read.
    of: Vec<Option<i64>>,
    /// Who wrote what.
    writers: FxHashMap<(usize, Datum), Vec<usize>>,
    /// The first that cannot be placed.
    gap: Option<usize>,
}

impl<'r, 'h> Versions<'r, 'h> {
    /// Which versions there were.
    fn read(record: &'r Record<'h>) -> Result<Self, Witness> {
        let mut versions = Versions {
            record,
            keys: record.keys.iter().map(|_| BTreeMap::new()).collect(),
            of: record.calls.iter().map(|call| call.version).collect(),
            writers: FxHashMap::default(),
            gap: None,
        };
        for (at, call) in record.calls.iter().enumerate() {
            let Some(value) = call.act.produces() else { continue };
            versions.writers.entry((call.key, value)).or_default().push(at);
            let Some(version) = call.version else { continue };
            let new = Version { value, shown: at, write: Some(at) };
            if let Some(other) = versions.keys[call.key].insert(version, new) {
                let (one, two) = (record.who(other.shown), record.who(at));
                let reason = format!("two writes have the same version: {one}, and {two}");
                return Err(record.witness(reason, [other.shown, at]));
            }
        }
        for (at, call) in record.calls.iter().enumerate() {
            let (Act::Read(value), Some(version)) = (call.act, call.version) else { continue };
            if value == record.nothing {
                versions.of[at] = None;
                continue;
            }
            let new = Version { value, shown: at, write: None };
            let known = *versions.keys[call.key].entry(version).or_insert(new);
            if known.value != value {
                let (one, other) = (record.who(known.shown), record.who(at));
                let reason = format!("one version has two values: {one}, and {other}");
                return Err(record.witness(reason, [known.shown, at]));
            }
        }
        versions.find_lost_writes()?;
        versions.find_sources();
        Ok(versions)
    }

    /// Reads without a version are of the only write of what they read. Then all that happened has a version, or there is
    /// a gap.
    fn find_sources(&mut self) {
        for (at, call) in self.record.calls.iter().enumerate() {
            if let (Act::Read(value), None) = (call.act, self.of[at]) {
                let is_nothing = value == self.record.nothing;
                self.of[at] = match self.writers.get(&(call.key, value)).map_or(&[][..], Vec::as_slice) {
                    [] if is_nothing && call.version.is_none() => Some(NOTHING),
                    [write] if !is_nothing => self.of[*write],
                    _ => None,
                };
            }
            if call.happened && self.of[at].is_none() {
                self.gap.get_or_insert(at);
            }
        }
    }

    /// Versions that only reads show were written by somebody who does not know.
    fn find_lost_writes(&mut self) -> Result<(), Witness> {
        let record = self.record;
        for (key, versions) in self.keys.iter_mut().enumerate() {
            let mut taken: FxHashMap<usize, usize> = FxHashMap::default();
            for (version, seen) in versions.iter_mut().filter(|(_, seen)| seen.write.is_none()) {
                let writers = self.writers.get(&(key, seen.value)).into_iter().flatten().copied();
                let lost: Vec<usize> = writers.filter(|&write| record.calls[write].version.is_none()).collect();
                match &lost[..] {
                    [] => {
                        let reason = format!("{}, which no write can have got", record.who(seen.shown));
                        return Err(record.witness(reason, [seen.shown]));
                    }
                    [write] => {
                        if let Some(other) = taken.insert(*write, seen.shown) {
                            let (one, two) = (record.who(other), record.who(seen.shown));
                            let reason = format!("two versions of what was written once: {one}, and {two}");
                            return Err(record.witness(reason, [other, seen.shown, *write]));
                        }
                        seen.write = Some(*write);
                        self.of[*write] = Some(*version);
                    }
                    _ => drop(self.gap.get_or_insert(seen.shown)),
                }
            }
        }
        Ok(())
    }

    /// Each compare-and-set found the value of the version before, or what updates left there that nobody else saw.
    fn check_compared(&mut self) -> Result<(), Witness> {
        let keys = std::mem::take(&mut self.keys);
        for (key, versions) in keys.iter().enumerate() {
            let mut before: Option<Version> = None;
            for (number, version) in versions {
                let found = before.map_or(self.record.nothing, |before| before.value);
                if let Some(write) = version.write.filter(|&write| !self.explains(key, *number, write, found)) {
                    return Err(self.not_found(write, *number, version.shown, before));
                }
                before = Some(*version);
            }
        }
        self.keys = keys;
        Ok(())
    }

    /// Whether an update of this version can have come after this value. Hidden updates get the same version: they were
    /// just before it.
    fn explains(&mut self, key: usize, number: i64, update: usize, found: Datum) -> bool {
        let mut next = update;
        while let Act::Cas(old, _) = self.record.calls[next].act
            && old != found
        {
            let writers = self.writers.get(&(key, old)).into_iter().flatten().copied();
            let hidden: Vec<usize> = writers.filter(|&writer| self.of[writer].is_none()).collect();
            match hidden[..] {
                [] => return false,
                [only] if !self.record.calls[only].happened => {
                    self.of[only] = Some(number);
                    next = only;
                }
                _ => {
                    self.gap.get_or_insert(update);
                    return true;
                }
            }
        }
        true
    }

    fn not_found(&self, write: usize, number: i64, shown: usize, before: Option<Version>) -> Witness {
        let then = before.map_or("nothing was there".to_owned(), |before| self.record.who(before.shown));
        let reason = format!("{}, but before its version {number} {then}", self.record.who(write));
        self.record.witness(reason, before.map(|before| before.shown).into_iter().chain([write, shown]))
    }

    /// Gives each call its place.
    fn place(&self, pace: Pace) -> Result<(), Witness> {
        let record = self.record;
        // The newest place so far and whose it is: of all, or of each session.
        let mut newest: Vec<(i64, Option<usize>)> =
            vec![(NOTHING, None); if pace == Pace::RealTime { 1 } else { record.sessions }];
        let whose = |at: usize| if pace == Pace::RealTime { 0 } else { record.calls[at].session };
        let mut before: Vec<(i64, Option<usize>)> = vec![(NOTHING, None); record.calls.len()];
        for (_, moment) in record.moments() {
            match moment {
                Moment::Call(at) => {
                    before[at] = newest[whose(at)];
                    if !record.calls[at].happened {
                        self.check(at, before[at])?;
                    }
                }
                Moment::Return(at) => {
                    self.check(at, before[at])?;
                    let newest = &mut newest[whose(at)];
                    let own = self.of[at].filter(|own| *own > newest.0);
                    *newest = own.map_or(*newest, |own| (own, Some(at)));
                }
            }
        }
        Ok(())
    }

    /// Whether a call can be after all that comes before it.
    fn check(&self, at: usize, (place, by): (i64, Option<usize>)) -> Result<(), Witness> {
        let record = self.record;
        let (Some(version), Some(by)) = (self.of[at], by) else { return Ok(()) };
        let told = |more: &str| format!("{}, although {} before that began{more}", record.who(at), record.who(by));
        let versions = &self.keys[record.calls[at].key];
        if record.calls[at].act.produces().is_some() {
            let shown = versions.get(&version).map_or(at, |version| version.shown);
            return match place < version {
                true => Ok(()),
                false => Err(record.witness(told(""), [at, by, shown])),
            };
        }
        let above = (std::ops::Bound::Excluded(version), std::ops::Bound::Unbounded);
        match versions.range(above).next() {
            Some((next, Version { shown, .. })) if *next <= place => {
                let more =
                    if *shown == by { String::new() } else { format!("; between the two, {}", record.who(*shown)) };
                Err(record.witness(told(&more), [at, by, *shown]))
            }
            _ => Ok(()),
        }
    }
}
