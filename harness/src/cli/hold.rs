//! `grudge hold`: one thread stands still until standard input ends. The harness starts it; nobody else has to.

use anyhow::Context;
use clap::Args;

use crate::exit::{Exit, Failure};
use crate::hold::hold;

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    /// The number of the thread
    thread: i32,
}

pub(super) fn run(args: &HoldArgs) -> Result<Exit, Failure> {
    hold(args.thread).with_context(|| format!("thread {} cannot be held", args.thread))?;
    Ok(Exit::Valid)
}
