//! Why one transaction comes before another, in words.

use rustc_hash::FxHashSet;

use super::Kind;
use super::dependencies::Relation;
use super::lists::Order;
use super::log::{Act, Code, Key, Log, Micro, Txn};
use super::registers::{self, Versions, Why};
use super::writes::ByKey;
use super::{Inference, log::Slice};

/// So many elements of a list are shown, the last ones.
const SHOWN: usize = 12;

/// A list, its end if it is long.
pub(super) fn list(log: &Log, elements: &[Code]) -> String {
    let left_out = elements.len().saturating_sub(SHOWN);
    let dots = if left_out > 0 { Some("..".to_owned()) } else { None };
    let shown = elements[left_out..].iter().map(|&element| log.codes.show(element));
    format!("[{}]", dots.into_iter().chain(shown).collect::<Vec<_>>().join(" "))
}

/// A few elements in a sentence.
pub(super) fn several(log: &Log, elements: &[Code]) -> String {
    elements.iter().map(|&element| log.codes.show(element)).collect::<Vec<_>>().join(" and ")
}

/// A transaction's micro-operations, as far as they are known.
pub(super) fn transaction(log: &Log, kind: Kind, txn: Txn) -> String {
    let write = match kind {
        Kind::ListAppend => "append",
        Kind::RwRegister => "w",
    };
    let micros = log.micros_of(txn);
    let own = |upto: usize, key: Key| micros[..upto].iter().filter(move |micro| micro.key == key).filter_map(written);
    let one = |(at, micro): (usize, &Micro)| {
        let key = log.show_key(micro.key);
        match micro.act {
            Act::Write(value) => format!("{write} {key} {}", log.codes.show(value)),
            Act::List { base, own: count } => {
                let own: Vec<Code> = own(at, micro.key).take(count as usize).collect();
                format!("r {key} {}", list(log, &log.whole(base, &own)))
            }
            Act::Value(value) => format!("r {key} {}", registers::show(log, value)),
        }
    };
    let more = if micros.len() > SHOWN { ", .." } else { "" };
    micros.iter().enumerate().take(SHOWN).map(one).collect::<Vec<_>>().join(", ") + more
}

fn written(micro: &Micro) -> Option<Code> {
    match micro.act {
        Act::Write(value) => Some(value),
        Act::List { .. } | Act::Value(_) => None,
    }
}

/// What is needed to explain.
pub(super) struct Story<'l> {
    pub(super) log: &'l Log,
    pub(super) by_key: &'l ByKey,
    pub(super) happened: &'l [bool],
    pub(super) kind: Kind,
    pub(super) inference: Inference,
}

