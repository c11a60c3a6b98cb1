//! One key of lists: the order of its versions, what is wrong with its reads, and the dependencies that follow.
//!
//! A list shows the order of the appends that made it (Kingsbury and Alvaro, "Elle", 2020, section 4.2), so the longest list
//! read is the order of all that it holds. Appends that happened and are in no read come behind it: a list only
//! grows, and those who read the longest did not see them. Their own order is not known, and nothing follows from it.
//!
//! With that the dependencies decide: if nothing is wrong with the reads of any key, then every order of the
//! transactions that agrees with all dependencies is a legal one. For take a read of a key. The appends of the list that
//! it returned are before it (its last one by write-read, those before that by write-write), and the next one
//! after the list, with all later ones and all that were never read, is behind it (by read-write). So in that order
//! exactly this list is there when it is read; if the reader appended some of it, internal consistency says the rest.

use smallvec::SmallVec;

use super::anomaly::Class;
use super::dependencies::{Findings, Relation};
use super::log::{Act, Code, Key, Log, Micro, Slice, Txn, number};
use super::words::{list as show, several};
use super::writes::{Ambiguous, Write, Writes};

/// The order of a key's versions.
pub(super) struct Order<'l> {
    /// The longest list that was read.
    pub(super) list: &'l [Code],
    pub(super) branch: u32,
    /// The elements whose transactions happened, by their places in the list.
    pub(super) known: Vec<(u32, Txn)>,
    /// The transactions that happened and appended what nobody read.
    pub(super) unseen: Vec<Txn>,
    writes: Writes,
}

impl<'l> Order<'l> {
    pub(super) fn of(log: &'l Log, key: Key, micros: &[u32], happened: &[bool]) -> Result<Self, Ambiguous> {
        let writes = Writes::of(log, micros)?;
        let mut branch = 0;
        for &other in log.branches_of(key) {
            if branch == 0 || log.branch(other).len() > log.branch(branch).len() {
                branch = other;
            }
        }
        let list = if branch == 0 { &[] } else { log.branch(branch) };
        let writer = |element: &Code| writes.get(*element).map(|write| write.txn).filter(|txn| happened[*txn as usize]);
        let known: Vec<(u32, Txn)> = (0..).zip(list).filter_map(|(at, element)| Some((at, writer(element)?))).collect();
        let appends = micros.iter().filter(|&&micro| matches!(log.micros[micro as usize].act, Act::Write(_))).count();
        let mut unseen = Vec::new();
        if appends > known.len() {
            let seen: rustc_hash::FxHashSet<Code> = list.iter().copied().collect();
            for &micro in micros {
                let micro = &log.micros[micro as usize];
                let Act::Write(element) = micro.act else { continue };
                if happened[micro.txn as usize] && !seen.contains(&element) && unseen.last() != Some(&micro.txn) {
                    unseen.push(micro.txn);
                }
            }
        }
        Ok(Order { list, branch, known, unseen, writes })
    }

    /// Who appended the last element of the first `len`.
    pub(super) fn last(&self, len: u32) -> Option<(u32, Txn)> {
        self.after(len).checked_sub(1).map(|at| self.known[at])
    }

    /// Who appended the first element after the first `len`.
    pub(super) fn next(&self, len: u32) -> Option<(u32, Txn)> {
        self.known.get(self.after(len)).copied()
    }

    fn after(&self, len: u32) -> usize {
        self.known.partition_point(|&(at, _)| at < len)
    }

    /// How much of a branch is the beginning of the order.
    pub(super) fn agreement(&self, log: &Log, branch: u32) -> u32 {
        if branch == self.branch {
            return number(self.list.len());
        }
        number(self.list.iter().zip(log.branch(branch)).take_while(|(one, other)| one == other).count())
    }
}

/// Up to where a branch is as it should be.
struct Branch {
    number: u32,
    agrees: u32,
    /// The first place of an element that nobody appended, of an aborted one, of one that is there before.
    garbage: u32,
    aborted: u32,
    twice: u32,
}

