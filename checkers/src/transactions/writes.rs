//! Who wrote what of one key, and whose writes happened.

use rustc_hash::FxHashMap;

use super::log::{Act, Code, Key, Log, Micro, Txn, number};
use crate::history::Outcome;

/// The micro-operations of each key, in the order in which their transactions ended; those of one transaction are neighbours
/// and in its order.
pub(super) struct ByKey {
    starts: Vec<u32>,
    micros: Vec<u32>,
}

impl ByKey {
    pub(super) fn new(log: &Log) -> Self {
        let mut starts = vec![0_u32; log.keys() + 1];
        log.micros.iter().for_each(|micro| starts[micro.key as usize + 1] += 1);
        for at in 0..log.keys() {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut micros = vec![0; log.micros.len()];
        for (number, micro) in (0..).zip(&log.micros) {
            let slot = &mut next[micro.key as usize];
            micros[*slot as usize] = number;
            *slot += 1;
        }
        ByKey { starts, micros }
    }

    pub(super) fn of(&self, key: Key) -> &[u32] {
        &self.micros[self.starts[key as usize] as usize..self.starts[key as usize + 1] as usize]
    }
}

/// Who wrote a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) txn: Txn,
    /// The number of the micro-operation.
    pub(super) micro: u32,
    /// Whether it is the last that its transaction wrote to the key.
    pub(super) last: bool,
}

/// The writes of one key, by what was written.
#[derive(Debug, Default)]
pub(super) struct Writes {
    by_value: FxHashMap<Code, Write>,
}

/// A value was written more than once, so nobody can say whose it is that was read.
pub(super) struct Ambiguous {
    pub(super) value: Code,
    pub(super) by: [Txn; 2],
}

impl Writes {
    /// An aborted write of what another wrote as well is taken for that other's: it is the retry that shows.
    pub(super) fn of(log: &Log, micros: &[u32]) -> Result<Writes, Ambiguous> {
        let aborted = |txn: Txn| log.txns[txn as usize].outcome == Outcome::Fail;
        let mut by_value: FxHashMap<Code, Write> = FxHashMap::default();
        let mut last_of = None;
        for &number in micros.iter().rev() {
            let Micro { txn, act, .. } = log.micros[number as usize];
            let Act::Write(value) = act else { continue };
            let write = Write { txn, micro: number, last: last_of != Some(txn) };
            last_of = Some(txn);
            match by_value.get(&value) {
                Some(known) if !aborted(known.txn) && !aborted(write.txn) => {
                    return Err(Ambiguous { value, by: [write.txn, known.txn] });
                }
                Some(_) if aborted(write.txn) => {}
                _ => drop(by_value.insert(value, write)),
            }
        }
        Ok(Writes { by_value })
    }

    pub(super) fn get(&self, value: Code) -> Option<Write> {
        self.by_value.get(&value).copied()
    }
}

impl Ambiguous {
    pub(super) fn tell(&self, log: &Log, key: Key) -> String {
        let (key, value) = (log.show_key(key), log.codes.show(self.value));
        let [one, other] = self.by.map(|txn| txn_words(log, txn));
        format!("key {key}: {value} was written twice, by the transactions of {one} and of {other}: who read whose?")
    }
}

fn txn_words(log: &Log, txn: Txn) -> String {
    format!("process {} at event {}", log.process_name(txn), log.txns[txn as usize].call)
}

/// Which transactions happened: those that committed, and those of unknown outcome of which something was read. They
/// are whole, so all that they wrote is there.
pub(super) fn happened(log: &Log, by_key: &ByKey) -> Vec<bool> {
    let mut happened: Vec<bool> = log.txns.iter().map(|txn| txn.outcome == Outcome::Ok).collect();
    for key in 0..number(log.keys()) {
        let micros = by_key.of(key);
        let unsure = |micro: &&u32| {
            let Micro { txn, act, .. } = log.micros[**micro as usize];
            matches!(act, Act::Write(_)) && log.txns[txn as usize].outcome == Outcome::Info
        };
        if !micros.iter().any(|micro| unsure(&micro)) {
            continue;
        }
        let Ok(writes) = Writes::of(log, micros) else { continue };
        let mut seen = |value: Code| {
            if let Some(write) = writes.get(value).filter(|write| log.txns[write.txn as usize].outcome == Outcome::Info)
            {
                happened[write.txn as usize] = true;
            }
        };
        for &branch in log.branches_of(key) {
            log.branch(branch).iter().for_each(|&value| seen(value));
        }
        for &micro in micros {
            if let Micro { act: Act::Value(Some(value)), txn, .. } = log.micros[micro as usize]
                && log.committed(txn)
            {
                seen(value);
            }
        }
    }
    happened
}
