//! Disks without a kernel in between, against models that are simple enough to be believed: random changes, then a loss
//! of power. A failure names its seed; `GRUDGE_SEED` runs that one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::store::{ROOT, Store};
use super::unsynced::{Manner, PAGE, SECTOR, Unsynced};
use super::{COMMIT_AFTER, Troubles, WRITE_BACK_AFTER};

fn seeds(count: u64) -> Range<u64> {
    match std::env::var("GRUDGE_SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("a number");
            seed..seed + 1
        }
        Err(_) => 0..count,
    }
}

// ---- one file

/// A file as three plain arrays.
#[derive(Default)]
struct Plain {
    /// What the node sees.
    seen: Vec<u8>,
    /// What a disk certainly holds.
    durable: Vec<u8>,
    /// Pages whose fsync failed, and what they held before.
    doomed: BTreeMap<usize, Vec<u8>>,
    /// Pages that were changed since the last fsync.
    changed: BTreeSet<usize>,
}

const SIZE: usize = PAGE as usize;

impl Plain {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        self.changed.extend(offset / SIZE..=(end - 1) / SIZE);
    }

    fn resize(&mut self, length: usize) {
        if length < self.durable.len().min(self.seen.len()) {
            self.changed.extend(length / SIZE..=(self.durable.len().min(self.seen.len()) - 1) / SIZE);
        }
        self.seen.resize(length, 0);
    }

    fn page(of: &[u8], page: usize) -> Vec<u8> {
        of.iter().skip(page * SIZE).take(SIZE).copied().collect()
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.seen);
        for page in std::mem::take(&mut self.changed) {
            self.doomed.remove(&page);
        }
        for (page, old) in &self.doomed {
            for (index, byte) in self.durable.iter_mut().skip(page * SIZE).take(SIZE).enumerate() {
                *byte = old.get(index).copied().unwrap_or(0);
            }
        }
    }

    fn fail(&mut self) {
        for page in std::mem::take(&mut self.changed) {
            let old = Plain::page(&self.durable, page);
            self.doomed.entry(page).or_insert(old);
        }
    }
}

#[test]
fn what_was_written_behind_a_cut_survives_only_with_the_cut() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut outcomes = [0; 2];
    for seed in seeds(200) {
        let path = folder.path().join(seed.to_string());
        fs::write(&path, [b'a'; 3 * SIZE]).expect("a new file");
        let file = Arc::new(fs::OpenOptions::new().read(true).write(true).open(&path).expect("it is there"));
        let mut unsynced = Unsynced::new(Arc::clone(&file), Instant::now()).expect("it is open");
        unsynced.before_resize(0).and_then(|()| file.set_len(0)).expect("it is cut");
        unsynced.before_write(0, 2 * PAGE).expect("it can be read");
        file.write_all_at(&[b'b'; 2 * SIZE], 0).expect("a small file");
        let manner = if seed % 2 == 0 { Manner::Prefix } else { Manner::Scattered };
        unsynced.lose(manner, &mut ChaCha8Rng::seed_from_u64(seed)).expect("it can be changed");
        let left = fs::read(&path).expect("it is there");
        let (old, new) = (left.contains(&b'a'), left.contains(&b'b'));
        assert!(!(old && new), "{manner:?}; again: GRUDGE_SEED={seed} cargo test -p grudge --lib disk");
        outcomes[usize::from(new)] += 1;
    }
    let tried = outcomes.iter().sum::<usize>();
    assert!(tried == 1 || outcomes.iter().all(|times| *times > 0), "both happen: {outcomes:?}");
}