impl Branch {
    fn of(log: &Log, order: &Order<'_>, number: u32) -> Branch {
        let agrees = order.agreement(log, number);
        let mut branch = Branch { number, agrees, garbage: u32::MAX, aborted: u32::MAX, twice: u32::MAX };
        let mut seen = rustc_hash::FxHashSet::default();
        for (at, &element) in (0..).zip(log.branch(number)) {
            match order.writes.get(element) {
                None => branch.garbage = branch.garbage.min(at),
                Some(write) if is_aborted(log, write.txn) => branch.aborted = branch.aborted.min(at),
                Some(_) => {}
            }
            if !seen.insert(element) {
                branch.twice = branch.twice.min(at);
            }
        }
        branch
    }
}

fn is_aborted(log: &Log, txn: Txn) -> bool {
    log.txns[txn as usize].outcome == crate::history::Outcome::Fail
}

/// All that a key shows.
pub(super) fn examine(log: &Log, key: Key, micros: &[u32], happened: &[bool], findings: &mut Findings) {
    let order = match Order::of(log, key, micros, happened) {
        Ok(order) => order,
        Err(ambiguous) => return findings.unclear.push(ambiguous.tell(log, key)),
    };
    let branches: SmallVec<[Branch; 1]> =
        log.branches_of(key).iter().map(|&number| Branch::of(log, &order, number)).collect();
    let mut examination =
        Examination { log, key, order, branches, micros, findings, at_end: Vec::new(), updates: Vec::new() };
    let mut rest = micros;
    while let Some(&first) = rest.first() {
        let txn = log.micros[first as usize].txn;
        let len = rest.iter().take_while(|&&micro| log.micros[micro as usize].txn == txn).count();
        let (own, others) = rest.split_at(len);
        if log.committed(txn) {
            examination.transaction(txn, own);
        }
        rest = others;
    }
    examination.versions();
    examination.lost_updates();
}

/// A read as its transaction made it.
struct Read<'w> {
    txn: Txn,
    base: Slice,
    /// What it shows of the transaction's own appends: all that were made before, if it is consistent.
    own: &'w [Code],
    written: &'w [Code],
}

impl Read<'_> {
    fn whole(&self, log: &Log) -> Vec<Code> {
        log.whole(self.base, self.own)
    }
}

struct Examination<'l, 'f> {
    log: &'l Log,
    key: Key,
    order: Order<'l>,
    branches: SmallVec<[Branch; 1]>,
    micros: &'l [u32],
    findings: &'f mut Findings,
    /// Who read the whole order.
    at_end: Vec<Txn>,
    /// Who read so much and then appended.
    updates: Vec<(u32, Txn)>,
}

impl Examination<'_, '_> {
    fn transaction(&mut self, txn: Txn, micros: &[u32]) {
        let log = self.log;
        let mut before: Option<Slice> = None;
        let mut written: SmallVec<[Code; 4]> = SmallVec::new();
        for &micro in micros {
            match log.micros[micro as usize].act {
                Act::Write(element) => {
                    if let Some(slice) = before.filter(|slice| written.is_empty() && self.agrees(*slice)) {
                        self.updates.push((slice.len, txn));
                    }
                    written.push(element);
                }
                Act::List { base, own } => {
                    let read = Read { txn, base, own: &written[..own as usize], written: &written };
                    self.internal(&read, before);
                    self.elements(&read);
                    self.order_of_read(&read);
                    before = Some(base);
                }
                Act::Value(_) => {}
            }
        }
    }

    fn branch(&self, slice: Slice) -> Option<&Branch> {
        let at = self.branches.binary_search_by_key(&slice.branch, |branch| branch.number).ok()?;
        Some(&self.branches[at])
    }

    fn agrees(&self, slice: Slice) -> bool {
        self.branch(slice).is_none_or(|branch| slice.len <= branch.agrees)
    }

