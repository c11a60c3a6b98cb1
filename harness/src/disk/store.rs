//! A disk as its layer sees it: what passes through to the folder underneath, and what of it is not durable.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirEntryExt, FileExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FallocateFlags, OFlag, fallocate, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::journal::{Journal, Name};
use super::unsynced::{Manner, Unsynced};
use super::{CANARY, COMMIT_AFTER, Loss, ORDERS, PROBE, Troubles, WRITE_BACK_AFTER, errno, reopened};

/// The number under which the kernel knows the disk's root.
pub(super) const ROOT: u64 = 1;

/// What is open.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) file: Arc<File>,
    pub(super) ino: u64,
}

/// An entry of a folder.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) ino: u64,
    pub(super) kind: fs::FileType,
    pub(super) name: OsString,
}

/// A file or folder that the kernel knows.
#[derive(Debug)]
struct Node {
    /// Opened as a path: it stays the same under any name, and its number is not given to another one.
    place: Arc<OwnedFd>,
    lookups: u64,
}

/// The disk.
#[derive(Debug)]
pub(super) struct Store {
    nodes: HashMap<u64, Node>,
    files: HashMap<u64, Open>,
    folders: HashMap<u64, Arc<Vec<Entry>>>,
    next_handle: u64,
    journal: Journal,
    unsynced: BTreeMap<u64, Unsynced>,
    /// Files of the harness: they have no trouble, and no loss of power changes them.
    orders: HashSet<u64>,
    /// The files that prove the harness's faults.
    probe: Option<u64>,
    canary: Option<u64>,
    pub(super) troubles: Troubles,
}

type Done<T> = Result<T, Errno>;

impl Store {
    /// The disk in that folder. What is removed lies in the attic until that is durable.
    pub(super) fn open(folder: &Path, attic: &Path) -> std::io::Result<Store> {
        let place = |path: &Path| -> std::io::Result<Arc<OwnedFd>> {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            Ok(Arc::new(nix::fcntl::open(path, flags, Mode::empty())?))
        };
        let root = Node { place: place(folder)?, lookups: 1 };
        Ok(Store {
            nodes: HashMap::from([(ROOT, root)]),
            files: HashMap::new(),
            folders: HashMap::new(),
            next_handle: 1,
            journal: Journal::new(place(attic)?),
            unsynced: BTreeMap::new(),
            orders: HashSet::new(),
            probe: None,
            canary: None,
            troubles: Troubles::default(),
        })
    }

    // ---- names

    fn place(&self, ino: u64) -> Done<Arc<OwnedFd>> {
        self.nodes.get(&ino).map(|node| Arc::clone(&node.place)).ok_or(Errno::ENOENT)
    }

    fn name(&self, folder: u64, name: &OsStr) -> Done<Name> {
        Ok(Name { folder: self.place(folder)?, name: name.to_owned() })
    }

    /// Whether that is the name of a file by which the harness tells the node something.
    fn is_order(folder: u64, name: &OsStr) -> bool {
        folder == ROOT && ORDERS.iter().any(|order| name == *order)
    }

