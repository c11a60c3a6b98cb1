//! `grudge disk`: the layer under one replica's data folder. The harness starts it.

use std::path::PathBuf;

use crate::disk;
use crate::exit::{Exit, Failure};

/// The arguments of `grudge disk`.
#[derive(Debug, clap::Args)]
pub(super) struct DiskArgs {
    /// The folder
    folder: PathBuf,
}

pub(super) fn run(args: &DiskArgs) -> Result<Exit, Failure> {
    disk::serve(&args.folder).map_err(Failure::Harness)?;
    Ok(Exit::Valid)
}