    /// A read shows what the same transaction read and appended before, and nothing that it has yet to append.
    fn internal(&mut self, read: &Read<'_>, before: Option<Slice>) {
        let Examination { log, key, .. } = *self;
        let is_same = |before: Slice| before == read.base || log.list(before) == log.list(read.base);
        if read.own.len() < read.written.len() || !before.is_none_or(is_same) {
            return self.findings.sightings.note(Class::Internal, log.txns[read.txn as usize].ret, || {
                let found = before.map(|before| format!("read {}", show(log, log.list(before))));
                let appended = Some(read.written).filter(|written| !written.is_empty());
                let appended = appended.map(|written| format!("appended {}", several(log, written)));
                let before: Vec<String> = found.into_iter().chain(appended).collect();
                let (key, before, found) = (log.show_key(key), before.join(", "), show(log, &read.whole(log)));
                (vec![read.txn], format!("of {key}, T1 {before}, and then read {found}"))
            });
        }
        if let Some((at, _)) =
            self.order.last(read.base.len).filter(|last| self.agrees(read.base) && last.1 == read.txn)
        {
            self.findings.sightings.note(Class::Internal, log.txns[read.txn as usize].ret, || {
                let (key, found) = (log.show_key(key), show(log, &read.whole(log)));
                let own = log.codes.show(self.order.list[at as usize]);
                (vec![read.txn], format!("T1 read {key} = {found}, and only then appended {own}"))
            });
        }
    }

    /// Each element of a read was appended, once, by who did not abort, and its last one was its transaction's last.
    fn elements(&mut self, read: &Read<'_>) {
        let Examination { log, key, .. } = *self;
        let Read { txn, base, .. } = *read;
        let Some(branch) = self.branch(base) else { return };
        let Branch { garbage, aborted, twice, .. } = *branch;
        let (at, list) = (log.txns[txn as usize].ret, log.list(base));
        let found = || format!("T1 read {} = {}", log.show_key(key), show(log, &read.whole(log)));
        let shown = |place: u32| log.codes.show(list[place as usize]);
        let sightings = &mut self.findings.sightings;
        if garbage < base.len {
            sightings.note(Class::GarbageRead, at, || {
                (vec![txn], format!("{}, and nobody ever appended {}", found(), shown(garbage)))
            });
        }
        if twice < base.len {
            sightings.note(Class::DuplicateElements, at, || {
                (vec![txn], format!("{}, which has {} twice; it was appended once", found(), shown(twice)))
            });
        }
        let writer = |place: u32| self.order.writes.get(list[place as usize]);
        if let Some(write) = (aborted < base.len).then(|| writer(aborted)).flatten() {
            sightings.note(Class::G1a, at, || {
                (vec![txn, write.txn], format!("{}, but T2 appended {} and failed", found(), shown(aborted)))
            });
        }
        let last = base.len.checked_sub(1).and_then(|last| Some((last, writer(last)?)));
        let is_intermediate = |write: &Write| !write.last && write.txn != txn && !is_aborted(log, write.txn);
        if let Some((last, write)) = last.filter(|(_, write)| is_intermediate(write)) {
            sightings.note(Class::G1b, at, || {
                let words = format!("{}, where {} is T2's, which appended more to it after that", found(), shown(last));
                (vec![txn, write.txn], words)
            });
        }
    }

    /// Where a read stands in the order of the versions.
    fn order_of_read(&mut self, read: &Read<'_>) {
        let Read { txn, base, .. } = *read;
        if !self.agrees(base) {
            return self.incompatible(txn, base);
        }
        if let Some((_, writer)) = self.order.last(base.len) {
            self.findings.edge(writer, txn, Relation::Wr);
        }
        match self.order.next(base.len) {
            Some((_, writer)) => self.findings.edge(txn, writer, Relation::Rw),
            None if !self.order.unseen.is_empty() => self.at_end.push(txn),
            None => {}
        }
    }

