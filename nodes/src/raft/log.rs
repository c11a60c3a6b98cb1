//! The replicated log in memory: what came after the snapshot, and a running digest.
//!
//! Each entry carries the digest of the whole log up to it. Two logs that agree in one entry's term must agree in
//! its digest (Log Matching, §5.3), so the invariant costs one comparison instead of a walk.

use super::message::{Entry, Position, Snapshot};
use super::{Index, Record, Term};

/// Terms in a log never fall, so everything that looks for a term can search by halves.
#[derive(Debug, Default)]
pub struct Log {
    base: Position,
    base_chain: u64,
    slots: Vec<Slot>,
    bytes: usize,
    snapshot: Option<Snapshot>,
}

#[derive(Debug)]
struct Slot {
    entry: Entry,
    chain: u64,
}

/// What an entry takes in a record beside its data, roughly.
const ENTRY_OVERHEAD: usize = 24;

fn size(entry: &Entry) -> usize {
    entry.data.len() + ENTRY_OVERHEAD
}

/// A digest of one entry alone.
pub(crate) fn digest(entry: &Entry) -> u64 {
    mix(mix(0, entry.at.term), u64::from(crc32fast::hash(&entry.data)) << 32 | entry.data.len() as u64)
}

/// SplitMix64's finaliser over a running value.
fn mix(state: u64, word: u64) -> u64 {
    let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Log {
    /// The last entry, or the place before the first.
    pub fn last(&self) -> Position {
        self.slots.last().map_or(self.base, |slot| slot.entry.at)
    }

    /// The place before the first entry that is still here.
    pub(crate) fn base(&self) -> Position {
        self.base
    }

    /// The newest snapshot.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The encoded size of the entries that a restart would have to replay, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn slot(&self, index: Index) -> Option<&Slot> {
        let offset = index.checked_sub(self.base.index + 1)?;
        self.slots.get(usize::try_from(offset).ok()?)
    }

    /// The entry at an index, if it is still here.
    pub(crate) fn entry(&self, index: Index) -> Option<&Entry> {
        self.slot(index).map(|slot| &slot.entry)
    }

    /// The term of the entry at an index; also known for the place before the first entry.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index { Some(self.base.term) } else { self.entry(index).map(|entry| entry.at.term) }
    }

    /// The digest of the log up to an index.
    pub fn chain_at(&self, index: Index) -> Option<u64> {
        if index == self.base.index { Some(self.base_chain) } else { self.slot(index).map(|slot| slot.chain) }
    }

    /// Whether the log has this entry.
    pub(crate) fn has(&self, at: Position) -> bool {
        self.term_at(at.index) == Some(at.term)
    }

    /// The last place at or before `at.index` whose term is at most `at.term`; the base if there is none.
    pub(crate) fn last_not_after(&self, at: Position) -> Position {
        let reach = usize::try_from(at.index.saturating_sub(self.base.index)).unwrap_or(usize::MAX);
        let reach = &self.slots[..reach.min(self.slots.len())];
        let count = reach.partition_point(|slot| slot.entry.at.term <= at.term);
        count.checked_sub(1).map_or(self.base, |last| reach[last].entry.at)
    }

    /// Adds an entry, which must be the next one.
    pub(crate) fn push(&mut self, entry: Entry) {
        assert_eq!(entry.at.index, self.last().index + 1, "a log has no gaps");
        assert!(entry.at.term >= self.last().term, "terms in a log never fall");
        let before = self.slots.last().map_or(self.base_chain, |slot| slot.chain);
        self.bytes += size(&entry);
        let chain = mix(before, digest(&entry));
        self.slots.push(Slot { entry, chain });
    }

    /// Forgets all entries after this index.
    pub(crate) fn truncate_after(&mut self, index: Index) {
        let keep = usize::try_from(index.saturating_sub(self.base.index)).unwrap_or(usize::MAX);
        for slot in self.slots.drain(keep.min(self.slots.len())..) {
            self.bytes = self.bytes.saturating_sub(size(&slot.entry));
        }
    }

    /// Entries from an index on, until their sizes reach `max_bytes`; at least one if there is one.
    pub(crate) fn batch(&self, from: Index, max_bytes: usize) -> Vec<Entry> {
        let Some(start) = from.checked_sub(self.base.index + 1).and_then(|start| usize::try_from(start).ok()) else {
            return Vec::new();
        };
        let mut budget = max_bytes;
        let mut entries = Vec::new();
        for slot in self.slots.get(start..).unwrap_or_default() {
            if !entries.is_empty() && budget < size(&slot.entry) {
                break;
            }
            budget = budget.saturating_sub(size(&slot.entry));
            entries.push(slot.entry.clone());
        }
        entries
    }

    /// Takes a snapshot of a prefix of this log. The last `keep` entries of the prefix stay in memory, for followers
    /// that are only a little behind.
    pub(crate) fn compact(&mut self, snapshot: Snapshot, keep: Index) {
        let cut = snapshot.last.index.saturating_sub(keep).max(self.base.index);
        let base = Position { index: cut, term: self.term_at(cut).expect("the cut lies inside the log") };
        let chain = self.chain_at(cut).expect("the cut lies inside the log");
        self.slots.drain(..usize::try_from(cut - self.base.index).expect("a log fits in memory"));
        (self.base, self.base_chain) = (base, chain);
        let last = snapshot.last.index;
        self.bytes = self.slots.iter().filter(|s| s.entry.at.index > last).map(|s| size(&s.entry)).sum();
        self.snapshot = Some(snapshot);
    }

    /// Replaces everything by a snapshot, but keeps what follows it if the log has the snapshot's last entry.
    pub(crate) fn install(&mut self, snapshot: Snapshot) {
        if self.has(snapshot.last) && self.base.index <= snapshot.last.index {
            self.compact(snapshot, 0);
            return;
        }
        *self = Log {
            base: snapshot.last,
            base_chain: snapshot.chain,
            slots: Vec::new(),
            bytes: 0,
            snapshot: Some(snapshot),
        };
    }

    /// The records from which [`Log::replay`] makes this log again.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        let after = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
        let entries = self.slots.iter().map(|slot| &slot.entry).filter(move |entry| entry.at.index > after);
        self.snapshot.iter().cloned().map(Record::Snapshot).chain(entries.cloned().map(Record::Entry))
    }

    /// Takes in a record of an entry: it replaces whatever stood at its index and after it.
    pub(crate) fn replay(&mut self, entry: Entry) {
        if entry.at.index <= self.base.index || entry.at.index > self.last().index + 1 {
            tracing::error!(index = entry.at.index, "the write-ahead log has an entry that fits nowhere; left out");
            return;
        }
        self.truncate_after(entry.at.index - 1);
        self.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn log(terms: &[Term]) -> Log {
        let mut log = Log::default();
        for (i, &term) in terms.iter().enumerate() {
            log.push(entry(i as Index + 1, term));
        }
        log
    }

    fn entry(index: Index, term: Term) -> Entry {
        Entry { at: Position { index, term }, data: Bytes::from(format!("{index}@{term}")) }
    }

    fn at(index: Index, term: Term) -> Position {
        Position { index, term }
    }

    #[test]
    fn last_not_after_finds_the_last_place_that_can_match() {
        let log = log(&[1, 1, 4, 4, 5]);
        let table = [
            (at(5, 5), at(5, 5)),
            (at(9, 9), at(5, 5)),
            (at(5, 4), at(4, 4)),
            (at(3, 4), at(3, 4)),
            (at(5, 3), at(2, 1)),
            (at(5, 0), at(0, 0)),
            (at(0, 7), at(0, 0)),
        ];
        for (asked, expected) in table {
            assert_eq!(log.last_not_after(asked), expected, "asked for {asked:?}");
        }
    }

    #[test]
    fn equal_prefixes_have_equal_digests_and_different_ones_do_not() {
        let (a, b) = (log(&[1, 1, 2]), log(&[1, 1, 3]));
        assert_eq!(a.chain_at(2), b.chain_at(2));
        assert_ne!(a.chain_at(3), b.chain_at(3));
    }

    #[test]
    fn replayed_entries_replace_what_stood_there_and_after() {
        let mut log = log(&[1, 1, 1, 1]);
        log.replay(entry(2, 2));
        assert_eq!(log.last(), at(2, 2));
        log.replay(entry(9, 2));
        assert_eq!(log.last(), at(2, 2), "an entry behind a gap must be left out");
    }

    #[test]
    fn a_compacted_log_gives_the_same_records_digests_and_terms() {
        let mut short = log(&[1, 1, 2, 2, 3]);
        let chain = short.chain_at(3).expect("there are five entries");
        let snapshot = Snapshot { last: at(3, 2), chain, data: Bytes::from_static(b"state") };
        short.compact(snapshot.clone(), 1);
        assert_eq!(short.base(), at(2, 1));
        assert_eq!(short.chain_at(5), log(&[1, 1, 2, 2, 3]).chain_at(5));
        let records: Vec<_> = short.records().collect();
        assert_eq!(
            records,
            [Record::Snapshot(snapshot), Record::Entry(entry(4, 2)), Record::Entry(entry(5, 3))],
            "entries inside the snapshot are not written again"
        );
    }

    #[test]
    fn a_batch_stops_at_its_size_but_never_starves() {
        let log = log(&[1, 1, 1]);
        assert_eq!(log.batch(1, 0).len(), 1);
        assert_eq!(log.batch(1, 2 * size(&entry(1, 1))).len(), 2);
        assert_eq!(log.batch(4, 1000), []);
    }
}
