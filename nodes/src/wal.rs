//! A write-ahead log in one file: records of any serde type, in order, found again after a crash.
//!
//! # What it promises
//!
//! [`Wal::open`] returns a prefix of what was appended, at least all that was appended before the last
//! [`Wal::sync`] which returned, or an error which says where the file is damaged. Records that were durable are
//! never dropped in silence, and none is ever returned changed.
//!
//! # How
//!
//! A file header (magic, version, the length at birth), then frames: length, checksum of the payload, *watermark*, checksum of the
//! frame's header, payload in postcard. The header's checksum covers the frame's offset, so bytes of a client
//! that look like a frame are not taken for one.
//!
//! The watermark is the length of the file that was known to be durable when the frame was written. It tells a
//! torn tail from damage: a crash may tear anything that was written since the last fsync, pages in any order, so
//! a bad frame is cut off with all that follows, unless a later good frame says that these bytes were durable, or
//! the file header does for the part that a rewrite put in place at once. Then they were acknowledged, and the log
//! refuses to open.
//!
//! A failed write or fsync is final: what the disk holds is unknown from then on, so every further call fails too
//! and nothing more is acknowledged ("fsyncgate").
//!
//! # What it leaves out
//!
//! Segments: one file, read as a whole. A replica keeps it short by [`Wal::rewrite`]. Damage to the last durable
//! batch looks like a torn tail; only a second copy could tell.

mod frame;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use frame::{FILE_HEADER, HEADER, Parsed};

const LOG: &str = "wal";
const NEW: &str = "wal.new";
const LOCK: &str = "lock";

/// Why a log cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// Another process has the directory.
    #[error("{dir} is in use by process {holder}: give each replica a data directory of its own, or stop that process")]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The process, as it wrote itself down; empty if it did not.
        holder: String,
    },
    /// Not a log, or one of another version.
    #[error("{path} is not a write-ahead log of this version ({what}): move it away to start with an empty replica")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Records that were durable are damaged.
    #[error(
        "{path} is damaged at byte {offset} ({what}), and these bytes were durable once: \
         restore the file, or move it away to let the replica learn everything from its peers"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The offset of the bad frame in bytes.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A record has no form in bytes or is too long.
    #[error("a record cannot be written: {0}")]
    Record(String),
    /// The operating system refuses.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer, "No space left on device" for example.
        source: io::Error,
    },
    /// An earlier write or fsync failed.
    #[error("{0} takes no more writes since one failed")]
    Broken(PathBuf),
}

/// What a log held when it was opened.
#[derive(Debug)]
pub struct Recovered<T> {
    /// The records, oldest first.
    pub records: Vec<T>,
    /// How many bytes of a torn tail were cut off.
    pub torn: u64,
}

/// An open log; the only one of its directory.
#[derive(Debug)]
pub struct Wal<T> {
    dir: PathBuf,
    path: PathBuf,
    file: File,
    /// The length of the file.
    end: u64,
    /// How much of it is durable.
    durable: u64,
    broken: bool,
    _lock: File,
    _records: PhantomData<fn(T)>,
}