    fn incompatible(&mut self, txn: Txn, base: Slice) {
        let Examination { log, key, .. } = *self;
        let longest = Slice { branch: self.order.branch, len: number(self.order.list.len()) };
        let mut readers = self.micros.iter().map(|&micro| &log.micros[micro as usize]);
        self.findings.sightings.note(Class::IncompatibleOrder, log.txns[txn as usize].ret, || {
            let is_longest = |micro: &&Micro| matches!(micro.act, Act::List { base, .. } if base == longest);
            let other = readers.find(is_longest).map_or(txn, |micro| micro.txn);
            let (key, one, two) = (log.show_key(key), show(log, log.list(base)), show(log, self.order.list));
            match other == txn {
                true => (vec![txn], format!("T1 read {key} = {one} and {two}: neither is the beginning of the other")),
                false => {
                    let words =
                        format!("T1 read {key} = {one}, and T2 read {two}: neither is the beginning of the other");
                    (vec![txn, other], words)
                }
            }
        });
    }

    /// The order of the writes, and what comes behind it.
    fn versions(&mut self) {
        let Examination { log, key, .. } = *self;
        for at in 1..self.order.known.len() {
            let (one, other) = (self.order.known[at - 1], self.order.known[at]);
            match one.1 == other.1 {
                true => self.own_order(one, other),
                false => self.findings.edge(one.1, other.1, Relation::Ww),
            }
        }
        // Who read the end and appended is an updater: under any level that forbids lost updates it wrote first.
        let unseen: rustc_hash::FxHashSet<Txn> = self.order.unseen.iter().copied().collect();
        let relation = |txn: &Txn| if unseen.contains(txn) { Relation::Update } else { Relation::Rw };
        let mut sources: Vec<(Txn, Relation)> = self.at_end.iter().map(|txn| (*txn, relation(txn))).collect();
        sources.extend(self.order.known.last().map(|&(_, last)| (last, Relation::Ww)));
        sources.sort_unstable();
        sources.dedup();
        self.findings.fan(&sources, &self.order.unseen);
        for (at, &element) in (0..).zip(self.order.list) {
            let Some(write) = self.order.writes.get(element).filter(|write| is_aborted(log, write.txn)) else {
                continue;
            };
            let Some((after, next)) = self.order.next(at) else { break };
            self.findings.sightings.note(Class::DirtyUpdate, log.txns[write.txn as usize].ret, || {
                let (key, lost) = (log.show_key(key), log.codes.show(element));
                let kept = log.codes.show(self.order.list[after as usize]);
                (vec![write.txn, next], format!("T1 appended {lost} to {key} and failed; T2 appended {kept} behind it"))
            });
        }
    }

    /// A transaction's appends stand in the list as it made them. (If another's stands between, there is a cycle.)
    fn own_order(&mut self, first: (u32, Txn), second: (u32, Txn)) {
        let Examination { log, key, .. } = *self;
        let element = |(at, _): (u32, Txn)| self.order.list[at as usize];
        let made = |element: Code| self.order.writes.get(element).map(|write| write.micro);
        if made(element(first)) > made(element(second)) {
            self.findings.sightings.note(Class::IncompatibleOrder, log.txns[first.1 as usize].ret, || {
                let [one, other] = [first, second].map(|place| log.codes.show(element(place)));
                let (key, list) = (log.show_key(key), show(log, self.order.list));
                (vec![first.1], format!("T1 appended {other} to {key} before {one}, but it was read as {list}"))
            });
        }
    }

    /// Of two that read the same list and then appended, the later one should have read what the other appended.
    fn lost_updates(&mut self) {
        let Examination { log, key, .. } = *self;
        self.updates.sort_unstable();
        for same in self.updates.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1) {
            let at = same.iter().map(|&(_, txn)| log.txns[txn as usize].ret).max().unwrap_or_default();
            self.findings.sightings.note(Class::LostUpdate, at, || {
                let (key, list) = (log.show_key(key), show(log, &self.order.list[..same[0].0 as usize]));
                let words = format!("T1 and T2 both read {key} = {list} and then appended to it");
                (vec![same[0].1, same[1].1], words)
            });
        }
    }
}
