//! The command that runs one test of a suite again, without the suite.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use crate::spec::{Spec, kebab};

/// Where a command line finds a test.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The usual test of that system: its name, or the path of its file.
    System(PathBuf),
    /// A test's file, and another system than it says.
    File(PathBuf, Option<PathBuf>),
}

/// The command.
pub(super) fn command(from: &Source, spec: &Spec) -> String {
    let word = |path: &Path| quoted(&path.display().to_string());
    let what = match from {
        Source::System(path) | Source::File(path, None) => word(path),
        Source::File(path, Some(system)) => format!("{} --system {}", word(path), word(system)),
    };
    let mut line = format!("grudge test {what} --workload {}", spec.workload);
    let mut option = |name: &str, value: String| {
        let _ = write!(line, " --{name} {}", quoted(&value));
    };
    // A script is in the file.
    if spec.script.is_empty() {
        let faults: Vec<String> = spec.faults.iter().map(ToString::to_string).collect();
        option("faults", if faults.is_empty() { "none".to_owned() } else { faults.join(",") });
    }
    option("nodes", spec.nodes.to_string());
    option("concurrency", spec.concurrency.to_string());
    if let Some(keys) = spec.keys {
        option("keys", keys.to_string());
    }
    option("rate", spec.rate.map_or_else(|| "max".to_owned(), |rate| rate.to_string()));
    for (name, duration) in
        [("time", spec.time), ("timeout", spec.timeout), ("ttl", spec.ttl), ("recovery", spec.recovery)]
    {
        option(name, short(duration));
    }
    for bug in &spec.bugs {
        option("bug", kebab(bug));
    }
    option("seed", spec.seed.to_string());
    if spec.fail_fast {
        line.push_str(" --fail-fast");
    }
    line
}

fn short(duration: SignedDuration) -> String {
    format!("{duration:#}").replace(' ', "")
}

/// For a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:@=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
