//! Disks that can lose power, fill up, stand still and lie: a layer of FUSE under a node's data folder.
//!
//! # What it is
//!
//! A process per node (`grudge disk FOLDER`) mounts itself over the folder and passes everything through to what lies
//! underneath. That always holds what the node sees, the *volatile* state; what is remembered beside it is how to undo
//! what is not *durable* ([`journal`], [`unsynced`]). So nothing is read from a log or written twice while nothing is
//! wrong, and when the layer ends, however it ends, the folder holds what the node had written.
//!
//! It is a process of its own because whoever serves a FUSE mount must not use it: a process that waits for its own
//! answer cannot be killed. It ends when its standard input does. Killed, it takes its connection to the kernel with
//! it, and whoever waits for an answer gets an error.
//!
//! # What is durable
//!
//! The model is that of ext4 and XFS on a disk that keeps its promises, no weaker than what they do, and no stronger:
//!
//! - *Data* is durable when its file was fsynced (fsync, fdatasync, `O_SYNC`, msync), and 30 s after it was written
//!   (`dirty_expire_centisecs`). The same holds for a file's length, whether it was extended, cut or allocated.
//! - *Names*, made, removed or changed, are durable in the order of the changes: when anything on the disk was fsynced
//!   after them, folder or file, and after 5 s (ext4's `commit=`). POSIX asks for an fsync of the folder; both file
//!   systems have one journal, which an fsync writes out (as ALICE found: Pillai et al., *All File Systems Are Not
//!   Created Equal*, OSDI 2014, §2.2). So a file that was fsynced has its name, and a rename over an old file after
//!   an fsync of the new one is atomic, and durable with the next fsync.
//! - A rename *without* that fsync may leave an empty file. ext4 guards against it where it replaces a file
//!   (`auto_da_alloc`), XFS does not, and nobody promises it.
//!
//! # What a loss of power takes
//!
//! The node is killed first; then, for all at once and drawn from the seed: of the names that are not durable the last
//! ones, all of them or some; of each file's changed pages all, or all but the first ones, the last of which is torn
//! between two sectors of 512 bytes (the kernel writes pages in their order), or any (a disk's cache has no order). What
//! is lost is what it was; behind the old end it is zeros or no longer there. A cut that does not survive takes
//! what was written behind it along.
//!
//! A failed fsync is final, as on Linux since 4.13: the pages count as clean, are read as they were written, are never
//! written again, and are gone after the next loss of power, whatever later fsyncs say (Rebello et al., *Can
//! Applications Recover from fsync Failures?*, ATC 2020).
//!
//! # What is left out
//!
//! Owners, permissions and times are durable at once; extended attributes do not exist. `sync_file_range` and syncfs do
//! not reach the layer, so they make nothing durable (`sync_file_range` promises nothing about a power loss either).
//! A disk that lies about its cache is not modelled, neither are blocks of other files in the place of lost ones.
//! A bit flips in files that nobody has open, not in those that the kernel holds in its memory.

mod journal;
mod layer;
mod mount;
mod probe;
mod server;
mod store;
#[cfg(test)]
mod tests;
mod unsynced;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

pub(crate) use mount::Disk;
pub use mount::DiskError;
pub use server::serve;

/// How old a change of names is when the file system makes it durable by itself.
const COMMIT_AFTER: Duration = Duration::from_secs(5);
/// How old data is when the kernel does.
const WRITE_BACK_AFTER: Duration = Duration::from_secs(35);
/// The file in the root by which faults are proven. A listing does not show it.
const PROBE: &str = ".grudge-probe";
/// The file there that proves a loss of power: its disk has no troubles, and nothing of it survives that is not durable.
const CANARY: &str = ".grudge-canary";
/// The files in the root by which the harness tells a node something (`cluster/traps.rs`). They are not the disk's.
const ORDERS: [&str; 2] = ["halt", ".halt"];

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Troubles {
    /// How much longer every fsync takes.
    pub(crate) slow: Option<Duration>,
    /// Nothing can be written: ENOSPC.
    pub(crate) full: bool,
    /// Nothing can be read: EIO.
    pub(crate) read_error: bool,
    /// Nothing can be written: EIO.
    pub(crate) write_error: bool,
    /// Nothing can be made durable: EIO.
    pub(crate) fsync_error: bool,
}

/// What the harness tells a layer: a line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    /// These are the troubles from now on, and no others.
    Troubles(Troubles),
    /// Whoever waits for an fsync is being killed: let it fail.
    Release,
    /// The power fails. Nobody lives who uses the disk.
    Lose {
        /// What is lost is drawn from this.
        seed: u64,
    },
    /// Flip a bit of a file that nobody has open.
    Flip {
        /// Which one is drawn from this.
        seed: u64,
    },
}

/// What a layer answers: a line of JSON for each order, and one when it is mounted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done,
    Lost(Loss),
    Flipped(Option<Flip>),
    Failed(String),
}

/// What a loss of power took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// How many bytes are other ones than before, or gone.
    pub bytes: u64,
    /// Of how many files.
    pub files: u64,
    /// How many changes of names were undone: files made, removed, renamed.
    pub names: u64,
}

/// A bit that is another one than was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flip {
    /// The file, seen from the data folder.
    pub file: PathBuf,
    /// Which of its bytes.
    pub offset: u64,
    /// Which bit of it, from 0, the lowest.
    pub bit: u8,
    /// The byte as it was.
    pub before: u8,
}

/// The number of an error, whatever the library that reports it.
fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// A path that leads to the very inode that is open, under whatever name it has now.
fn reopened(place: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", place.as_raw_fd()))
}