#[test]
fn a_file_loses_what_was_not_synced_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for seed in seeds(400) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let path = folder.path().join(seed.to_string());
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("a new file");
        let file = Arc::new(file);
        let mut plain = Plain::default();
        let mut unsynced = Unsynced::new(Arc::clone(&file), Instant::now()).expect("it is open");
        for step in 0..rng.random_range(1_u8..30) {
            match rng.random_range(0..10) {
                0..6 => {
                    let offset = rng.random_range(0..4 * PAGE);
                    let length = rng.random_range(1..3 * PAGE / 2);
                    let bytes = vec![step + 1; usize::try_from(length).expect("small")];
                    unsynced.before_write(offset, length).expect("it can be read");
                    file.write_all_at(&bytes, offset).expect("a small file");
                    plain.write(usize::try_from(offset).expect("small"), &bytes);
                }
                6..8 => {
                    let length = rng.random_range(0..5 * PAGE);
                    unsynced.before_resize(length).expect("it can be read");
                    file.set_len(length).expect("a small file");
                    plain.resize(usize::try_from(length).expect("small"));
                }
                8 => {
                    unsynced.synced().expect("it is there");
                    plain.sync();
                }
                _ => {
                    unsynced.sync_failed();
                    plain.fail();
                }
            }
        }
        let manner = [Manner::Nothing, Manner::Prefix, Manner::Scattered][usize::try_from(seed % 3).expect("small")];
        unsynced.lose(manner, &mut rng).expect("it can be changed");
        let left = fs::read(&path).expect("it is there");
        let again = format!("{manner:?}; again: GRUDGE_SEED={seed} cargo test -p grudge --lib disk");
        if manner == Manner::Nothing {
            assert!(left == plain.durable, "{} bytes are left of {}; {again}", left.len(), plain.durable.len());
        }
        let longest = plain.durable.len().max(plain.seen.len());
        assert!(left.len() <= longest, "{} bytes of at most {longest}; {again}", left.len());
        for (index, sector) in left.chunks(SECTOR as usize).enumerate() {
            let at = index * SECTOR as usize;
            let is = |of: &[u8]| {
                sector.iter().enumerate().all(|(more, byte)| of.get(at + more).copied().unwrap_or(0) == *byte)
            };
            let zeros = sector.iter().all(|byte| *byte == 0);
            let (seen, durable) = (is(&plain.seen), is(&plain.durable));
            // Of a cut in the middle of a sector that survives without what came after, the first part is old.
            let cut = sector
                .iter()
                .enumerate()
                .all(|(more, byte)| [0, plain.durable.get(at + more).copied().unwrap_or(0)].contains(byte));
            assert!(seen || durable || zeros || cut, "the sector at {at} is neither new nor old; {again}");
            let changed = plain.changed.contains(&(at / SIZE)) || plain.doomed.contains_key(&(at / SIZE));
            assert!(changed || durable, "the sector at {at} was durable; {again}");
        }
    }
}

#[test]
fn a_torn_write_is_torn_between_sectors_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut torn = 0;
    for seed in seeds(60) {
        let path = folder.path().join(seed.to_string());
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("a new file");
        let mut unsynced = Unsynced::new(Arc::new(file), Instant::now()).expect("it is open");
        unsynced.before_write(0, 3 * PAGE).expect("it can be read");
        fs::write(&path, vec![7; 3 * SIZE]).expect("a small file");
        unsynced.lose(Manner::Prefix, &mut ChaCha8Rng::seed_from_u64(seed)).expect("it can be changed");
        let left = fs::read(&path).expect("it is there");
        assert!(left.iter().all(|byte| *byte == 7), "seed {seed}: a hole in what came first");
        assert_eq!(left.len() as u64 % SECTOR, 0, "seed {seed}");
        torn += usize::from(!(left.len() as u64).is_multiple_of(PAGE));
    }
    assert!(torn > 0, "none of these was torn within a page");
}

// ---- names

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Folder,
    /// A file with that number in it.
    File(u64),
}

type Names = BTreeMap<String, Item>;

/// Folders as a list of paths, and every state of it that a loss of power may bring back.
struct Tree {
    names: Names,
    /// Since the last fsync, the oldest first.
    before: Vec<Names>,
    synced: BTreeMap<u64, bool>,
    next: u64,
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn walk(store: &mut Store, path: &str) -> u64 {
    path.split('/').filter(|name| !name.is_empty()).fold(ROOT, |folder, name| {
        store.lookup(folder, OsStr::new(name)).unwrap_or_else(|error| panic!("{path}: {error}")).st_ino
    })
}

impl Tree {
    fn folders(&self) -> Vec<String> {
        let folders = self.names.iter().filter(|(_, item)| **item == Item::Folder).map(|(path, _)| path.clone());
        folders.chain([String::new()]).collect()
    }

    fn changed(&mut self, change: impl FnOnce(&mut Names)) {
        self.before.push(self.names.clone());
        change(&mut self.names);
    }

    fn is_empty(&self, folder: &str) -> bool {
        !self.names.keys().any(|path| path.starts_with(&format!("{folder}/")))
    }

