//! The keys and all their former values: a store in which a read at a revision never changes until compaction.
//!
//! Each change has a revision: the number of its transaction, and its place inside it. The index of changes by
//! revision is what a compaction walks, and where a watch can begin.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::api::{Error, KeyValue, Projection, RangeRequest, RangeResponse, SortOrder, SortTarget, Span};

/// A transaction's number and a change's place inside it, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Revision {
    main: i64,
    sub: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    at: Revision,
    /// What the key was then; none for a deletion.
    live: Option<Live>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Live {
    value: Bytes,
    create_revision: i64,
    version: i64,
    lease: i64,
}

impl Version {
    fn key_value(&self, key: &Bytes) -> Option<KeyValue> {
        self.live.as_ref().map(|live| KeyValue {
            key: key.clone(),
            value: live.value.clone(),
            create_revision: live.create_revision,
            mod_revision: self.at.main,
            version: live.version,
            lease: live.lease,
        })
    }
}

/// A transaction's changes so far: all of them share one revision, and without any there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    next: Revision,
}

/// The store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mvcc {
    revision: i64,
    /// Nothing older than this can be read.
    compacted: i64,
    /// The versions of each key, oldest first, never empty.
    keys: BTreeMap<Bytes, Vec<Version>>,
    changes: BTreeMap<Revision, Bytes>,
}

impl Default for Mvcc {
    /// An empty store is at revision 1, as etcd's is.
    fn default() -> Self {
        Mvcc { revision: 1, compacted: 0, keys: BTreeMap::new(), changes: BTreeMap::new() }
    }
}

impl Mvcc {
    /// The number of the last transaction that changed something.
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) -> Change {
        Change { next: Revision { main: self.revision + 1, sub: 0 } }
    }

    /// Ends a transaction.
    pub(crate) fn commit(&mut self, change: Change) {
        if change.next.sub > 0 {
            self.revision = change.next.main;
        }
    }

    fn record(&mut self, change: &mut Change, key: &Bytes, live: Option<Live>) {
        let at = change.next;
        change.next.sub += 1;
        self.changes.insert(at, key.clone());
        self.keys.entry(key.clone()).or_default().push(Version { at, live });
    }

    /// Writes a key that is now `before`.
    pub(crate) fn put(
        &mut self,
        change: &mut Change,
        key: &Bytes,
        before: Option<&KeyValue>,
        value: Bytes,
        lease: i64,
    ) {
        let (create_revision, version) =
            before.map_or((change.next.main, 1), |kv| (kv.create_revision, kv.version + 1));
        self.record(change, key, Some(Live { value, create_revision, version, lease }));
    }

    /// Deletes keys; what was there before.
    pub(crate) fn delete(&mut self, change: &mut Change, span: &Span) -> Vec<KeyValue> {
        let gone: Vec<KeyValue> = self.visible(span, i64::MAX).collect();
        for kv in &gone {
            self.record(change, &kv.key, None);
        }
        gone
    }

    /// A key as it is now, the changes of a transaction that has not ended included.
    pub(crate) fn get(&self, key: &Bytes) -> Option<KeyValue> {
        self.keys.get(key)?.last()?.key_value(key)
    }

    /// The keys of a span as they were after a revision, in order.
    pub(crate) fn visible(&self, span: &Span, revision: i64) -> impl Iterator<Item = KeyValue> {
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = match span {
            Span::Key(key) => (Bound::Included(key), Bound::Included(key)),
            Span::Range(start, end) => (Bound::Included(start), Bound::Excluded(end.max(start))),
            Span::From(start) => (Bound::Included(start), Bound::Unbounded),
        };
        self.keys.range::<[u8], _>(bounds).filter_map(move |(key, versions)| {
            let count = versions.partition_point(|version| version.at.main <= revision);
            versions[..count].last()?.key_value(key)
        })
    }

    /// Whether a read at this revision can be answered.
    pub(crate) fn check_revision(&self, revision: i64) -> Result<(), Error> {
        match revision {
            ..=0 => Ok(()),
            r if r > self.revision => Err(Error::FutureRevision),
            r if r < self.compacted => Err(Error::Compacted),
            _ => Ok(()),
        }
    }

    /// Reads.
    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        self.check_revision(request.revision)?;
        let revision = if request.revision > 0 { request.revision } else { i64::MAX };
        let found = self.visible(&request.span, revision);
        if request.projection == Projection::CountOnly {
            return Ok(RangeResponse { count: length(found.count()), ..RangeResponse::default() });
        }
        let mut kvs: Vec<KeyValue> = found.collect();
        let count = length(kvs.len());
        sort(&mut kvs, request.order, request.target);
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let more = limit > 0 && kvs.len() > limit;
        if more {
            kvs.truncate(limit);
        }
        if request.projection == Projection::KeysOnly {
            kvs.iter_mut().for_each(|kv| kv.value = Bytes::new());
        }
        Ok(RangeResponse { kvs, more, count })
    }

    /// Forgets what was superseded at or before a revision. It touches only keys that changed since the last time.
    pub(crate) fn compact(&mut self, revision: i64) -> Result<(), Error> {
        if revision > self.revision {
            return Err(Error::FutureRevision);
        }
        if revision <= self.compacted {
            return Err(Error::Compacted);
        }
        self.compacted = revision;
        let kept = self.changes.split_off(&Revision { main: revision + 1, sub: 0 });
        for key in std::mem::replace(&mut self.changes, kept).into_values() {
            let Some(versions) = self.keys.get_mut(&key) else { continue };
            let old = versions.partition_point(|version| version.at.main <= revision);
            // The newest of the old ones is what a read at the revision sees, unless it is a deletion.
            let survivor = versions[..old].last().is_some_and(|version| version.live.is_some());
            versions.drain(..old - usize::from(survivor));
            match versions.first() {
                None => drop(self.keys.remove(&key)),
                Some(first) if survivor => drop(self.changes.insert(first.at, key)),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn length(count: usize) -> i64 {
    i64::try_from(count).expect("a count of things in memory fits")
}

fn sort(kvs: &mut [KeyValue], order: SortOrder, target: SortTarget) {
    match target {
        // They come ordered by key.
        SortTarget::Key => {}
        SortTarget::Version => kvs.sort_by_key(|kv| kv.version),
        SortTarget::Create => kvs.sort_by_key(|kv| kv.create_revision),
        SortTarget::Mod => kvs.sort_by_key(|kv| kv.mod_revision),
        SortTarget::Value => kvs.sort_by(|a, b| a.value.cmp(&b.value)),
    }
    if order == SortOrder::Descend {
        kvs.reverse();
    }
}
