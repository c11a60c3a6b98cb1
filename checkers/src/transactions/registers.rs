//! One key of registers: what is known of the order of its versions, what is wrong with its reads, and what follows.
//!
//! A register does not show what was in it before, so its order is known in part only:
//!
//! * Nothing comes before the state in which nothing was written.
//! * A transaction that reads a version and then writes installs one that comes after it. In a serializable history
//!   nothing else is possible, and any store whose objects each go from version to version behaves so.
//! * With [`Inference::Sequential`]: what a process meets of a key it meets in the order of versions.
//! * With [`Inference::Linearizable`]: what a transaction left, or found, comes before what one found that was called
//!   after the first had returned. So each key by itself is assumed to be linearizable; a stale read is then an
//!   anomaly of the data.
//!
//! The last two are assumptions about the system, which it must have promised. The order is a graph; what a cycle in it
//! shows is an anomaly itself, and nothing more is inferred from that key's versions then.
//!
//! A history without an anomaly need not be serializable: the order of two versions that nobody read and wrote over
//! is not known.

use rustc_hash::{FxHashMap, FxHashSet};

use super::Inference;
use super::anomaly::Class;
use super::components::components;
use super::dependencies::{Edge, Findings, Graph, Relation, Relations};
use super::log::{Act, Code, Key, Log, NEVER, Txn, number};
use super::writes::{Ambiguous, Write, Writes};
use crate::history::Outcome;

/// The number of a version; 0 is that of nothing.
type Version = u32;

/// Why one version comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// The transaction read the one and wrote the other.
    ReadThenWritten(Txn),
    /// The process of both met them in this order.
    Process(Txn, Txn),
    /// The first returned before the second was called.
    RealTime(Txn, Txn),
}

/// A committed transaction's dealings with a key.
struct Visit {
    txn: Txn,
    found: Option<Version>,
    left: Option<Version>,
}

impl Visit {
    fn start(&self) -> Option<Version> {
        self.found.or(self.left)
    }

    fn end(&self) -> Option<Version> {
        self.left.or(self.found)
    }
}

/// What is known of a key.
pub(super) struct Versions {
    writes: Writes,
    /// The value of each version and who installed it; nothing has neither.
    pub(super) installed: Vec<(Option<Code>, Option<Txn>)>,
    /// Who read each version from others.
    pub(super) readers: Vec<Vec<Txn>>,
    /// Which comes before which.
    pub(super) order: Vec<(Version, Version, Why)>,
}

impl Versions {
    pub(super) fn of(
        log: &Log,
        micros: &[u32],
        happened: &[bool],
        inference: Inference,
    ) -> Result<Versions, Ambiguous> {
        let writes = Writes::of(log, micros)?;
        let mut installed = vec![(None, None)];
        let mut numbers: FxHashMap<Code, Version> = FxHashMap::default();
        for &micro in micros {
            let micro = &log.micros[micro as usize];
            let Act::Write(value) = micro.act else { continue };
            let is_installed = |write: &Write| write.last && write.txn == micro.txn;
            if happened[micro.txn as usize] && writes.get(value).filter(is_installed).is_some() {
                numbers.insert(value, number(installed.len()));
                installed.push((Some(value), Some(micro.txn)));
            }
        }
        let mut versions =
            Versions { writes, readers: vec![Vec::new(); installed.len()], installed, order: Vec::new() };
        let visits = versions.visits(log, micros, &numbers);
        versions.infer(log, visits, inference);
        Ok(versions)
    }

    fn visits(&mut self, log: &Log, micros: &[u32], numbers: &FxHashMap<Code, Version>) -> Vec<Visit> {
        let mut visits = Vec::new();
        for own in micros.chunk_by(|one, other| log.micros[*one as usize].txn == log.micros[*other as usize].txn) {
            let txn = log.micros[own[0] as usize].txn;
            if !log.committed(txn) {
                continue;
            }
            let found = match log.micros[own[0] as usize].act {
                Act::Value(None) => Some(0),
                Act::Value(Some(value)) => numbers.get(&value).copied(),
                Act::Write(_) | Act::List { .. } => None,
            };
            let is_write = |micro: &&u32| matches!(log.micros[**micro as usize].act, Act::Write(_));
            let left = own.iter().rev().find(is_write).and_then(|&micro| match log.micros[micro as usize].act {
                Act::Write(value) => numbers.get(&value).copied(),
                _ => None,
            });
            if let Some(found) = found {
                self.readers[found as usize].push(txn);
            }
            visits.push(Visit { txn, found, left });
        }
        visits
    }

    fn infer(&mut self, log: &Log, mut visits: Vec<Visit>, inference: Inference) {
        for visit in &visits {
            if let (Some(found), Some(left)) = (visit.found, visit.left) {
                self.order.push((found, left, Why::ReadThenWritten(visit.txn)));
            }
        }
        visits.sort_unstable_by_key(|visit| visit.txn);
        match inference {
            Inference::Certain => {}
            Inference::Sequential => self.infer_sequential(log, &visits),
            Inference::Linearizable => self.infer_linearizable(log, &visits),
        }
        self.order.retain(|(before, after, _)| before != after);
        self.order.sort_unstable();
        self.order.dedup_by_key(|(before, after, _)| (*before, *after));
    }

