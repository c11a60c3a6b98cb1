//! `grudge check --to`: the same history in another format.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use grudge_checkers::history::{Format, Recording, Tape};

use super::source::Source;
use crate::exit::{Exit, Failure};

pub(super) fn run(files: &[PathBuf], to: &Path) -> Result<Exit, Failure> {
    let [file] = files else {
        return Err(Failure::BadArguments("--to writes one history: name one file to read".to_owned()));
    };
    let name = to.display().to_string();
    let Some(format) = Format::of_name(&name) else {
        let problem = "the name says no format; it ends with .csv, .edn or .jsonl, and perhaps .gz or .zst";
        return Err(Failure::BadArguments(format!("cannot write {name}: {problem}")));
    };
    let source = Source::new(file)?;
    let wrong = |error| Failure::BadArguments(format!("{}: {error}", source.name()));
    let recording = Recording::new(|| source.open(), source.format()).map_err(wrong)?;
    // A file that is there may be the one that is read.
    let sink = File::create_new(to).map_err(|error| Failure::BadArguments(format!("cannot write {name}: {error}")))?;
    match write(format, sink, &name, &recording) {
        Ok(()) => Ok(Exit::Valid),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Failure::BadArguments(format!(
            "{}: the history is damaged ({error}); only what comes before was written to {name}",
            source.name()
        ))),
        Err(error) => Err(Failure::Harness(anyhow::Error::new(error).context(format!("cannot write {name}")))),
    }
}

/// Writes what can be read of a history, and ends the compressed stream also where it cannot be read on.
fn write(format: Format, sink: File, name: &str, tape: &dyn Tape) -> io::Result<()> {
    if name.ends_with(".gz") {
        let mut sink = GzEncoder::new(sink, Compression::default());
        let written = format.write(&mut sink, tape);
        sink.finish()?.flush()?;
        return written;
    }
    if name.ends_with(".zst") {
        let mut sink = zstd::Encoder::new(sink, zstd::DEFAULT_COMPRESSION_LEVEL)?;
        let written = format.write(&mut sink, tape);
        sink.finish()?.flush()?;
        return written;
    }
    format.write(sink, tape)
}
