//! Keys that come and go: a few are open at a time, each is closed after its share of operations, and all are looked at
//! again at the end.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the main phase tells the liveness phase.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    /// How many keys were ever opened: they are numbered from 0.
    opened: usize,
    /// The keys with an update of unknown outcome.
    doubtful: BTreeSet<usize>,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many keys were ever opened.
    pub(crate) fn opened(&self) -> usize {
        self.pages().opened
    }

    /// Notes that an update of this key has an unknown outcome.
    pub(crate) fn doubt(&self, key: usize) {
        self.pages().doubtful.insert(key);
    }

    /// The keys that are worth a look at the end, about so many: those in doubt first, then an even choice of the others.
    pub(crate) fn worth_a_look(&self, most: usize) -> BTreeSet<usize> {
        let pages = self.pages();
        let doubtful = pages.doubtful.iter().copied().take(most);
        let left = most.saturating_sub(pages.doubtful.len()).max(1);
        let even = (0..pages.opened).step_by(pages.opened.div_ceil(left).max(1));
        doubtful.chain(even).collect()
    }

    #[cfg(test)]
    pub(crate) fn doubtful(&self) -> BTreeSet<usize> {
        self.pages().doubtful.clone()
    }
}

/// A key that is open.
pub(crate) struct Open {
    pub(crate) key: usize,
    operations: usize,
}

impl Open {
    pub(crate) fn fresh(book: &Book) -> Open {
        let mut pages = book.pages();
        pages.opened += 1;
        Open { key: pages.opened - 1, operations: 0 }
    }

    /// The key for one more operation; a fresh one if this one has had its share.
    pub(crate) fn use_once(&mut self, book: &Book, share: usize) -> String {
        if self.operations == share {
            *self = Open::fresh(book);
        }
        self.operations += 1;
        self.key.to_string()
    }
}
