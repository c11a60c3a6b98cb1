//! `grudge doctor`: what this machine can do, and what to do about the rest.

use std::fmt::Write as _;

use anyhow::Context;
use clap::Args;
use owo_colors::OwoColorize;

use crate::doctor::{Check, State, examine};
use crate::exit::{Exit, Failure};
use crate::report::terminal;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Fails if a cluster cannot be brought up here.
pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let checks = examine();
    let text = if args.json {
        serde_json::to_string_pretty(&checks).context("checks cannot be expressed as JSON")? + "\n"
    } else {
        render(&checks)
    };
    terminal::print(&text);
    let missing = checks.iter().any(|check| matches!(check.state, State::Missing { .. }));
    Ok(if missing { Exit::HarnessFailed } else { Exit::Valid })
}

fn render(checks: &[Check]) -> String {
    let mut text = String::new();
    for Check { capability, state } in checks {
        let _ = match state {
            State::Ok(how) => writeln!(text, "{:<9} {capability}: {how}", "ok".green()),
            State::Degraded { why, remedy } => {
                writeln!(text, "{:<9} {capability}: {why}\n          {remedy}", "degraded".yellow())
            }
            State::Missing { why, remedy } => {
                writeln!(text, "{:<9} {capability}: {why}\n          {remedy}", "missing".red())
            }
        };
    }
    text
}