    /// One random change, done to the store as the kernel would ask for it.
    fn change(&mut self, store: &mut Store, rng: &mut ChaCha8Rng) {
        let folder = self.folders().choose(rng).expect("the root at least").clone();
        let name = *["a", "b", "c"].choose(rng).expect("three");
        let path = format!("{folder}/{name}");
        let parent = walk(store, &folder);
        let there = self.names.get(&path).copied();
        match (rng.random_range(0..12), there) {
            (0..4, None) => {
                let (stat, handle) = store.create(parent, OsStr::new(name), 0o644).expect(&path);
                store.write(handle, 0, &self.next.to_be_bytes()).expect(&path);
                store.release(handle);
                let item = Item::File(self.next);
                self.synced.insert(self.next, false);
                self.next += 1;
                self.changed(|names| {
                    names.insert(path, item);
                });
                assert!(stat.st_ino > 0);
            }
            (4..6, None) if folder.len() < 6 => {
                store.mkdir(parent, OsStr::new(name), 0o755).expect(&path);
                self.changed(|names| {
                    names.insert(path, Item::Folder);
                });
            }
            (0..4, Some(Item::File(_))) => {
                store.unlink(parent, OsStr::new(name)).expect(&path);
                self.changed(|names| {
                    names.remove(&path);
                });
            }
            (0..4, Some(Item::Folder)) => {
                let removed = store.rmdir(parent, OsStr::new(name));
                assert_eq!(removed.is_ok(), self.is_empty(&path), "{path}: {removed:?}");
                if removed.is_ok() {
                    self.changed(|names| {
                        names.remove(&path);
                    });
                }
            }
            (4..10, Some(item)) => self.rename(store, rng, &path, item),
            (10, Some(Item::File(id))) => {
                let ino = walk(store, &path);
                store.synced(ino).expect(&path);
                self.synced.insert(id, true);
                self.before.clear();
            }
            (11, _) => {
                store.synced(parent).expect(&folder);
                self.before.clear();
            }
            _ => {}
        }
    }

