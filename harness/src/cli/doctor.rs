//! `grudge doctor`: what this machine or others can do, and what to do about the rest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, anyhow};
use clap::Args;
use futures::future::try_join_all;
use owo_colors::OwoColorize;

use super::hosts_args::HostsArgs;
use super::session;
use crate::doctor::{Check, State, examine};
use crate::exit::{Exit, Failure};
use crate::host::inventory::Inventory;
use crate::host::program::Program;
use crate::host::ssh::{self, Remote};
use crate::report::terminal;
use crate::sandbox::Network;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    hosts: HostsArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Fails if a cluster cannot be brought up there.
pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let Some(inventory) = args.hosts.inventory()? else {
        let checks = examine();
        return show(args.json, &checks, &checks, || render(&checks));
    };
    let examined = session::in_sandbox(Network::Callers, |_| examine_all(&inventory))?;
    let all: Vec<Check> = examined.values().flatten().cloned().collect();
    let in_order = || inventory.hosts.iter().map(|host| format!("{host}\n{}", render(&examined[host]))).collect();
    show(args.json, &examined, &all, in_order)
}

fn show(
    json: bool,
    value: &impl serde::Serialize,
    checks: &[Check],
    text: impl FnOnce() -> String,
) -> Result<Exit, Failure> {
    let text = if json {
        serde_json::to_string_pretty(value).context("checks cannot be expressed as JSON")? + "\n"
    } else {
        text()
    };
    terminal::print(&text);
    let missing = checks.iter().any(|check| matches!(check.state, State::Missing { .. }));
    Ok(if missing { Exit::HarnessFailed } else { Exit::Valid })
}

async fn examine_all(inventory: &Inventory) -> Result<BTreeMap<String, Vec<Check>>, Failure> {
    let program = Program::this().context("this program cannot be read")?;
    let remotes = ssh::reach(inventory).await?;
    let examined = remotes.iter().map(|host| examine_there(host, &program));
    let examined = try_join_all(examined).await?;
    Ok(remotes.iter().map(|host| host.name.clone()).zip(examined).collect())
}

/// What this program says of another host, run there.
async fn examine_there(host: &Remote, program: &Program) -> anyhow::Result<Vec<Check>> {
    let file = program.put(host).await?;
    // Its exit code says no more than its checks, and 255 is how ssh says that it lost the host.
    let examined = host.root_command("sh").args(["-c", "\"$0\" doctor --json || :", &file]).output().await;
    let examined = examined.with_context(|| format!("{} was lost while it was examined", host.name))?;
    serde_json::from_slice(&examined.stdout)
        .map_err(|_| anyhow!("{} cannot be examined: {}", host.name, String::from_utf8_lossy(&examined.stderr).trim()))
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