    pub(super) fn lookup(&mut self, folder: u64, name: &OsStr) -> Done<FileStat> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let place = openat(self.place(folder)?, name, flags, Mode::empty())?;
        let stat = fstatat(&place, "", AtFlags::AT_EMPTY_PATH)?;
        let node = self.nodes.entry(stat.st_ino).or_insert_with(|| Node { place: Arc::new(place), lookups: 0 });
        node.lookups += 1;
        Ok(stat)
    }

    pub(super) fn forget(&mut self, ino: u64, lookups: u64) {
        if let Some(node) = self.nodes.get_mut(&ino).filter(|_| ino != ROOT) {
            node.lookups = node.lookups.saturating_sub(lookups);
            if node.lookups == 0 {
                self.nodes.remove(&ino);
            }
        }
    }

    pub(super) fn stat(&self, ino: u64) -> Done<FileStat> {
        fstatat(self.place(ino)?, "", AtFlags::AT_EMPTY_PATH)
    }

    /// The folder's path for calls that take no open file: it leads to the very same inode.
    pub(super) fn path(&self, ino: u64) -> Done<std::path::PathBuf> {
        self.place(ino).map(|place| reopened(&place))
    }

    pub(super) fn mkdir(&mut self, folder: u64, name: &OsStr, mode: u32) -> Done<FileStat> {
        self.make(folder, name, |at| mkdirat(&at.folder, name, Mode::from_bits_truncate(mode)))
    }

    pub(super) fn mknod(&mut self, folder: u64, name: &OsStr, mode: u32, device: u64) -> Done<FileStat> {
        let (kind, mode) = (SFlag::from_bits_truncate(mode), Mode::from_bits_truncate(mode));
        self.make(folder, name, |at| mknodat(&at.folder, name, kind & SFlag::S_IFMT, mode, device))
    }

    pub(super) fn symlink(&mut self, folder: u64, name: &OsStr, target: &Path) -> Done<FileStat> {
        self.make(folder, name, |at| symlinkat(target, &at.folder, name))
    }

    pub(super) fn link(&mut self, ino: u64, folder: u64, name: &OsStr) -> Done<FileStat> {
        let place = self.path(ino)?;
        self.make(folder, name, |at| linkat(nix::fcntl::AT_FDCWD, &place, &at.folder, name, AtFlags::AT_SYMLINK_FOLLOW))
    }

    /// Makes a name that was not there.
    fn make(&mut self, folder: u64, name: &OsStr, make: impl FnOnce(&Name) -> Done<()>) -> Done<FileStat> {
        let order = Store::is_order(folder, name);
        if self.troubles.full && !order {
            return Err(Errno::ENOSPC);
        }
        let at = self.name(folder, name)?;
        make(&at)?;
        let stat = self.lookup(folder, name)?;
        if order {
            self.orders.insert(stat.st_ino);
        } else {
            // The number may be that of a file that is gone.
            self.orders.remove(&stat.st_ino);
            self.journal.made(at, Instant::now());
        }
        Ok(stat)
    }

    pub(super) fn create(&mut self, folder: u64, name: &OsStr, mode: u32) -> Done<(FileStat, u64)> {
        let at = self.name(folder, name)?;
        let stat = if at.exists() {
            self.lookup(folder, name)?
        } else {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            self.make(folder, name, |at| openat(&at.folder, name, flags, Mode::from_bits_truncate(mode)).map(drop))?
        };
        if folder == ROOT && name == PROBE {
            self.probe = Some(stat.st_ino);
        } else if folder == ROOT && name == CANARY {
            self.canary = Some(stat.st_ino);
        }
        Ok((stat, self.open_file(stat.st_ino, true)?))
    }

    pub(super) fn unlink(&mut self, folder: u64, name: &OsStr) -> Done<()> {
        let at = self.name(folder, name)?;
        if Store::is_order(folder, name) {
            return unlinkat(&at.folder, name, UnlinkatFlags::NoRemoveDir);
        }
        self.journal.remove(at, Instant::now())
    }

    pub(super) fn rmdir(&mut self, folder: u64, name: &OsStr) -> Done<()> {
        let at = self.name(folder, name)?;
        self.journal.remove(at, Instant::now())
    }

    pub(super) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), how: u32) -> Done<()> {
        let order = Store::is_order(from.0, from.1) && Store::is_order(to.0, to.1);
        let (from, to) = (self.name(from.0, from.1)?, self.name(to.0, to.1)?);
        let now = Instant::now();
        match how {
            0 if order => nix::fcntl::renameat(&from.folder, from.name.as_os_str(), &to.folder, to.name.as_os_str()),
            0 => self.journal.rename(from, to, now),
            nix::libc::RENAME_NOREPLACE if to.exists() => Err(Errno::EEXIST),
            nix::libc::RENAME_NOREPLACE => self.journal.rename(from, to, now),
            nix::libc::RENAME_EXCHANGE => self.journal.exchange(from, to, now),
            _ => Err(Errno::EINVAL),
        }
    }

    pub(super) fn readlink(&self, ino: u64) -> Done<OsString> {
        nix::fcntl::readlinkat(self.place(ino)?, "")
    }

    // ---- files

    pub(super) fn open_file(&mut self, ino: u64, write: bool) -> Done<u64> {
        let path = self.path(ino)?;
        let file = OpenOptions::new().read(true).write(write).open(path).map_err(|error| errno(&error))?;
        let handle = self.handle();
        self.files.insert(handle, Open { file: Arc::new(file), ino });
        Ok(handle)
    }

    fn handle(&mut self) -> u64 {
        self.next_handle += 1;
        self.next_handle
    }

    pub(super) fn file(&self, handle: u64) -> Done<Open> {
        self.files.get(&handle).cloned().ok_or(Errno::EBADF)
    }

    pub(super) fn release(&mut self, handle: u64) {
        self.files.remove(&handle);
        self.folders.remove(&handle);
    }

    /// Whether a file has the troubles of its disk.
    pub(super) fn suffers(&self, ino: u64) -> bool {
        !self.orders.contains(&ino) && self.canary != Some(ino)
    }

    /// Whether it is a file of the harness.
    fn is_ours(&self, ino: u64) -> bool {
        self.orders.contains(&ino) || [self.probe, self.canary].contains(&Some(ino))
    }

    pub(super) fn write(&mut self, handle: u64, offset: u64, bytes: &[u8]) -> Done<()> {
        let open = self.file(handle)?;
        self.may_write(open.ino)?;
        if let Some(unsynced) = self.unsynced(&open)? {
            unsynced.before_write(offset, bytes.len() as u64).map_err(|error| errno(&error))?;
        }
        open.file.write_all_at(bytes, offset).map_err(|error| errno(&error))
    }

    pub(super) fn resize(&mut self, ino: u64, length: u64) -> Done<()> {
        let path = self.path(ino)?;
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| errno(&error))?;
        let open = Open { file: Arc::new(file), ino };
        if let Some(unsynced) = self.unsynced(&open)? {
            unsynced.before_resize(length).map_err(|error| errno(&error))?;
        }
        open.file.set_len(length).map_err(|error| errno(&error))
    }

    pub(super) fn allocate(&mut self, handle: u64, mode: i32, offset: u64, length: u64) -> Done<()> {
        let open = self.file(handle)?;
        self.may_write(open.ino)?;
        let mode = FallocateFlags::from_bits(mode).ok_or(Errno::EOPNOTSUPP)?;
        if mode.intersects(FallocateFlags::FALLOC_FL_COLLAPSE_RANGE | FallocateFlags::FALLOC_FL_INSERT_RANGE) {
            return Err(Errno::EOPNOTSUPP);
        }
        let zeroes = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_ZERO_RANGE;
        if let Some(unsynced) = self.unsynced(&open)?.filter(|_| mode.intersects(zeroes)) {
            unsynced.before_write(offset, length).map_err(|error| errno(&error))?;
        }
        let signed = |number: u64| i64::try_from(number).map_err(|_| Errno::EFBIG);
        fallocate(&open.file, mode, signed(offset)?, signed(length)?)
    }

    fn may_write(&self, ino: u64) -> Done<()> {
        match self.troubles {
            _ if !self.suffers(ino) => Ok(()),
            Troubles { write_error: true, .. } => Err(Errno::EIO),
            Troubles { full: true, .. } => Err(Errno::ENOSPC),
            _ => Ok(()),
        }
    }

    /// What is to be remembered of a file that is about to change; nothing of those that lose nothing.
    fn unsynced(&mut self, open: &Open) -> Done<Option<&mut Unsynced>> {
        if self.orders.contains(&open.ino) {
            return Ok(None);
        }
        match self.unsynced.entry(open.ino) {
            MapEntry::Occupied(known) => Ok(Some(known.into_mut())),
            MapEntry::Vacant(new) => {
                let fresh = Unsynced::new(Arc::clone(&open.file), Instant::now());
                Ok(Some(new.insert(fresh.map_err(|error| errno(&error))?)))
            }
        }
    }

    // ---- folders

    pub(super) fn open_folder(&mut self, ino: u64) -> Done<u64> {
        let entries = fs::read_dir(self.path(ino)?).map_err(|error| errno(&error))?;
        let hidden = |name: &OsStr| ino == ROOT && (name == PROBE || name == CANARY);
        let mut list = Vec::new();
        for entry in entries.flatten().filter(|entry| !hidden(&entry.file_name())) {
            let kind = entry.file_type().map_err(|error| errno(&error))?;
            list.push(Entry { ino: entry.ino(), kind, name: entry.file_name() });
        }
        list.sort_by(|one, other| one.name.cmp(&other.name));
        let handle = self.handle();
        self.folders.insert(handle, Arc::new(list));
        Ok(handle)
    }

    pub(super) fn entries(&self, handle: u64) -> Done<Arc<Vec<Entry>>> {
        self.folders.get(&handle).cloned().ok_or(Errno::EBADF)
    }

    // ---- what is durable

    /// The file was made durable, and with it every name that was changed until now.
    pub(super) fn synced(&mut self, ino: u64) -> Done<()> {
        self.journal.commit()?;
        self.file_synced(ino)
    }

    fn file_synced(&mut self, ino: u64) -> Done<()> {
        let Some(unsynced) = self.unsynced.get_mut(&ino) else { return Ok(()) };
        if unsynced.synced().map_err(|error| errno(&error))? {
            self.unsynced.remove(&ino);
        }
        Ok(())
    }

    /// The file could not be made durable.
    pub(super) fn sync_failed(&mut self, ino: u64) {
        if let Some(unsynced) = self.unsynced.get_mut(&ino) {
            unsynced.sync_failed();
        }
    }

    /// What the kernel does by itself after a while.
    pub(super) fn write_back(&mut self, now: Instant) -> Done<()> {
        if let Some(moment) = now.checked_sub(COMMIT_AFTER) {
            self.journal.commit_until(moment)?;
        }
        let Some(moment) = now.checked_sub(WRITE_BACK_AFTER) else { return Ok(()) };
        let old: Vec<u64> = self.unsynced.iter().filter(|(_, file)| file.since < moment).map(|(ino, _)| *ino).collect();
        old.into_iter().try_for_each(|ino| self.file_synced(ino))
    }

    /// Everything is durable.
    pub(super) fn settle(&mut self) -> Done<()> {
        self.journal.commit()?;
        self.unsynced.clear();
        Ok(())
    }

    /// The power fails; nobody has a file open any more but those who are dead.
    pub(super) fn lose(&mut self, seed: u64) -> Done<Loss> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let names = self.journal.len();
        let kept = if rng.random() { 0 } else { rng.random_range(0..=names) };
        self.journal.lose_after(kept)?;
        let mut loss = Loss { names: (names - kept) as u64, ..Loss::default() };
        for (ino, unsynced) in std::mem::take(&mut self.unsynced) {
            if unsynced.is_gone().map_err(|error| errno(&error))? {
                continue;
            }
            let manner = if self.canary == Some(ino) { Manner::Nothing } else { Manner::drawn(&mut rng) };
            let bytes = unsynced.lose(manner, &mut rng).map_err(|error| errno(&error))?;
            if bytes > 0 && !self.is_ours(ino) {
                loss.files += 1;
                loss.bytes += bytes;
            }
        }
        Ok(loss)
    }

    /// The files that nobody has open, by their names from the root on.
    pub(super) fn closed_files(&self) -> Done<Vec<(std::path::PathBuf, u64)>> {
        let open: HashSet<u64> = self.files.values().map(|open| open.ino).collect();
        let root = self.path(ROOT)?;
        let (mut closed, mut folders) = (Vec::new(), vec![std::path::PathBuf::new()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(root.join(&folder)).map_err(|error| errno(&error))?.flatten() {
                let path = folder.join(entry.file_name());
                let Ok(data) = entry.metadata() else { continue };
                let ours = self.is_ours(entry.ino());
                if data.is_dir() {
                    folders.push(path);
                } else if data.is_file() && data.len() > 0 && !ours && !open.contains(&entry.ino()) {
                    closed.push((path, entry.ino()));
                }
            }
        }
        closed.sort();
        Ok(closed)
    }

    /// Opens a file for a change that no process makes. It is durable as it is from now on.
    pub(super) fn settled(&mut self, path: &Path, ino: u64) -> Done<File> {
        self.file_synced(ino)?;
        let path = self.path(ROOT)?.join(path);
        OpenOptions::new().read(true).write(true).open(path).map_err(|error| errno(&error))
    }
}