    fn rename(&mut self, store: &mut Store, rng: &mut ChaCha8Rng, from: &str, item: Item) {
        let folder = self.folders().choose(rng).expect("the root at least").clone();
        let to = format!("{folder}/{}", ["a", "b", "c"].choose(rng).expect("three"));
        // What the kernel refuses by itself.
        let into_itself = format!("{folder}/").starts_with(&format!("{from}/"));
        let kinds = self.names.get(&to).is_some_and(|there| matches!(there, Item::Folder) != (item == Item::Folder));
        let full = self.names.get(&to) == Some(&Item::Folder) && !self.is_empty(&to);
        if into_itself || kinds || full || to == from {
            return;
        }
        let (from_folder, to_folder) = (walk(store, split(from).0), walk(store, split(&to).0));
        let names = (OsStr::new(split(from).1), OsStr::new(split(&to).1));
        store
            .rename((from_folder, names.0), (to_folder, names.1), 0)
            .unwrap_or_else(|error| panic!("{from} {to}: {error}"));
        self.changed(|names| {
            let below = format!("{from}/");
            let moved: Vec<String> =
                names.keys().filter(|path| *path == from || path.starts_with(&below)).cloned().collect();
            for path in moved {
                let item = names.remove(&path).expect("it was listed");
                names.insert(format!("{to}{}", &path[from.len()..]), item);
            }
        });
    }
}

/// What is there, and the number in each file, if it holds one.
fn found(root: &std::path::Path, below: &str, found: &mut BTreeMap<String, Option<Vec<u8>>>) {
    for entry in fs::read_dir(root.join(below)).expect("a folder").flatten() {
        let name = entry.file_name().into_string().expect("plain names");
        let path = format!("{below}/{name}");
        if entry.file_type().expect("it is there").is_dir() {
            found.insert(path.clone(), None);
            self::found(root, path.trim_start_matches('/'), found);
        } else {
            found.insert(path, Some(fs::read(entry.path()).expect("a file")));
        }
    }
}

#[test]
fn names_are_lost_from_the_last_one_on_and_what_was_synced_has_its_name() {
    for seed in seeds(150) {
        let again = format!("again: GRUDGE_SEED={seed} cargo test -p grudge --lib disk");
        let place = tempfile::tempdir().expect("a folder for the test");
        let (data, attic) = (place.path().join("data"), place.path().join("attic"));
        fs::create_dir(&data).and_then(|()| fs::create_dir(&attic)).expect("empty folders");
        let mut store = Store::open(&data, &attic).expect("a store");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut tree = Tree { names: Names::new(), before: Vec::new(), synced: BTreeMap::new(), next: 1 };
        for life in 0..3 {
            for _ in 0..rng.random_range(0..60) {
                tree.change(&mut store, &mut rng);
            }
            let loss = store.lose(rng.random()).expect("it can be done");
            let lost = usize::try_from(loss.names).expect("small");
            assert!(lost <= tree.before.len(), "life {life}: {lost} of {} changes; {again}", tree.before.len());
            tree.before.push(tree.names.clone());
            tree.names = tree.before[tree.before.len() - 1 - lost].clone();
            tree.before.clear();
            let mut left = BTreeMap::new();
            found(&data, "", &mut left);
            let left: BTreeMap<String, Option<Vec<u8>>> =
                left.into_iter().map(|(path, bytes)| (format!("/{}", path.trim_start_matches('/')), bytes)).collect();
            let (wanted, is): (Vec<_>, Vec<_>) = (tree.names.keys().collect(), left.keys().collect());
            assert_eq!(wanted, is, "life {life}; {again}");
            for (path, item) in &tree.names {
                match (item, &left[path]) {
                    (Item::Folder, None) => {}
                    (Item::File(id), Some(bytes)) => {
                        let whole = *bytes == id.to_be_bytes();
                        assert!(whole || !tree.synced[id], "life {life}: {path} lost what was synced; {again}");
                        assert!(whole || bytes.is_empty(), "life {life}: {path} holds {bytes:?}; {again}");
                    }
                    other => panic!("life {life}: {path} is {other:?}; {again}"),
                }
            }
            assert_eq!(fs::read_dir(&attic).expect("a folder").count(), 0, "life {life}: the attic is empty; {again}");
            // What is left is durable now; what is empty would stay so.
            let (kept, empty): (Names, Names) = std::mem::take(&mut tree.names)
                .into_iter()
                .partition(|(path, _)| left[path].as_ref().is_none_or(|bytes| !bytes.is_empty()));
            for path in empty.keys() {
                fs::remove_file(data.join(path.trim_start_matches('/'))).expect("a file");
            }
            tree.names = kept;
            tree.synced.values_mut().for_each(|synced| *synced = true);
        }
    }
}

// ---- what the kernel does by itself, and what is the harness's

fn small() -> (tempfile::TempDir, Store) {
    let place = tempfile::tempdir().expect("a folder for the test");
    let (data, attic) = (place.path().join("data"), place.path().join("attic"));
    fs::create_dir(&data).and_then(|()| fs::create_dir(&attic)).expect("empty folders");
    let store = Store::open(&data, &attic).expect("a store");
    (place, store)
}

#[test]
fn what_is_old_is_durable_names_before_data() {
    let (place, mut store) = small();
    let (_, handle) = store.create(ROOT, OsStr::new("file"), 0o644).expect("it is new");
    store.write(handle, 0, b"data").expect("a few bytes");
    store.write_back(Instant::now() + COMMIT_AFTER + Duration::from_secs(1)).expect("it can be done");
    // Every seed: no one may lose the name.
    let loss = store.lose(1).expect("it can be done");
    assert_eq!(loss.names, 0);
    let path = place.path().join("data/file");
    assert!(path.exists());
    let ino = walk(&mut store, "file");
    store.resize(ino, 0).expect("it can be cut");
    store.write(handle, 0, b"more").expect("a few bytes");
    store.write_back(Instant::now() + WRITE_BACK_AFTER + Duration::from_secs(1)).expect("it can be done");
    assert_eq!(store.lose(2).expect("it can be done"), super::Loss::default());
    assert_eq!(fs::read(&path).expect("it is there"), b"more");
}

#[test]
fn a_halt_file_has_no_troubles_and_survives() {
    let (place, mut store) = small();
    store.troubles = Troubles { full: true, write_error: true, ..Troubles::default() };
    let (_, handle) = store.create(ROOT, OsStr::new(".halt"), 0o644).expect("it is the harness's");
    store.write(handle, 0, b"raft-elected 1").expect("it is the harness's");
    store.rename((ROOT, OsStr::new(".halt")), (ROOT, OsStr::new("halt")), 0).expect("it is the harness's");
    assert_eq!(store.lose(1).expect("it can be done"), super::Loss::default());
    assert_eq!(fs::read(place.path().join("data/halt")).expect("it is there"), b"raft-elected 1");
    assert!(store.create(ROOT, OsStr::new("other"), 0o644).is_err(), "the disk is full for everybody else");
}
