//! The history of one peer: a snapshot and the transactions behind it, with the two epochs.
//!
//! A zxid names one transaction for ever, and a log that holds a transaction holds the same ones before it as
//! every other log that does. So the largest zxid that two logs share ends their common prefix, and a
//! [`Summary`] is enough to find it.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use super::message::{Summary, Txn};
use super::{Record, Zxid};

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) life: u64,
    pub(super) accepted_epoch: u32,
    pub(super) current_epoch: u32,
    snapshot: Option<(Zxid, Bytes)>,
    /// The transaction just before the first of `txns`; never above the snapshot.
    base: Zxid,
    txns: VecDeque<Txn>,
    /// The last transaction that is still there from a former life.
    recovered: Zxid,
    /// Planted by `zab-log-hole`, empty without it: transactions that are not sent to others.
    lacking: BTreeSet<Zxid>,
}

impl Log {
    /// Reads what former lives wrote and begins the next life.
    pub(super) fn recover(records: Vec<Record>) -> Self {
        let mut log = Log::default();
        for record in records {
            match record {
                Record::Life(life) => log.life = life,
                Record::AcceptedEpoch(epoch) => log.accepted_epoch = epoch,
                Record::CurrentEpoch(epoch) => log.current_epoch = epoch,
                Record::Txn { zxid, payload } => {
                    assert!(zxid > log.last(), "own log: {zxid} is written after {}", log.last());
                    log.append(Txn { zxid, payload });
                }
                Record::Truncate(zxid) => log.truncate(zxid),
                Record::Snapshot { zxid, state } => log.install(zxid, state),
            }
        }
        log.recovered = log.last();
        log.life += 1;
        log
    }

    /// The records that make up this log, for a rewrite.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = vec![
            Record::Life(self.life),
            Record::AcceptedEpoch(self.accepted_epoch),
            Record::CurrentEpoch(self.current_epoch),
        ];
        if let Some((zxid, state)) = &self.snapshot {
            records.push(Record::Snapshot { zxid: *zxid, state: state.clone() });
        }
        records.extend(self.after(self.snapshot_zxid()).map(Record::from));
        records
    }

    /// The last transaction.
    pub(super) fn last(&self) -> Zxid {
        self.txns.back().map_or(self.base, |txn| txn.zxid)
    }

    /// The snapshot, if there is one.
    pub(super) fn snapshot(&self) -> Option<&(Zxid, Bytes)> {
        self.snapshot.as_ref()
    }

    fn snapshot_zxid(&self) -> Zxid {
        self.snapshot.as_ref().map_or(Zxid::ZERO, |(zxid, _)| *zxid)
    }

    /// How many transactions stand behind the snapshot, up to `zxid`.
    pub(super) fn between_snapshot_and(&self, zxid: Zxid) -> usize {
        self.index_after(zxid).saturating_sub(self.index_after(self.snapshot_zxid()))
    }

    /// True for what a former life had logged, and may have delivered.
    pub(super) fn is_recovered(&self, zxid: Zxid) -> bool {
        zxid <= self.recovered
    }

    /// True if a transaction may stand directly behind the last one: the next of its epoch, or a later epoch's
    /// first.
    pub(super) fn is_next(&self, zxid: Zxid) -> bool {
        let last = self.last();
        if zxid.epoch() == last.epoch() {
            last.counter().checked_add(1) == Some(zxid.counter())
        } else {
            zxid.epoch() > last.epoch() && zxid.counter() == 1
        }
    }

    pub(super) fn append(&mut self, txn: Txn) {
        self.txns.push_back(txn);
    }

    /// From now on others are not sent this transaction.
    pub(super) fn leave_out(&mut self, zxid: Zxid) {
        self.lacking.insert(zxid);
    }

    /// True if others are not sent this transaction.
    pub(super) fn lacks(&self, zxid: Zxid) -> bool {
        self.lacking.contains(&zxid)
    }

    /// Discards all above `zxid`.
    pub(super) fn truncate(&mut self, zxid: Zxid) {
        self.txns.truncate(self.index_after(zxid));
        self.recovered = self.recovered.min(zxid);
    }

    /// Replaces everything by a leader's snapshot.
    pub(super) fn install(&mut self, zxid: Zxid, state: Bytes) {
        self.txns.clear();
        self.base = zxid;
        self.snapshot = Some((zxid, state));
        self.recovered = Zxid::ZERO;
    }

    /// Takes an own snapshot and forgets the transactions before it, save the last `retain`.
    pub(super) fn compact(&mut self, zxid: Zxid, state: Bytes, retain: usize) {
        let forget = self.index_after(zxid).saturating_sub(retain);
        if let Some(txn) = self.txns.drain(..forget).next_back() {
            self.base = txn.zxid;
        }
        self.snapshot = Some((zxid, state));
    }

    fn index_after(&self, zxid: Zxid) -> usize {
        self.txns.partition_point(|txn| txn.zxid <= zxid)
    }

    /// All transactions behind `zxid`.
    pub(super) fn after(&self, zxid: Zxid) -> impl Iterator<Item = &Txn> {
        self.txns.range(self.index_after(zxid)..)
    }

    /// True if `zxid` is in the log or is what it begins behind.
    pub(super) fn contains(&self, zxid: Zxid) -> bool {
        zxid == self.base || self.txns.binary_search_by_key(&zxid, |txn| txn.zxid).is_ok()
    }

    /// True if `zxid` is in the log, or may have been before the log was compacted.
    pub(super) fn held(&self, zxid: Zxid) -> bool {
        zxid < self.base || self.contains(zxid)
    }

    pub(super) fn summary(&self) -> Summary {
        let mut ends = vec![self.base];
        for txn in &self.txns {
            match ends.last_mut() {
                Some(end) if end.epoch() == txn.zxid.epoch() => *end = txn.zxid,
                _ => ends.push(txn.zxid),
            }
        }
        Summary { base: self.base, ends }
    }

    /// Where the common prefix of this log and another one ends; none if this log does not reach back so far.
    pub(super) fn common(&self, other: &Summary) -> Option<Zxid> {
        let own = self.txns.iter().rev().map(|txn| txn.zxid);
        own.chain([self.base]).find(|zxid| other.contains(*zxid))
    }
}