    fn infer_sequential(&mut self, log: &Log, visits: &[Visit]) {
        let mut last: FxHashMap<u32, &Visit> = FxHashMap::default();
        for visit in visits {
            if let Some(before) = last.insert(log.txns[visit.txn as usize].process, visit) {
                self.follow(before, visit, Why::Process(before.txn, visit.txn));
            }
        }
    }

    /// Those that returned and that no other returned one follows come right before the next one that is called.
    fn infer_linearizable(&mut self, log: &Log, visits: &[Visit]) {
        let mut moments: Vec<(u32, usize, bool)> = Vec::with_capacity(2 * visits.len());
        for (at, visit) in visits.iter().enumerate().filter(|(_, visit)| visit.end().is_some()) {
            let txn = &log.txns[visit.txn as usize];
            moments.push((txn.call, at, false));
            moments.push((txn.ret, at, true));
        }
        moments.sort_unstable();
        let mut frontier: Vec<usize> = Vec::new();
        for (_, at, returns) in moments {
            if returns {
                let call = log.txns[visits[at].txn as usize].call;
                frontier.retain(|&before| log.txns[visits[before].txn as usize].ret > call);
                frontier.push(at);
            } else {
                for &before in &frontier {
                    let (before, after) = (&visits[before], &visits[at]);
                    self.follow(before, after, Why::RealTime(before.txn, after.txn));
                }
            }
        }
    }

    fn follow(&mut self, before: &Visit, after: &Visit, why: Why) {
        if let (Some(end), Some(start)) = (before.end(), after.start()) {
            self.order.push((end, start, why));
        }
    }

    /// Whether a version comes before itself, and a few of those that do.
    fn circle(&self) -> Option<Vec<Version>> {
        let edges: Vec<Edge> = self
            .order
            .iter()
            .map(|&(from, to, _)| Edge { from, to, relation: Relation::Ww })
            .chain((1..number(self.installed.len())).map(|to| Edge { from: 0, to, relation: Relation::Ww }))
            .collect();
        let graph = Graph::new(self.installed.len(), &edges);
        components(&graph, Relations::of(&[Relation::Ww])).cyclic.into_iter().next()
    }

    /// Those that come right after the state in which nothing was written, as far as is known.
    pub(super) fn first(&self) -> Vec<Txn> {
        let mut follows = vec![false; self.installed.len()];
        for &(before, after, _) in &self.order {
            follows[after as usize] |= before != 0;
        }
        let first = self.installed.iter().zip(follows).filter(|(_, follows)| !follows);
        first.filter_map(|((_, txn), _)| *txn).collect()
    }
}

/// All that a key shows.
pub(super) fn examine(
    log: &Log,
    key: Key,
    micros: &[u32],
    (happened, inference): (&[bool], Inference),
    findings: &mut Findings,
) {
    let versions = match Versions::of(log, micros, happened, inference) {
        Ok(versions) => versions,
        Err(ambiguous) => return findings.unclear.push(ambiguous.tell(log, key)),
    };
    let mut updates: FxHashMap<Version, Txn> = FxHashMap::default();
    for own in micros.chunk_by(|one, other| log.micros[*one as usize].txn == log.micros[*other as usize].txn) {
        if log.committed(log.micros[own[0] as usize].txn) {
            transaction(log, key, own, &versions.writes, findings);
        }
    }
    for (version, readers) in versions.readers.iter().enumerate() {
        if let Some(writer) = versions.installed[version].1 {
            readers.iter().for_each(|&reader| findings.edge(writer, reader, Relation::Wr));
        }
    }
    for &(found, _, why) in &versions.order {
        let Why::ReadThenWritten(txn) = why else { continue };
        if let Some(other) = updates.insert(found, txn) {
            let at = log.txns[txn as usize].ret.max(log.txns[other as usize].ret);
            findings.sightings.note(Class::LostUpdate, at, || {
                let (key, value) = (log.show_key(key), show(log, versions.installed[found as usize].0));
                (vec![other, txn], format!("T1 and T2 both read {key} = {value} and then wrote it"))
            });
        }
    }
    if let Some(circle) = versions.circle() {
        return note_circle(log, key, &versions, &circle, findings);
    }
    depend(&versions, findings);
}

/// Dependencies from the order of the versions.
fn depend(versions: &Versions, findings: &mut Findings) {
    let writers: FxHashSet<Txn> = versions.installed.iter().filter_map(|(_, txn)| *txn).collect();
    // Who read it and wrote is an updater: under any level that forbids lost updates it wrote first.
    let relation = |reader: Txn| if writers.contains(&reader) { Relation::Update } else { Relation::Rw };
    let sources = |version: Version| {
        let readers = versions.readers[version as usize].iter().map(|&reader| (reader, relation(reader)));
        let writer = versions.installed[version as usize].1.map(|writer| (writer, Relation::Ww));
        readers.chain(writer).collect::<Vec<_>>()
    };
    let after_nothing = sources(0);
    if !after_nothing.is_empty() {
        findings.fan(&after_nothing, &versions.first());
    }
    for same in versions.order.chunk_by(|one, other| one.0 == other.0).filter(|same| same[0].0 != 0) {
        let targets: Vec<Txn> = same.iter().filter_map(|&(_, after, _)| versions.installed[after as usize].1).collect();
        findings.fan(&sources(same[0].0), &targets);
    }
}

