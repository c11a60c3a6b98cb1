//! How a disk is looked at from the inside: two files of the harness's own, through the mount, as the node sees it.
//!
//! The calls block, each in a thread of its own: a layer that does not answer must not stop the harness.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tokio::time::timeout;

use super::{CANARY, PROBE};
use crate::fault::DiskTrouble;

/// How long a disk has for a call, beside what its trouble takes.
const CALL: Duration = Duration::from_secs(20);
/// What the canary holds that is durable.
const DURABLE: [u8; 16] = *b"this was fsynced";
/// What is written over it shortly before a loss of power.
const VOLATILE: [u8; 16] = *b"this was not....";

/// The files' folder.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    folder: PathBuf,
}

impl Probe {
    pub(super) fn new(folder: &Path) -> Probe {
        Probe { folder: folder.to_owned() }
    }

    /// Makes the files.
    pub(super) async fn begin(&self) -> Result<(), String> {
        let make = |path: PathBuf| -> io::Result<()> {
            let file = File::create(path)?;
            file.write_all_at(&DURABLE, 0)?;
            file.sync_all()
        };
        self.call(CALL, move |folder| {
            make(folder.join(PROBE)).and_then(|()| make(folder.join(CANARY))).map_err(|error| error.to_string())
        })
        .await
    }

    /// Writes what a loss of power must take, and sees it.
    pub(crate) async fn sing(&self) -> Result<(), String> {
        self.call(CALL, |folder| {
            let path = folder.join(CANARY);
            let write = || OpenOptions::new().write(true).open(&path)?.write_all_at(&VOLATILE, 0);
            write().map_err(|error| error.to_string())?;
            match read(&path).map_err(|error| error.to_string())? {
                VOLATILE => Ok(()),
                other => Err(format!("{:?} was read after something else was written", text(&other))),
            }
        })
        .await
    }

    /// What became of that: the error is that it is still there.
    pub(crate) async fn is_silent(&self) -> Result<String, String> {
        self.call(CALL, |folder| match read(&folder.join(CANARY)).map_err(|error| error.to_string())? {
            DURABLE => Ok(format!("{} bytes that were read before are the older ones again", DURABLE.len())),
            other => Err(format!("a write without fsync is still there: {:?}", text(&other))),
        })
        .await
    }

    /// Whether the disk has that trouble: what was seen of it, or what was seen instead.
    pub(crate) async fn suffers(&self, trouble: DiskTrouble) -> Result<String, String> {
        let patience = if let DiskTrouble::Slow(by) = trouble { CALL + by } else { CALL };
        self.call(patience, move |folder| {
            let path = folder.join(PROBE);
            match trouble {
                DiskTrouble::Slow(by) => {
                    let took = synced(&path).map_err(|error| format!("an fsync failed: {error}"))?;
                    let sentence = format!("an fsync took {:.1} ms", took.as_secs_f64() * 1e3);
                    if took >= by { Ok(sentence) } else { Err(sentence) }
                }
                DiskTrouble::Full => refused("a write", written(&path), Errno::ENOSPC),
                DiskTrouble::WriteError => refused("a write", written(&path), Errno::EIO),
                DiskTrouble::ReadError => refused("a read", read(&path).map(drop), Errno::EIO),
                DiskTrouble::FsyncError => refused("an fsync", synced(&path).map(drop), Errno::EIO),
                DiskTrouble::Flip => Err("a flipped bit is no state of a disk".to_owned()),
            }
        })
        .await
    }

    /// Whether everything works: what was seen of it, or what was seen instead.
    pub(crate) async fn is_well(&self) -> Result<String, String> {
        self.call(CALL, |folder| {
            let path = folder.join(PROBE);
            let took = synced(&path).map_err(|error| format!("an fsync failed: {error}"))?;
            read(&path).map_err(|error| format!("a read failed: {error}"))?;
            Ok(format!("an fsync took {:.1} ms", took.as_secs_f64() * 1e3))
        })
        .await
    }

    /// A byte of a file.
    pub(crate) async fn byte(&self, file: &Path, offset: u64) -> Result<u8, String> {
        let file = file.to_owned();
        self.call(CALL, move |folder| {
            let mut byte = [0];
            let read = File::open(folder.join(file)).and_then(|file| file.read_exact_at(&mut byte, offset));
            read.map(|()| byte[0]).map_err(|error| error.to_string())
        })
        .await
    }

    async fn call<T: Send + 'static>(
        &self,
        patience: Duration,
        call: impl FnOnce(&Path) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let folder = self.folder.clone();
        match timeout(patience, tokio::task::spawn_blocking(move || call(&folder))).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("nothing happened for {patience:?}")),
        }
    }
}

fn read(path: &Path) -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    File::open(path)?.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn written(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all_at(&DURABLE, 0)
}

/// How long an fsync takes.
fn synced(path: &Path) -> io::Result<Duration> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&DURABLE, 0)?;
    let begun = Instant::now();
    file.sync_data()?;
    Ok(begun.elapsed())
}

fn refused(what: &str, result: io::Result<()>, wanted: Errno) -> Result<String, String> {
    match result {
        Err(error) if error.raw_os_error() == Some(wanted as i32) => Ok(format!("{what} failed with {wanted:?}")),
        Err(error) => Err(format!("{what} failed otherwise: {error}")),
        Ok(()) => Err(format!("{what} succeeded")),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
