//! The hunt on real processes: one run after the other, because clusters compete for the processors.

use std::path::Path;
use std::time::{Duration, Instant};

use grudge_nodes::bugs::Bug;
use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use super::round::Find;
use crate::exit::Failure;
use crate::fault::Arena;
use crate::real;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Real {
    /// An invalid run.
    Found {
        /// Which.
        find: Find,
        /// How many runs it took, that one included.
        runs: u64,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// No run was invalid in the time that there was.
    Missed {
        /// How many runs there were.
        runs: u64,
        /// How long they took, in seconds.
        seconds: f64,
    },
    /// It cannot be found there.
    Impossible {
        /// Why.
        because: String,
    },
}

/// Hunts a bug for so long; no run begins that could not end in time. Runs are kept in the store.
///
/// # Errors
/// The harness failed: nothing is said of the bug.
pub fn hunt(bug: Bug, recipe: &Recipe, seed: u64, budget: Duration, store: &Path) -> Result<Real, Failure> {
    let setup = match recipe.real() {
        Ok(setup) => setup,
        Err(because) => return Ok(Real::Impossible { because: because.to_owned() }),
    };
    let begun = Instant::now();
    let mut runs = 0;
    while runs == 0 || begun.elapsed() + setup.time() <= budget {
        let seed = seed + runs;
        runs += 1;
        let results = real::run(&setup.spec(Some(bug), bug, seed, Arena::Processes), store)?;
        if let Some(find) = Find::of(seed, &results.judgements) {
            return Ok(Real::Found { find, runs, seconds: begun.elapsed().as_secs_f64() });
        }
    }
    Ok(Real::Missed { runs, seconds: begun.elapsed().as_secs_f64() })
}
