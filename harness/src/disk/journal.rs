//! The names that were changed and are not durable yet: one journal for the whole disk, in the order of the changes, as
//! in ext4 and XFS. A loss of power takes its end away.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, RenameFlags, renameat, renameat2};
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{errno, reopened};

/// A name in a folder.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) folder: Arc<OwnedFd>,
    pub(super) name: OsString,
}

impl Name {
    fn kind(&self) -> Result<SFlag, Errno> {
        let stat = fstatat(&self.folder, self.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok(SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT)
    }

    pub(super) fn exists(&self) -> bool {
        self.kind().is_ok()
    }

    fn remove(&self) -> Result<(), Errno> {
        let how = match self.kind()? {
            SFlag::S_IFDIR => UnlinkatFlags::RemoveDir,
            _ => UnlinkatFlags::NoRemoveDir,
        };
        unlinkat(&self.folder, self.name.as_os_str(), how)
    }

    fn rename(&self, to: &Name) -> Result<(), Errno> {
        renameat(&self.folder, self.name.as_os_str(), &to.folder, to.name.as_os_str())
    }
}

/// What became of a name.
#[derive(Debug)]
enum Change {
    Made(Name),
    /// It lies in the attic.
    Removed {
        name: Name,
        kept: Name,
    },
    Moved {
        from: Name,
        to: Name,
        /// What had the new name before, in the attic.
        replaced: Option<Name>,
    },
    Exchanged(Name, Name),
}

/// The changes that are not durable, oldest first.
#[derive(Debug)]
pub(super) struct Journal {
    changes: VecDeque<(Instant, Change)>,
    /// A folder beside the disk: what was removed lies there as long as the removal may be undone.
    attic: Arc<OwnedFd>,
    next: u64,
}

impl Journal {
    pub(super) fn new(attic: Arc<OwnedFd>) -> Journal {
        Journal { changes: VecDeque::new(), attic, next: 0 }
    }

    /// How many changes are not durable.
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// A name was made.
    pub(super) fn made(&mut self, name: Name, now: Instant) {
        self.changes.push_back((now, Change::Made(name)));
    }

    /// Removes a name; a folder must be empty.
    pub(super) fn remove(&mut self, name: Name, now: Instant) -> Result<(), Errno> {
        let kept = self.keep(&name)?;
        self.changes.push_back((now, Change::Removed { name, kept }));
        Ok(())
    }

    /// Gives something another name, in the place of what has that name.
    pub(super) fn rename(&mut self, from: Name, to: Name, now: Instant) -> Result<(), Errno> {
        if same(&from, &to)? {
            return Ok(());
        }
        let replaced = if to.exists() { Some(self.keep(&to)?) } else { None };
        if let Err(error) = from.rename(&to) {
            if let Some(kept) = replaced {
                kept.rename(&to)?;
            }
            return Err(error);
        }
        self.changes.push_back((now, Change::Moved { from, to, replaced }));
        Ok(())
    }

    /// Lets two names change places.
    pub(super) fn exchange(&mut self, one: Name, other: Name, now: Instant) -> Result<(), Errno> {
        exchange(&one, &other)?;
        self.changes.push_back((now, Change::Exchanged(one, other)));
        Ok(())
    }

    /// Moves something into the attic.
    fn keep(&mut self, name: &Name) -> Result<Name, Errno> {
        if name.kind()? == SFlag::S_IFDIR && !is_empty(name)? {
            return Err(Errno::ENOTEMPTY);
        }
        let kept = Name { folder: Arc::clone(&self.attic), name: self.next.to_string().into() };
        name.rename(&kept)?;
        self.next += 1;
        Ok(kept)
    }

    /// The oldest changes are durable, all that are older than that moment.
    pub(super) fn commit_until(&mut self, moment: Instant) -> Result<(), Errno> {
        while self.changes.front().is_some_and(|(when, _)| *when < moment) {
            self.commit_first()?;
        }
        Ok(())
    }

    /// All changes are durable.
    pub(super) fn commit(&mut self) -> Result<(), Errno> {
        while !self.changes.is_empty() {
            self.commit_first()?;
        }
        Ok(())
    }

    fn commit_first(&mut self) -> Result<(), Errno> {
        match self.changes.pop_front() {
            Some((_, Change::Removed { kept, .. } | Change::Moved { replaced: Some(kept), .. })) => kept.remove(),
            _ => Ok(()),
        }
    }

    /// Undoes all changes but the first ones; those are durable then.
    pub(super) fn lose_after(&mut self, kept: usize) -> Result<(), Errno> {
        while self.changes.len() > kept {
            let Some((_, change)) = self.changes.pop_back() else { break };
            match change {
                Change::Made(name) => name.remove()?,
                Change::Removed { name, kept } => kept.rename(&name)?,
                Change::Moved { from, to, replaced } => {
                    to.rename(&from)?;
                    if let Some(kept) = replaced {
                        kept.rename(&to)?;
                    }
                }
                Change::Exchanged(one, other) => exchange(&one, &other)?,
            }
        }
        self.commit()
    }
}

fn exchange(one: &Name, other: &Name) -> Result<(), Errno> {
    let flags = RenameFlags::RENAME_EXCHANGE;
    renameat2(&one.folder, one.name.as_os_str(), &other.folder, other.name.as_os_str(), flags)
}

/// Whether both are names of one file: a rename does nothing then (rename(2)).
fn same(one: &Name, other: &Name) -> Result<bool, Errno> {
    let identity = |name: &Name| {
        fstatat(&name.folder, name.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
            .map(|stat| (stat.st_dev, stat.st_ino))
    };
    Ok(other.exists() && identity(one)? == identity(other)?)
}

fn is_empty(folder: &Name) -> Result<bool, Errno> {
    let path = reopened(&folder.folder).join(&folder.name);
    let mut entries = std::fs::read_dir(path).map_err(|error| errno(&error))?;
    Ok(entries.next().is_none())
}
