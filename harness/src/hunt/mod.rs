//! The hunt: every planted bug, found or not, by what, and how fast. It tests the tester.
//!
//! A bug's [recipe] says what to run. A [round] runs it in simulated time with one seed after the other,
//! on all cores, until the first run is invalid or the time is over; several rounds with other seeds give a median.
//! The control row runs the same recipes with no bug on: a harness that complains about correct replicas has found
//! nothing. If asked for, the bugs are hunted on [real processes](real), too, as far as their faults exist there.
//!
//! The [report] is kept, and a later hunt that misses what an earlier one found fails.

pub mod real;
pub mod recipe;
pub mod report;
pub mod round;
pub mod table;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use grudge_nodes::bugs::Bug;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::exit::Failure;
use crate::fault::Arena;
use crate::shrink::{Simulation, Trial, isolate, scripted};
use crate::sim;
use crate::spec::Spec;
use recipe::Recipe;
use report::{Control, False, Row};
use round::{Find, Round, Sweep};

/// The stream of the seed from which the control row's seeds are drawn; a bug's is its number.
const CONTROL_STREAM: u64 = u64::MAX;
/// How many more runs than the hardest bug needed the control row has.
const TIMES: u64 = 10;
/// The fewest runs of the control row.
const FEWEST: u64 = 500;
/// How long it may take to say which faults of a run it took.
const ISOLATION: Duration = Duration::from_secs(10);
/// With how many other seeds a fault is taken out on trial meanwhile.
const ISOLATION_SEEDS: u64 = 4;

/// What is asked of a hunt in simulated time.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    /// From which all seeds are drawn.
    pub seed: u64,
    /// How often each bug is hunted.
    pub rounds: u32,
    /// How long a round may take.
    pub budget: Duration,
    /// How many runs at a time.
    pub jobs: usize,
}

impl Hunt {
    /// Hunts one bug in all rounds.
    ///
    /// # Errors
    /// The harness failed, or the recipe makes no sense.
    pub fn bug(&self, bug: Bug, recipe: &Recipe) -> Result<Row, Failure> {
        let mut rng = self.rng(bug as u64);
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let sweep = Sweep { first_seed: first_seed(&mut rng), jobs: self.jobs, limit: u64::MAX };
            let end = Instant::now() + self.budget;
            rounds
                .push(sweep.until_invalid(|seed| recipe.sim.spec(Some(bug), bug, seed, Arena::Simulation), Some(end))?);
        }
        let find = rounds.iter().find_map(|round| round.found.as_ref());
        let faults = find.map(|find| isolated(&recipe.sim.spec(Some(bug), bug, find.seed, Arena::Simulation), find));
        Ok(Row::new(bug, recipe, rounds, faults.transpose()?.unwrap_or_default()))
    }

    /// Runs the recipes of these rows with no bug on, ten times as often in all as the hardest bug needed.
    ///
    /// # Errors
    /// The harness failed.
    pub fn control(&self, rows: &[Row], recipes: &[(Bug, Recipe)]) -> Result<Control, Failure> {
        let begun = Instant::now();
        let hardest =
            rows.iter().flat_map(|row| &row.rounds).filter(|round| round.found.is_some()).map(|round| round.runs).max();
        let wanted = (TIMES * hardest.unwrap_or_default()).max(FEWEST);
        let share = wanted.div_ceil(recipes.len().max(1) as u64);
        let mut control = Control { wanted, ..Control::default() };
        let mut rng = self.rng(CONTROL_STREAM);
        for (bug, recipe) in recipes {
            let sweep = Sweep { first_seed: first_seed(&mut rng), jobs: self.jobs, limit: share };
            let Round { found, runs, unknown, .. } =
                sweep.until_invalid(|seed| recipe.sim.spec(None, *bug, seed, Arena::Simulation), None)?;
            control.runs += runs;
            control.unknown += unknown;
            control.invalid.extend(found.map(|find| False { recipe: *bug, find }));
        }
        control.seconds = begun.elapsed().as_secs_f64();
        Ok(control)
    }

    fn rng(&self, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        rng
    }
}

/// Seeds follow each other from here, far from those of other rounds.
fn first_seed(rng: &mut ChaCha8Rng) -> u64 {
    u64::from(rng.random::<u32>()) << 20
}

/// The faults of a run without which it would not have failed, in words.
fn isolated(spec: &Spec, find: &Find) -> Result<Vec<String>, Failure> {
    let schedule = sim::run(spec)?.schedule;
    let mut trial = Simulation::new(find.checkers.iter().cloned().collect(), ISOLATION_SEEDS, ISOLATION);
    let Some(failing) = trial.first(&scripted(spec, &schedule))? else { return Ok(Vec::new()) };
    Ok(isolate(failing, &mut trial)?.script.iter().map(|step| step.fault.to_string()).collect())
}
