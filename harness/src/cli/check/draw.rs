//! `grudge check --draw`: the contradiction as a picture.

use std::fs;
use std::path::Path;

use anyhow::Context;
use grudge_checkers::checker::Checker;
use grudge_checkers::graph::HistoryGraph;
use grudge_checkers::history::{History, Tape};
use grudge_checkers::transactions;
use grudge_checkers::verdict::Verdict;

use crate::exit::Failure;

/// Draws what contradicts itself into the folder: of transactions each kind of cycle, as DOT and SVG; of anything else
/// the operations of the witness and what came before what, as DOT.
pub(super) fn run(
    folder: &Path,
    name: &str,
    checker: Checker,
    tape: &dyn Tape,
    verdict: &Verdict,
) -> Result<(), Failure> {
    let name = Path::new(name).file_name().map_or_else(|| name.into(), |name| name.to_string_lossy());
    let draw = |what: &str, drawing: String| {
        let path = folder.join(format!("{name}.{what}"));
        fs::write(&path, drawing).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    if let Checker::Transactions(promise) = checker {
        for finding in transactions::analyse(tape, promise).findings {
            if let Some(cycle) = finding.cycle {
                draw(&format!("{}.dot", finding.anomaly), cycle.dot())?;
                draw(&format!("{}.svg", finding.anomaly), cycle.svg())?;
            }
        }
    } else if let Verdict::Invalid { witness } = verdict {
        let history: History = witness.events.iter().cloned().collect();
        let operations = history.operations().context("the witness is no history")?;
        draw("dot", HistoryGraph::new(&operations).dot())?;
    }
    Ok(())
}
