//! Where a history is read from: a file, perhaps compressed, or standard input.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use grudge_checkers::history::Format;
use tempfile::NamedTempFile;

use crate::exit::Failure;

/// Something that can be opened again and again.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    path: PathBuf,
    /// What standard input said, kept while it is needed.
    _spooled: Option<NamedTempFile>,
}

pub(super) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

impl Source {
    /// Looks whether the file is there; standard input is read to its end.
    pub(super) fn new(path: &Path) -> Result<Source, Failure> {
        if is_standard_input(path) {
            let spooled = spool().map_err(|error| bad("standard input", &error))?;
            let path = spooled.path().to_owned();
            return Ok(Source { name: "standard input".to_owned(), path, _spooled: Some(spooled) });
        }
        let name = path.display().to_string();
        let source = Source { name, path: path.to_owned(), _spooled: None };
        if path.is_dir() {
            return Err(Failure::BadArguments(format!("{} is a folder, not a history", source.name)));
        }
        match source.open() {
            Ok(_) => Ok(source),
            Err(error) => Err(bad(&source.name, &error)),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What the name says of the format.
    pub(super) fn format(&self) -> Option<Format> {
        Format::of_name(&self.name)
    }

    /// The history's bytes, whatever the file's are.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read>> {
        let mut file = File::open(&self.path)?;
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(4).read_to_end(&mut magic)?;
        file.rewind()?;
        Ok(match magic[..] {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
            [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(file)?),
            _ => Box::new(file),
        })
    }
}

fn spool() -> io::Result<NamedTempFile> {
    let mut spooled = NamedTempFile::new()?;
    io::copy(&mut io::stdin().lock(), &mut spooled)?;
    Ok(spooled)
}

fn bad(name: &str, error: &io::Error) -> Failure {
    Failure::BadArguments(format!("cannot read {name}: {error}"))
}
