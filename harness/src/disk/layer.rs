//! The layer as the kernel talks to it: each request handed to the [`Store`], fsyncs outside of its lock.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno as Refusal, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag, UtimensatFlags, utimensat};
use nix::sys::statvfs::statvfs;
use nix::sys::time::TimeSpec;

use super::errno;
use super::store::{Open, ROOT, Store};

/// How long the kernel may keep what it was told of names and attributes: a loss of power changes both.
const KEPT: Duration = Duration::ZERO;

/// A disk, for the kernel's requests and for the orders of the harness.
#[derive(Debug)]
pub(super) struct Shared {
    store: Mutex<Store>,
    /// How often fsyncs that wait were told to give up.
    released: Mutex<u64>,
    release: Condvar,
}

impl Shared {
    pub(super) fn new(store: Store) -> Shared {
        Shared { store: Mutex::new(store), released: Mutex::new(0), release: Condvar::new() }
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no holder panics")
    }

    /// Lets every fsync that waits fail at once: whoever asked for it is being killed.
    pub(super) fn release(&self) {
        *self.released.lock().expect("no holder panics") += 1;
        self.release.notify_all();
    }

    /// Waits that long; false if it was told to give up.
    fn wait(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut released = self.released.lock().expect("no holder panics");
        let before = *released;
        while *released == before {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return true };
            released = self.release.wait_timeout(released, left).expect("no holder panics").0;
        }
        false
    }

    /// Makes a file or folder durable, and with it all names. What fails is not durable, now or later.
    fn sync(&self, open: &Open, slow: Option<Duration>) -> Result<(), Errno> {
        if slow.is_some_and(|time| !self.wait(time)) {
            return Err(Errno::EIO);
        }
        {
            let mut store = self.store();
            if store.troubles.fsync_error && store.suffers(open.ino) {
                store.sync_failed(open.ino);
                return Err(Errno::EIO);
            }
        }
        open.file.sync_data().map_err(|error| errno(&error))?;
        self.store().synced(open.ino)
    }
}

/// What is mounted.
#[derive(Debug)]
pub(super) struct Layer(pub(super) Arc<Shared>);

impl Layer {
    fn sync(&self, open: Open, reply: ReplyEmpty) {
        let slow = self.0.store().troubles.slow;
        let Some(time) = slow else { return finish(self.0.sync(&open, None), reply) };
        // A thread of its own: whoever waits keeps nobody else from the disk.
        let shared = Arc::clone(&self.0);
        std::thread::spawn(move || finish(shared.sync(&open, Some(time)), reply));
    }
}

fn finish(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(refusal(error)),
    }
}

fn refusal(error: Errno) -> Refusal {
    io::Error::from(error).into()
}

/// The value, or the answer that there is none.
macro_rules! or_refuse {
    ($reply:expr, $result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return $reply.error(refusal(error)),
        }
    };
}

fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let since = Duration::new(seconds.unsigned_abs(), u32::try_from(nanoseconds).unwrap_or(0));
    if seconds < 0 { UNIX_EPOCH - since } else { UNIX_EPOCH + since }
}

fn kind(mode: u32) -> FileType {
    match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => FileType::Directory,
        SFlag::S_IFLNK => FileType::Symlink,
        SFlag::S_IFIFO => FileType::NamedPipe,
        SFlag::S_IFSOCK => FileType::Socket,
        SFlag::S_IFCHR => FileType::CharDevice,
        SFlag::S_IFBLK => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}

fn kind_of(of: fs::FileType) -> FileType {
    match of {
        of if of.is_dir() => FileType::Directory,
        of if of.is_symlink() => FileType::Symlink,
        of if of.is_fifo() => FileType::NamedPipe,
        of if of.is_socket() => FileType::Socket,
        _ => FileType::RegularFile,
    }
}

/// What the kernel is told of a file; the root has a number of its own.
fn attributes(ino: u64, stat: &FileStat) -> FileAttr {
    FileAttr {
        ino: INodeNo(ino),
        size: stat.st_size.unsigned_abs(),
        blocks: stat.st_blocks.unsigned_abs(),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        crtime: time(stat.st_ctime, stat.st_ctime_nsec),
        kind: kind(stat.st_mode),
        perm: u16::try_from(stat.st_mode & 0o7777).expect("twelve bits"),
        nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: u32::try_from(stat.st_rdev).unwrap_or(0),
        blksize: u32::try_from(stat.st_blksize).unwrap_or(4096),
        flags: 0,
    }
}

fn entry(result: Result<FileStat, Errno>, reply: ReplyEntry) {
    let stat = or_refuse!(reply, result);
    reply.entry(&KEPT, &attributes(stat.st_ino, &stat), Generation(0));
}

fn moment(wanted: Option<TimeOrNow>) -> TimeSpec {
    match wanted {
        None => TimeSpec::UTIME_OMIT,
        Some(TimeOrNow::Now) => TimeSpec::UTIME_NOW,
        Some(TimeOrNow::SpecificTime(time)) => {
            TimeSpec::from_duration(time.duration_since(UNIX_EPOCH).unwrap_or_default())
        }
    }
}

