//! `grudge clock`: turns clocks for the harness; see [`crate::clock`].

use anyhow::anyhow;

use crate::clock;
use crate::exit::{Exit, Failure};

pub(super) fn run() -> Result<Exit, Failure> {
    clock::serve(std::io::stdin(), std::io::stdout()).map_err(|error| Failure::Harness(anyhow!(error)))?;
    Ok(Exit::Valid)
}
