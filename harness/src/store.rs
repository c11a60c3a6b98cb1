//! The run folder: `store/<test>/<UTC time>/`, with `latest` beside it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

/// Everything that one run leaves behind, in one folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new folder for a run of `test` below `store` and points `latest` at it.
    ///
    /// # Errors
    /// The store cannot be written; the message says where and what to do.
    pub fn create(store: &Path, test: &str, now: Timestamp) -> Result<RunFolder> {
        let path = fresh(&store.join(test), now)?;
        let folder = RunFolder { path };
        let advice = || advice(store);
        fs::create_dir(folder.nodes()).with_context(advice)?;
        point_latest(&folder.path).with_context(advice)?;
        Ok(folder)
    }

    /// An earlier run's folder.
    ///
    /// # Errors
    /// There is no run in that folder.
    pub fn open(path: &Path) -> Result<RunFolder> {
        let folder = RunFolder { path: path.to_path_buf() };
        anyhow::ensure!(
            folder.test().is_file(),
            "{} is not the folder of a run: it has no test.toml (try store/<test>/latest)",
            path.display()
        );
        Ok(folder)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved test, which can be run again.
    #[must_use]
    pub fn test(&self) -> PathBuf {
        self.path.join("test.toml")
    }

    /// What the clients and the nemesis did.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.path.join("history.csv")
    }

    /// What the nemesis did and when.
    #[must_use]
    pub fn schedule(&self) -> PathBuf {
        self.path.join("schedule.toml")
    }

    /// The outcome for programs.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.path.join("results.json")
    }

    /// The outcome for people.
    #[must_use]
    pub fn html(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// The outcome for continuous integration.
    #[must_use]
    pub fn junit(&self) -> PathBuf {
        self.path.join("junit.xml")
    }

    /// One folder a node, with its log and its disk.
    #[must_use]
    pub fn nodes(&self) -> PathBuf {
        self.path.join("nodes")
    }

    /// The harness's own log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("grudge.log")
    }

    /// Writes a value as TOML.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_toml<T: Serialize>(&self, path: &Path, value: &T) -> Result<()> {
        write(path, toml::to_string_pretty(value).context("a run's file cannot be expressed as TOML")?.as_bytes())
    }
}

/// Writes a whole file.
///
/// # Errors
/// The message names the file and says what to do.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.flush()))
        .with_context(|| format!("cannot write {}: {}", path.display(), ADVICE))
}

/// What to do when the store cannot be written in the middle of a run.
pub const ADVICE: &str = "is the disk full? Free some space or choose another folder with --store DIR, and run again";

/// Less than this is a full disk: a replica's log grows by as much before it fails.
const ROOM: u64 = 1 << 20;

/// Refuses to go on if the disk below a path is full: what fails then is ours, not the system's.
///
/// # Errors
/// It is full; the message says what to do.
pub fn demand_room(path: &Path) -> Result<()> {
    let disk = nix::sys::statvfs::statvfs(path).with_context(|| format!("cannot look at {}", path.display()))?;
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    anyhow::ensure!(free >= ROOM, "no space is left below {}: {ADVICE}", path.display());
    Ok(())
}

/// Makes a new folder below `family`, named after the time.
///
/// # Errors
/// It cannot be made; the message says where and what to do.
pub fn fresh(family: &Path, now: Timestamp) -> Result<PathBuf> {
    let advice = || advice(family);
    fs::create_dir_all(family).with_context(advice)?;
    let family = family.canonicalize().with_context(advice)?;
    let stem = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut name = stem.clone();
    let mut attempt = 1;
    while let Err(error) = fs::create_dir(family.join(&name)) {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return Err(error).with_context(advice);
        }
        attempt += 1;
        name = format!("{stem}-{attempt}");
    }
    Ok(family.join(name))
}

fn advice(place: &Path) -> String {
    format!("cannot write the store below {}: choose another folder with --store DIR", place.display())
}

fn point_latest(run: &Path) -> std::io::Result<()> {
    let family = run.parent().unwrap_or(Path::new("."));
    let name = run.file_name().unwrap_or_default();
    let temporary = family.join(format!(".latest-{}", name.display()));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(name, &temporary)?;
    fs::rename(&temporary, family.join("latest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_in_one_second_get_two_folders_and_latest_is_the_second() {
        let store = tempfile::tempdir().expect("a temporary folder");
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().expect("a timestamp");
        let first = RunFolder::create(store.path(), "zab-lock", now).expect("first");
        let second = RunFolder::create(store.path(), "zab-lock", now).expect("second");
        assert!(first.path().ends_with("zab-lock/20261121T100000Z"), "{first:?}");
        assert!(second.path().ends_with("zab-lock/20261121T100000Z-2"), "{second:?}");
        let latest = fs::read_link(store.path().join("zab-lock/latest")).expect("latest is a link");
        assert_eq!(latest, Path::new("20261121T100000Z-2"));
    }

    #[test]
    fn a_store_that_cannot_be_written_says_what_to_do() {
        let store = tempfile::tempdir().expect("a temporary folder");
        let file = store.path().join("file");
        fs::write(&file, "").expect("a file in the way");
        let error = RunFolder::create(&file, "zab-lock", Timestamp::UNIX_EPOCH).expect_err("a file is no folder");
        assert!(format!("{error:#}").contains("--store DIR"), "{error:#}");
    }
}