fn note_circle(log: &Log, key: Key, versions: &Versions, circle: &[Version], findings: &mut Findings) {
    let is_in = |version: &Version| circle.contains(version);
    let inside = || versions.order.iter().filter(|(before, after, _)| is_in(before) && is_in(after));
    let at =
        inside().flat_map(|(_, _, why)| why.txns()).map(|txn| log.txns[txn as usize].ret).filter(|&at| at != NEVER);
    findings.sightings.note(Class::CyclicVersions, at.max().unwrap_or_default(), || {
        let mut txns: Vec<Txn> = Vec::new();
        let mut words = Vec::new();
        for (before, after, why) in inside().take(FEW) {
            let names: Vec<String> = why.txns().map(|txn| name(&mut txns, txn)).collect();
            let value = |version: &Version| show(log, versions.installed[*version as usize].0);
            words.push(format!("{} before {}, as {}", value(before), value(after), why.tell(&names)));
        }
        (txns, format!("the versions of {}: {}", log.show_key(key), words.join("; ")))
    });
}

/// So many steps of a circle are told.
const FEW: usize = 8;

fn name(txns: &mut Vec<Txn>, txn: Txn) -> String {
    let place = txns.iter().position(|other| *other == txn).unwrap_or_else(|| {
        txns.push(txn);
        txns.len() - 1
    });
    format!("T{}", place + 1)
}

impl Why {
    fn txns(self) -> impl Iterator<Item = Txn> {
        let (one, other) = match self {
            Why::ReadThenWritten(txn) => (txn, None),
            Why::Process(one, other) | Why::RealTime(one, other) => (one, Some(other)),
        };
        [Some(one), other].into_iter().flatten()
    }

    fn tell(self, names: &[String]) -> String {
        match (self, names) {
            (Why::Process(..), [one, other]) => format!("one process met the first in {one} and the second in {other}"),
            (Why::RealTime(..), [one, other]) => {
                format!("{one} met the first and returned before {other}, which met the second, was called")
            }
            _ => format!("{} read the first and wrote the second", names.join(", ")),
        }
    }
}

/// Whether a transaction agrees with itself and with who wrote what it read.
fn transaction(log: &Log, key: Key, micros: &[u32], writes: &Writes, findings: &mut Findings) {
    let mut expected: Option<(Option<Code>, &str)> = None;
    for &micro in micros {
        let micro = &log.micros[micro as usize];
        let (txn, at) = (micro.txn, log.txns[micro.txn as usize].ret);
        let value = match micro.act {
            Act::Write(value) => {
                expected = Some((Some(value), "wrote"));
                continue;
            }
            Act::Value(value) => value,
            Act::List { .. } => continue,
        };
        if let Some((before, did)) = expected.filter(|(before, _)| *before != value) {
            findings.sightings.note(Class::Internal, at, || {
                let (key, before, value) = (log.show_key(key), show(log, before), show(log, value));
                (vec![txn], format!("of {key}, T1 {did} {before}, and then read {value}"))
            });
        } else if expected.is_none() && value.and_then(|value| writes.get(value)).is_some_and(|write| write.txn == txn)
        {
            findings.sightings.note(Class::Internal, at, || {
                let (key, value) = (log.show_key(key), show(log, value));
                (vec![txn], format!("T1 read {key} = {value}, and only then wrote it"))
            });
        }
        expected = Some((value, "read"));
        if let Some(value) = value {
            origin(log, key, txn, value, writes, findings);
        }
    }
}

/// What is read was written, by who did not abort and did not write over it.
fn origin(log: &Log, key: Key, txn: Txn, value: Code, writes: &Writes, findings: &mut Findings) {
    let at = log.txns[txn as usize].ret;
    let read = || format!("T1 read {} = {}", log.show_key(key), log.codes.show(value));
    let sightings = &mut findings.sightings;
    match writes.get(value) {
        None => sightings.note(Class::GarbageRead, at, || (vec![txn], format!("{}, which nobody ever wrote", read()))),
        Some(write) if log.txns[write.txn as usize].outcome == Outcome::Fail => {
            sightings
                .note(Class::G1a, at, || (vec![txn, write.txn], format!("{}, which T2 wrote, and failed", read())));
        }
        Some(write) if !write.last && write.txn != txn => {
            let words = || (vec![txn, write.txn], format!("{}, which T2 wrote, and then wrote over", read()));
            sightings.note(Class::G1b, at, words);
            findings.edge(write.txn, txn, Relation::Wr);
        }
        Some(_) => {}
    }
}

/// A value, or nothing.
pub(super) fn show(log: &Log, value: Option<Code>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| log.codes.show(value))
}