impl<T: Serialize + DeserializeOwned> Wal<T> {
    /// Opens the log in a directory, makes both if they are missing, and cuts a torn tail off.
    ///
    /// # Errors
    /// See [`WalError`].
    pub fn open(dir: &Path) -> Result<(Self, Recovered<T>), WalError> {
        std::fs::create_dir_all(dir).map_err(io_error("make the directory", dir))?;
        let lock = lock(dir)?;
        let path = dir.join(LOG);
        let new = dir.join(NEW);
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", &new)(error)),
            _ => {}
        }
        if !path.try_exists().map_err(io_error("look at", &path))? {
            replace(dir, &frame::file_header(FILE_HEADER as u64))?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(io_error("open", &path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io_error("read", &path))?;
        let (records, end) = parse(&path, &bytes)?;
        let torn = bytes.len() as u64 - end;
        file.set_len(end).map_err(io_error("cut the torn tail of", &path))?;
        // The process before may have been killed between a write and its fsync; what is handed out must be durable.
        file.sync_all().map_err(io_error("fsync", &path))?;
        let wal = Wal {
            dir: dir.to_owned(),
            path,
            file,
            end,
            durable: end,
            broken: false,
            _lock: lock,
            _records: PhantomData,
        };
        Ok((wal, Recovered { records, torn }))
    }

    /// Appends records. They are durable after the next [`sync`](Wal::sync).
    ///
    /// # Errors
    /// See [`WalError`]; after one of the disk the log takes no more writes.
    pub fn append(&mut self, records: &[T]) -> Result<(), WalError> {
        self.alive()?;
        let mut bytes = Vec::new();
        for record in records {
            frame::write(&mut bytes, self.end, self.durable, record)?;
        }
        let written = self.file.write_all_at(&bytes, self.end);
        self.end += bytes.len() as u64;
        self.last(written, "write to")
    }

    /// Makes all that was appended durable.
    ///
    /// # Errors
    /// See [`WalError`]; the log takes no more writes then.
    pub fn sync(&mut self) -> Result<(), WalError> {
        self.alive()?;
        let synced = self.file.sync_data();
        self.last(synced, "fsync")?;
        self.durable = self.end;
        Ok(())
    }

    /// Replaces all records by these, atomically and durably: a crash leaves the old ones or the new ones.
    ///
    /// # Errors
    /// See [`WalError`]; the log takes no more writes then.
    pub fn rewrite(&mut self, records: &[T]) -> Result<(), WalError> {
        self.alive()?;
        let mut bytes = vec![0; FILE_HEADER];
        for record in records {
            frame::write(&mut bytes, 0, 0, record)?;
        }
        let length = bytes.len() as u64;
        bytes[..FILE_HEADER].copy_from_slice(&frame::file_header(length));
        self.broken = true;
        self.file = replace(&self.dir, &bytes)?;
        self.broken = false;
        self.end = length;
        self.durable = length;
        Ok(())
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end
    }

    fn alive(&self) -> Result<(), WalError> {
        if self.broken { Err(WalError::Broken(self.path.clone())) } else { Ok(()) }
    }

    fn last(&mut self, result: io::Result<()>, what: &'static str) -> Result<(), WalError> {
        self.broken = result.is_err();
        result.map_err(io_error(what, &self.path))
    }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WalError {
    let path = path.to_owned();
    move |source| WalError::Io { what, path, source }
}

/// Takes the directory for this process; the kernel gives it back when the process ends, however it ends.
fn lock(dir: &Path) -> Result<File, WalError> {
    let path = dir.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(io_error("read", &path))?;
            return Err(WalError::Locked { dir: dir.to_owned(), holder: holder.trim().to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(io_error("write to", &path))?;
    Ok(file)
}

/// Puts a file with these bytes in the log's place, open for writing.
fn replace(dir: &Path, bytes: &[u8]) -> Result<File, WalError> {
    let (new, path) = (dir.join(NEW), dir.join(LOG));
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&new)
        .map_err(io_error("make", &new))?;
    file.write_all(bytes).map_err(io_error("write to", &new))?;
    file.sync_all().map_err(io_error("fsync", &new))?;
    std::fs::rename(&new, &path).map_err(io_error("rename to", &path))?;
    // A rename is durable when its directory is.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("fsync", dir))?;
    Ok(file)
}

/// The records, and the length of the file without its torn tail.
fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<(Vec<T>, u64), WalError> {
    let born = frame::parse_file_header(bytes).map_err(|what| WalError::Foreign { path: path.to_owned(), what })?;
    let corrupt = |offset: usize, what: &str| WalError::Corrupt {
        path: path.to_owned(),
        offset: offset as u64,
        what: what.to_owned(),
    };
    let mut records = Vec::new();
    let mut at = FILE_HEADER;
    while at < bytes.len() {
        match frame::parse(bytes, at) {
            Parsed::Frame { payload, .. } => {
                let record = postcard::from_bytes(payload)
                    .map_err(|error| corrupt(at, &format!("its checksum is right, yet it is no record: {error}")))?;
                records.push(record);
                at += HEADER + payload.len();
            }
            Parsed::Bad(what) if was_durable(bytes, at) => return Err(corrupt(at, what)),
            Parsed::Bad(_) => break,
        }
    }
    if (at as u64) < born {
        return Err(corrupt(at, &format!("the file took its place with {born} bytes")));
    }
    Ok((records, at as u64))
}

/// Whether a good frame after the bad one at `bad` says that the bad one was durable.
fn was_durable(bytes: &[u8], bad: usize) -> bool {
    (bad + 1..bytes.len()).any(|at| match frame::parse(bytes, at) {
        Parsed::Frame { watermark, .. } => watermark > bad as u64,
        Parsed::Bad(_) => false,
    })
}

#[cfg(test)]
mod tests;
