//! `grudge node`: one replica. The same binary, so that one file makes a cluster.

use grudge_nodes::command::NodeArgs;

use crate::exit::{Exit, Failure};

pub(super) fn run(args: &NodeArgs) -> Result<Exit, Failure> {
    grudge_nodes::command::run(args).map_err(Failure::Harness)?;
    Ok(Exit::Valid)
}