impl Filesystem for Layer {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.0.store().lookup(parent.0, name);
        entry(found, reply);
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        self.0.store().forget(ino.0, lookups);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let stat = self.0.store().stat(ino.0);
        let stat = or_refuse!(reply, stat);
        reply.attr(&KEPT, &attributes(ino.0, &stat));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut store = self.0.store();
        let path = or_refuse!(reply, store.path(ino.0));
        if let Some(mode) = mode {
            let set = fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777));
            or_refuse!(reply, set.map_err(|error| errno(&error)));
        }
        if uid.is_some() || gid.is_some() {
            let set = std::os::unix::fs::chown(&path, uid, gid);
            or_refuse!(reply, set.map_err(|error| errno(&error)));
        }
        if let Some(size) = size {
            or_refuse!(reply, store.resize(ino.0, size));
        }
        if atime.is_some() || mtime.is_some() {
            let (atime, mtime) = (moment(atime), moment(mtime));
            let set = utimensat(nix::fcntl::AT_FDCWD, &path, &atime, &mtime, UtimensatFlags::FollowSymlink);
            or_refuse!(reply, set);
        }
        let stat = or_refuse!(reply, store.stat(ino.0));
        reply.attr(&KEPT, &attributes(ino.0, &stat));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let target = self.0.store().readlink(ino.0);
        let target = or_refuse!(reply, target);
        reply.data(target.as_encoded_bytes());
    }

    fn mknod(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, rdev: u32, reply: ReplyEntry) {
        entry(self.0.store().mknod(parent.0, name, mode & !umask, u64::from(rdev)), reply);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        entry(self.0.store().mkdir(parent.0, name, mode & !umask), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        finish(self.0.store().unlink(parent.0, name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        finish(self.0.store().rmdir(parent.0, name), reply);
    }

    fn symlink(&self, _: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        entry(self.0.store().symlink(parent.0, name, target), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        finish(self.0.store().rename((parent.0, name), (newparent.0, newname), flags.bits()), reply);
    }

    fn link(&self, _: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        entry(self.0.store().link(ino.0, newparent.0, newname), reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let write = flags.0 & nix::libc::O_ACCMODE != nix::libc::O_RDONLY;
        let handle = self.0.store().open_file(ino.0, write);
        let handle = or_refuse!(reply, handle);
        reply.opened(FileHandle(handle), FopenFlags::empty());
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _: i32, reply: ReplyCreate) {
        let made = self.0.store().create(parent.0, name, mode & !umask);
        let (stat, handle) = or_refuse!(reply, made);
        let attributes = attributes(stat.st_ino, &stat);
        reply.created(&KEPT, &attributes, Generation(0), FileHandle(handle), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let open = {
            let store = self.0.store();
            if store.troubles.read_error && store.suffers(ino.0) {
                return reply.error(Refusal::EIO);
            }
            or_refuse!(reply, store.file(fh.0))
        };
        let mut bytes = vec![0; size as usize];
        let mut read = 0;
        while read < bytes.len() {
            let more = open.file.read_at(&mut bytes[read..], offset + read as u64);
            match or_refuse!(reply, more.map_err(|error| errno(&error))) {
                0 => break,
                more => read += more,
            }
        }
        reply.data(&bytes[..read]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        or_refuse!(reply, self.0.store().write(fh.0, offset, data));
        reply.written(u32::try_from(data.len()).expect("the kernel counts it with 32 bits, too"));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.store().release(fh.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, fh: FileHandle, _: bool, reply: ReplyEmpty) {
        let open = self.0.store().file(fh.0);
        self.sync(or_refuse!(reply, open), reply);
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let handle = self.0.store().open_folder(ino.0);
        let handle = or_refuse!(reply, handle);
        reply.opened(FileHandle(handle), FopenFlags::empty());
    }

    fn readdir(&self, _: &Request, ino: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let entries = self.0.store().entries(fh.0);
        let entries = or_refuse!(reply, entries);
        let dots = [(ino.0, FileType::Directory, OsStr::new(".")), (ROOT, FileType::Directory, OsStr::new(".."))];
        let all = dots.into_iter().chain(entries.iter().map(|it| (it.ino, kind_of(it.kind), it.name.as_os_str())));
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, (ino, kind, name)) in all.enumerate().skip(from) {
            if reply.add(INodeNo(ino), index as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.store().release(fh.0);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let path = self.0.store().path(ino.0);
        let folder = fs::File::open(or_refuse!(reply, path));
        let file = Arc::new(or_refuse!(reply, folder.map_err(|error| errno(&error))));
        self.sync(Open { file, ino: ino.0 }, reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (path, full) = {
            let store = self.0.store();
            (store.path(ROOT), store.troubles.full)
        };
        let path = or_refuse!(reply, path);
        let stat = or_refuse!(reply, statvfs(&path));
        let free = |blocks: u64| if full { 0 } else { blocks };
        reply.statfs(
            stat.blocks(),
            free(stat.blocks_free()),
            free(stat.blocks_available()),
            stat.files(),
            stat.files_free(),
            u32::try_from(stat.block_size()).unwrap_or(4096),
            u32::try_from(stat.name_max()).unwrap_or(255),
            u32::try_from(stat.fragment_size()).unwrap_or(4096),
        );
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        finish(self.0.store().allocate(fh.0, mode, offset, length), reply);
    }
}
