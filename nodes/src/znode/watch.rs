//! One-shot watches: who is told when a node changes.
//!
//! A watch is armed on one server by one connection, fires once, and is forgotten with the connection; the client
//! arms it again on its next server (`setWatches`). It never passes through the log.

use std::collections::{BTreeMap, BTreeSet};

use super::op::{EventKind, WatchKind};
use super::path;
use super::txn::Change;
use crate::replica::ClientId;

/// What a watch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watched {
    /// The node comes, changes or goes (`exists`, `getData`).
    Data,
    /// A child comes or goes, or the node goes (`getChildren`).
    Children,
}

/// All watches that are armed on one server.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    by_path: BTreeMap<(String, Watched), BTreeSet<ClientId>>,
    by_client: BTreeMap<ClientId, BTreeSet<(String, Watched)>>,
}

impl Watches {
    /// Arms a watch; arming it twice is arming it once.
    pub(crate) fn arm(&mut self, client: ClientId, path: &str, watched: Watched) {
        let key = (path.to_owned(), watched);
        self.by_path.entry(key.clone()).or_default().insert(client);
        self.by_client.entry(client).or_default().insert(key);
    }

    /// Is one of these watches armed?
    pub(crate) fn is_armed(&self, client: ClientId, path: &str, kind: WatchKind) -> bool {
        let armed = self.by_client.get(&client);
        armed.is_some_and(|armed| keys(path, kind).any(|key| armed.contains(&key)))
    }

    /// Disarms these watches.
    pub(crate) fn remove(&mut self, client: ClientId, path: &str, kind: WatchKind) {
        for key in keys(path, kind) {
            take(&mut self.by_path, &key, &client);
            take(&mut self.by_client, &client, &key);
        }
    }

    /// Forgets the watches of a connection that has gone.
    pub(crate) fn forget(&mut self, client: ClientId) {
        for key in self.by_client.remove(&client).unwrap_or_default() {
            take(&mut self.by_path, &key, &client);
        }
    }

    /// Disarms the watches that a change fires, and says who is told what, in order.
    pub(crate) fn fire(&mut self, change: &Change) -> Vec<(ClientId, EventKind, String)> {
        let mut told = Vec::new();
        let mut tell = |clients: BTreeSet<ClientId>, kind, path: &str| {
            told.extend(clients.into_iter().map(|client| (client, kind, path.to_owned())));
        };
        let path = change.path.as_str();
        let mut own = self.disarm(path, Watched::Data);
        if change.kind == EventKind::Deleted {
            // A connection that watches both the node and its children hears once that it is gone.
            own.extend(self.disarm(path, Watched::Children));
        }
        tell(own, change.kind, path);
        if matches!(change.kind, EventKind::Created | EventKind::Deleted)
            && let Some((parent, _)) = path::split(path)
        {
            tell(self.disarm(parent, Watched::Children), EventKind::ChildrenChanged, parent);
        }
        told
    }

    /// How many watches are armed.
    pub(crate) fn len(&self) -> usize {
        self.by_client.values().map(BTreeSet::len).sum()
    }

    fn disarm(&mut self, path: &str, watched: Watched) -> BTreeSet<ClientId> {
        let key = (path.to_owned(), watched);
        let clients = self.by_path.remove(&key).unwrap_or_default();
        for client in &clients {
            take(&mut self.by_client, client, &key);
        }
        clients
    }
}

fn keys(path: &str, kind: WatchKind) -> impl Iterator<Item = (String, Watched)> {
    let watched: &[Watched] = match kind {
        WatchKind::Children => &[Watched::Children],
        WatchKind::Data => &[Watched::Data],
        WatchKind::Any => &[Watched::Data, Watched::Children],
    };
    watched.iter().map(move |watched| (path.to_owned(), *watched))
}

/// Takes one element out of one of many sets; a set that is empty goes too.
fn take<K: Ord, V: Ord>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: &K, element: &V) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(element);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told<'a> = (ClientId, EventKind, &'a str);

    const ONE: ClientId = ClientId(1);
    const TWO: ClientId = ClientId(2);

    fn armed() -> Watches {
        let mut watches = Watches::default();
        watches.arm(ONE, "/a", Watched::Data);
        watches.arm(ONE, "/a", Watched::Children);
        watches.arm(TWO, "/a", Watched::Children);
        watches.arm(TWO, "/", Watched::Children);
        watches
    }

    fn change(kind: EventKind, path: &str) -> Change {
        Change { kind, path: path.to_owned() }
    }

    #[test]
    fn each_change_fires_the_watches_that_wait_for_it() {
        use EventKind::{ChildrenChanged, Created, DataChanged, Deleted};
        let cases: [(Change, &[Told]); 6] = [
            (change(DataChanged, "/a"), &[(ONE, DataChanged, "/a")]),
            (change(Created, "/a"), &[(ONE, Created, "/a"), (TWO, ChildrenChanged, "/")]),
            (change(Deleted, "/a"), &[(ONE, Deleted, "/a"), (TWO, Deleted, "/a"), (TWO, ChildrenChanged, "/")]),
            (change(Created, "/a/b"), &[(ONE, ChildrenChanged, "/a"), (TWO, ChildrenChanged, "/a")]),
            (change(DataChanged, "/a/b"), &[]),
            (change(Deleted, "/b"), &[(TWO, ChildrenChanged, "/")]),
        ];
        for (change, expected) in cases {
            let mut watches = armed();
            let told = watches.fire(&change);
            let told: Vec<_> = told.iter().map(|(client, kind, path)| (*client, *kind, path.as_str())).collect();
            assert_eq!(told, expected, "{change:?}");
            assert_eq!(watches.fire(&change), vec![], "{change:?} fired twice");
        }
    }

    #[test]
    fn only_the_watches_that_are_named_are_removed() {
        let cases = [(WatchKind::Data, 3, true), (WatchKind::Children, 3, true), (WatchKind::Any, 2, false)];
        for (kind, left, any) in cases {
            let mut watches = armed();
            assert!(watches.is_armed(ONE, "/a", kind));
            watches.remove(ONE, "/a", kind);
            assert!(!watches.is_armed(ONE, "/a", kind), "{kind:?}");
            assert_eq!((watches.len(), watches.is_armed(ONE, "/a", WatchKind::Any)), (left, any), "{kind:?}");
        }
        assert!(!armed().is_armed(TWO, "/a", WatchKind::Data));
    }

    #[test]
    fn a_connection_that_has_gone_is_told_nothing() {
        let mut watches = armed();
        watches.forget(TWO);
        assert_eq!(watches.len(), 2);
        assert_eq!(watches.fire(&change(EventKind::Deleted, "/a")), vec![(ONE, EventKind::Deleted, "/a".into())]);
        assert_eq!(watches.len(), 0);
    }
}
