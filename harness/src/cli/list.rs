//! `grudge list`: what there is. It lists what this build can do and nothing else.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use grudge_nodes::bugs::Bug;
use grudge_workloads::registry;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::fault::FaultKind;
use crate::report::terminal;
use crate::system::System;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only these
    what: Option<What>,
    /// Systems that these files describe, too
    #[arg(value_name = "FILE.toml")]
    files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// What can be tested
    Systems,
    /// What clients do
    Workloads,
    /// What the nemesis does
    Faults,
    /// Planted bugs, which test the tester
    Bugs,
}

#[derive(Debug, Serialize)]
struct Item {
    kind: &'static str,
    name: String,
    about: String,
    #[serde(flatten)]
    here: Option<Here>,
}

/// Whether something is on this machine.
#[derive(Debug, Serialize)]
struct Here {
    installed: bool,
    /// The commands that install what is missing.
    install: Vec<String>,
}

pub(super) fn run(args: &ListArgs) -> Result<Exit, Failure> {
    let all = [What::Systems, What::Workloads, What::Faults, What::Bugs];
    let wanted = all.into_iter().filter(|what| args.what.is_none_or(|only| only == *what));
    let sections = wanted.map(|what| Ok((what, items(what, &args.files)?))).collect::<Result<Vec<_>, Failure>>()?;
    if args.json {
        let items: Vec<&Item> = sections.iter().flat_map(|(_, items)| items).collect();
        terminal::print(&(serde_json::to_string_pretty(&items).context("a list cannot be expressed as JSON")? + "\n"));
        return Ok(Exit::Valid);
    }
    let mut text = String::new();
    for (what, items) in &sections {
        let _ = writeln!(text, "{}", crate::spec::kebab(what).bold());
        for item in items {
            let missing = item.here.as_ref().is_some_and(|here| !here.installed);
            let _ = writeln!(text, "  {:<22} {}{}", item.name, if missing { "not here: " } else { "" }, item.about);
            for command in item.here.iter().flat_map(|here| &here.install) {
                let _ = writeln!(text, "  {:<22} {command}", "");
            }
        }
    }
    terminal::print(&text);
    Ok(Exit::Valid)
}

fn items(what: What, files: &[PathBuf]) -> Result<Vec<Item>, Failure> {
    Ok(match what {
        What::Systems => {
            let described = files.iter().map(|file| System::read(file)).collect::<Result<Vec<_>, _>>()?;
            System::all().into_iter().chain(described).map(system).collect()
        }
        What::Workloads => registry::list()
            .iter()
            .map(|entry| Item { kind: "workload", name: entry.name.to_owned(), about: about(entry), here: None })
            .collect(),
        What::Faults => values::<FaultKind>("fault"),
        What::Bugs => values::<Bug>("bug"),
    })
}

/// A system, and what to do where it is not installed.
fn system(system: System) -> Item {
    let install: Vec<String> = system.missing().map(|need| need.install.clone()).collect();
    let here = Here { installed: install.is_empty(), install };
    Item { kind: "system", name: system.name, about: system.about, here: Some(here) }
}

/// What a workload does, and over which protocols.
fn about(entry: &registry::Entry) -> String {
    let protocols = entry.protocols.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("{} [{protocols}]", entry.summary)
}

fn values<T: ValueEnum>(kind: &'static str) -> Vec<Item> {
    T::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value)
        .map(|value| Item {
            kind,
            name: value.get_name().to_owned(),
            about: value.get_help().map(ToString::to_string).unwrap_or_default(),
            here: None,
        })
        .collect()
}
