//! What of one file a loss of power may take: what its pages held when they were last durable.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::Instant;

use rand::{Rng, RngExt};

/// What the kernel writes back at once.
pub(super) const PAGE: u64 = 4096;
/// What a disk writes at once, or not at all.
pub(super) const SECTOR: u64 = 512;

/// What a page held, up to the file's end; nothing if it was all zeros or lay behind that end.
type Old = Option<Box<[u8]>>;

/// A file that was changed since it was last durable.
#[derive(Debug)]
pub(super) struct Unsynced {
    file: Arc<File>,
    /// How long it was.
    length: u64,
    /// The shortest that it has been since, if it was cut.
    cut: Option<u64>,
    /// The pages that were changed since.
    pages: BTreeMap<u64, Old>,
    /// The pages whose fsync failed: the kernel takes them for clean and never writes them again.
    doomed: BTreeMap<u64, Old>,
    /// When it began to differ.
    pub(super) since: Instant,
}

/// What of the changes survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Nothing: none was written back.
    Nothing,
    /// The first pages in their order, the last of them torn between two sectors: the kernel was writing them back.
    Prefix,
    /// Any pages: a disk's cache has no order.
    Scattered,
}

impl Manner {
    /// One of them; mostly nothing, since the kernel leaves for half a minute alone what nobody fsyncs.
    pub(super) fn drawn(rng: &mut impl Rng) -> Manner {
        match rng.random_range(0..10) {
            0..6 => Manner::Nothing,
            6..8 => Manner::Prefix,
            _ => Manner::Scattered,
        }
    }
}

impl Unsynced {
    /// Of a file that is durable as it is. It must be open for reading and writing.
    pub(super) fn new(file: Arc<File>, now: Instant) -> io::Result<Unsynced> {
        let length = file.metadata()?.len();
        Ok(Unsynced { file, length, cut: None, pages: BTreeMap::new(), doomed: BTreeMap::new(), since: now })
    }

    /// Remembers what these bytes were. To be called before they are written.
    pub(super) fn before_write(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        for page in offset / PAGE..=(offset + length - 1) / PAGE {
            self.remember(page)?;
        }
        Ok(())
    }

    /// Remembers what is behind the new end. To be called before the length is changed.
    pub(super) fn before_resize(&mut self, to: u64) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if to >= length {
            return Ok(());
        }
        // What was appended since leaves nothing to remember.
        let durable = length.min(self.length);
        if to < durable {
            for page in to / PAGE..=(durable - 1) / PAGE {
                self.remember(page)?;
            }
            self.cut = Some(self.cut.map_or(to, |cut| cut.min(to)));
        }
        Ok(())
    }

    fn remember(&mut self, page: u64) -> io::Result<()> {
        if self.pages.contains_key(&page) {
            return Ok(());
        }
        let old = match self.doomed.remove(&page) {
            Some(old) => old,
            None => self.read(page)?,
        };
        self.pages.insert(page, old);
        Ok(())
    }

    /// What a page holds that nobody has changed.
    fn read(&self, page: u64) -> io::Result<Old> {
        let held = self.length.saturating_sub(page * PAGE).min(PAGE);
        let bytes = read_at_most(&self.file, page * PAGE, held)?;
        Ok(bytes.iter().any(|byte| *byte != 0).then(|| bytes.into_boxed_slice()))
    }

    /// It was made durable as it is. Whether nothing of it is left that a loss of power could take.
    pub(super) fn synced(&mut self) -> io::Result<bool> {
        self.length = self.file.metadata()?.len();
        self.cut = None;
        self.pages.clear();
        self.doomed.retain(|page, _| page * PAGE < self.length);
        Ok(self.doomed.is_empty())
    }

    /// Its fsync failed, and what that should have saved is lost with the power.
    pub(super) fn sync_failed(&mut self) {
        for (page, old) in std::mem::take(&mut self.pages) {
            self.doomed.entry(page).or_insert(old);
        }
    }

    /// Whether the file has no name any more.
    pub(super) fn is_gone(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() == 0)
    }

    /// The power fails: makes the file what a disk may hold then. Answers how many bytes are other ones than before.
    pub(super) fn lose(self, manner: Manner, rng: &mut impl Rng) -> io::Result<u64> {
        let before = self.file.metadata()?.len();
        let cut = self.cut.filter(|_| manner != Manner::Nothing && rng.random());
        // What was written behind a cut lies in blocks that the file has only with the cut.
        let reach = if cut.is_some() { u64::MAX } else { self.cut.map_or(u64::MAX, |cut| cut / PAGE * PAGE) };
        let survivors = self.survivors(manner, reach, before, rng);
        let base = cut.unwrap_or(self.length);
        let end = survivors.iter().map(|(page, kept)| (page * PAGE + kept).min(before)).fold(base, u64::max);
        let mut lost = before.abs_diff(end);
        self.file.set_len(end)?;
        for (page, old) in self.pages.iter().chain(&self.doomed) {
            let kept = survivors.get(page).copied().unwrap_or(0);
            let known = base.saturating_sub(page * PAGE).min(PAGE);
            lost += restore(&self.file, *page, kept, end, old.as_deref().unwrap_or_default(), known)?;
        }
        Ok(lost)
    }

    /// The pages that survive, and how many bytes of each.
    fn survivors(&self, manner: Manner, reach: u64, length: u64, rng: &mut impl Rng) -> BTreeMap<u64, u64> {
        let pages: Vec<u64> = self.pages.keys().copied().filter(|page| page * PAGE < length.min(reach)).collect();
        match manner {
            Manner::Nothing => BTreeMap::new(),
            Manner::Scattered => pages.into_iter().filter(|_| rng.random()).map(|page| (page, PAGE)).collect(),
            Manner::Prefix => {
                let whole = rng.random_range(0..=pages.len());
                let torn = SECTOR * rng.random_range(0..PAGE / SECTOR);
                let kept = |(index, page)| (page, if index < whole { PAGE } else { torn });
                pages.into_iter().take(whole + 1).enumerate().map(kept).filter(|(_, kept)| *kept > 0).collect()
            }
        }
    }
}

/// Puts back what a page held behind its first `kept` bytes, up to the file's end: `known` bytes of it, and then zeros.
/// Answers how many bytes that changed.
fn restore(file: &File, page: u64, kept: u64, end: u64, old: &[u8], known: u64) -> io::Result<u64> {
    let begin = page * PAGE + kept;
    let end = end.min((page + 1) * PAGE);
    if begin >= end {
        return Ok(0);
    }
    let now = read_at_most(file, begin, end - begin)?;
    let was = |index: usize| {
        let at = index + usize::try_from(kept).expect("a page is small");
        if at as u64 >= known { 0 } else { old.get(at).copied().unwrap_or(0) }
    };
    let bytes: Vec<u8> = (0..now.len()).map(was).collect();
    file.write_all_at(&bytes, begin)?;
    Ok(now.iter().zip(&bytes).filter(|(now, was)| now != was).count() as u64)
}

/// What is there, fewer bytes at the file's end.
fn read_at_most(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).expect("a page is small")];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], offset + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}