impl Summary {
    /// The last transaction of the log.
    pub(super) fn last(&self) -> Zxid {
        self.ends.last().copied().unwrap_or(self.base)
    }

    fn contains(&self, zxid: Zxid) -> bool {
        zxid == self.base || zxid > self.base && self.ends.iter().any(|end| end.epoch() == zxid.epoch() && zxid <= *end)
    }
}

impl From<&Txn> for Record {
    fn from(txn: &Txn) -> Self {
        Record::Txn { zxid: txn.zxid, payload: txn.payload.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(zxids: &[(u32, u32)]) -> Log {
        let txn = |&(epoch, counter)| Record::Txn { zxid: Zxid::new(epoch, counter), payload: Bytes::new() };
        Log::recover(zxids.iter().map(txn).collect())
    }

    #[test]
    fn common_prefix_ends_at_the_largest_shared_zxid() {
        let leader = log(&[(1, 1), (1, 2), (1, 3), (3, 1)]);
        let table = [
            (vec![], (0, 0)),
            (vec![(1, 1)], (1, 1)),
            (vec![(1, 1), (1, 2), (1, 3), (3, 1)], (3, 1)),
            (vec![(1, 1), (1, 2), (1, 3), (1, 4)], (1, 3)),
            // The largest zxid of the leader below the follower's last one is 1.3, which the follower lacks.
            (vec![(1, 1), (1, 2), (2, 1)], (1, 2)),
            (vec![(2, 1)], (0, 0)),
            (vec![(1, 1), (1, 2), (1, 3), (3, 1), (3, 2)], (3, 1)),
        ];
        for (follower, (epoch, counter)) in table {
            let common = leader.common(&log(&follower).summary());
            assert_eq!(common, Some(Zxid::new(epoch, counter)), "follower {follower:?}");
        }
    }

    #[test]
    fn a_compacted_log_shares_nothing_with_one_that_ends_before_it() {
        let mut leader = log(&[(1, 1), (1, 2), (1, 3), (1, 4)]);
        leader.compact(Zxid::new(1, 3), Bytes::from_static(b"state"), 1);
        assert_eq!(leader.common(&log(&[(1, 1)]).summary()), None);
        assert_eq!(leader.common(&log(&[(1, 1), (1, 2)]).summary()), Some(Zxid::new(1, 2)), "it was retained");
        assert_eq!(leader.between_snapshot_and(leader.last()), 1);

        let again = Log::recover(leader.records());
        assert_eq!(again.last(), leader.last());
        assert_eq!(again.life, leader.life + 1);
        assert_eq!(again.common(&log(&[(1, 1), (1, 2)]).summary()), None, "a rewrite drops what was retained");
        assert_eq!(again.common(&leader.summary()), Some(Zxid::new(1, 4)));
    }

    #[test]
    fn truncation_survives_a_restart() {
        let mut records = log(&[(1, 1), (1, 2), (1, 3)]).records();
        records.push(Record::Truncate(Zxid::new(1, 1)));
        records.push(Record::Txn { zxid: Zxid::new(2, 1), payload: Bytes::new() });
        let log = Log::recover(records);
        assert_eq!(log.summary().ends, [Zxid::ZERO, Zxid::new(1, 1), Zxid::new(2, 1)]);
    }

    #[test]
    fn only_the_next_counter_or_a_later_epochs_first_follows() {
        let log = log(&[(2, 5)]);
        for (epoch, counter, fits) in
            [(2, 6, true), (2, 7, false), (2, 5, false), (3, 1, true), (3, 2, false), (1, 6, false)]
        {
            assert_eq!(log.is_next(Zxid::new(epoch, counter)), fits, "{epoch}.{counter}");
        }
    }
}