impl Story<'_> {
    /// What shows that the data puts one before the other; the transactions have these names.
    pub(super) fn tell(&self, from: (Txn, &str), relation: Relation, to: (Txn, &str)) -> Option<String> {
        let log = self.log;
        let theirs: FxHashSet<Key> = log.micros_of(to.0).iter().map(|micro| micro.key).collect();
        let mut keys: Vec<Key> = log.micros_of(from.0).iter().map(|micro| micro.key).collect();
        keys.retain(|key| theirs.contains(key));
        keys.dedup();
        keys.into_iter().find_map(|key| match self.kind {
            Kind::ListAppend => self.of_list(key, from, relation, to),
            Kind::RwRegister => self.of_register(key, from, relation, to),
        })
    }

    fn of_list(&self, key: Key, from: (Txn, &str), relation: Relation, to: (Txn, &str)) -> Option<String> {
        let log = self.log;
        let order = Order::of(log, key, self.by_key.of(key), self.happened).ok()?;
        let (one, other, name) = (from.1, to.1, log.show_key(key));
        let shown = |place: u32| log.codes.show(order.list[place as usize]);
        let behind = |txn: Txn| {
            let mut appended = self.writes(txn, key).filter(|value| !order.list.contains(value));
            order.unseen.contains(&txn).then(|| appended.next()).flatten()
        };
        match relation {
            Relation::Ww => {
                let mut pairs = order.known.windows(2).map(|pair| (pair[0], pair[1]));
                if let Some(((at, _), (next, _))) = pairs.find(|(a, b)| (a.1, b.1) == (from.0, to.0)) {
                    return Some(format!(
                        "{one} appended {} to {name}, and {other} {} behind it",
                        shown(at),
                        shown(next)
                    ));
                }
                let &(at, last) = order.known.last().filter(|last| last.1 == from.0)?;
                let (last, element) = (shown(at), log.codes.show(behind(to.0).filter(|_| last == from.0)?));
                Some(format!("{one} appended {last} to {name}, and {other} {element}, which no read has, so behind it"))
            }
            Relation::Wr => self.reads(&order, to.0, key).find_map(|(slice, found)| {
                let (at, writer) = order.last(slice.len)?;
                let element = shown(at);
                (writer == from.0).then(|| format!("{other} read {name} = {found}, where {element} is {one}'s"))
            }),
            Relation::Rw | Relation::Update => self.reads(&order, from.0, key).find_map(|(slice, found)| {
                let missed = match order.next(slice.len) {
                    Some((at, writer)) => (writer == to.0).then(|| shown(at)),
                    None => behind(to.0).map(|element| log.codes.show(element)),
                };
                let and = if relation == Relation::Update { ", appended to it" } else { "" };
                Some(format!("{one} read {name} = {found}{and} and did not see {}, which {other} appended", missed?))
            }),
            _ => None,
        }
    }

    fn writes(&self, txn: Txn, key: Key) -> impl Iterator<Item = Code> {
        let micros = self.log.micros_of(txn).iter().filter(move |micro| micro.key == key);
        micros.filter_map(written)
    }

    /// The reads of a key that agree with its order: without what the reader appended, and all of it in words.
    fn reads(&self, order: &Order<'_>, txn: Txn, key: Key) -> impl Iterator<Item = (Slice, String)> {
        let micros = self.log.micros_of(txn).iter().filter(move |micro| micro.key == key);
        micros.filter_map(move |micro| match micro.act {
            Act::List { base, own } if base.len <= order.agreement(self.log, base.branch) => {
                let own: Vec<Code> = self.writes(txn, key).take(own as usize).collect();
                Some((base, list(self.log, &self.log.whole(base, &own))))
            }
            _ => None,
        })
    }

    fn of_register(&self, key: Key, from: (Txn, &str), relation: Relation, to: (Txn, &str)) -> Option<String> {
        let log = self.log;
        let versions = Versions::of(log, self.by_key.of(key), self.happened, self.inference).ok()?;
        let (one, other, name) = (from.1, to.1, log.show_key(key));
        let value = |version: u32| registers::show(log, versions.installed[version as usize].0);
        let writer = |version: u32| versions.installed[version as usize].1;
        let has_read = |version: u32, txn: Txn| versions.readers[version as usize].contains(&txn);
        let why = |why: Why, before: u32, after: u32| match why {
            Why::ReadThenWritten(txn) if txn == to.0 => {
                format!("{other} read {} and wrote {}", value(before), value(after))
            }
            Why::ReadThenWritten(_) => format!("who wrote {} had read {}", value(after), value(before)),
            Why::Process(..) => format!("one process met {} before {}", value(before), value(after)),
            Why::RealTime(..) => format!("{} was met before {}", value(before), value(after)),
        };
        let mut after = versions.order.iter().filter(|(_, after, _)| writer(*after) == Some(to.0));
        match relation {
            Relation::Ww => {
                let &(a, b, reason) = after.find(|(before, _, _)| writer(*before) == Some(from.0))?;
                Some(format!("{one} wrote {name} = {}, and {}", value(a), why(reason, a, b)))
            }
            Relation::Wr => {
                let written = self.writes(from.0, key).find(|written| {
                    log.micros_of(to.0).iter().any(|micro| micro.key == key && micro.act == Act::Value(Some(*written)))
                })?;
                Some(format!("{other} read {name} = {}, which {one} wrote", log.codes.show(written)))
            }
            Relation::Rw | Relation::Update => {
                if let Some(&(a, b, reason)) = after.find(|(before, _, _)| has_read(*before, from.0)) {
                    return Some(format!("{one} read {name} = {}, and {}", value(a), why(reason, a, b)));
                }
                let written = has_read(0, from.0).then(|| self.writes(to.0, key).last()).flatten()?;
                Some(format!(
                    "{one} read {name} before anything was written, and {other} wrote {}",
                    log.codes.show(written)
                ))
            }
            _ => None,
        }
    }
}
