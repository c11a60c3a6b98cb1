//! One test, many seeds.

use std::ops::Range;

use super::violation::Violation;

/// Runs a scenario once for each seed. `GRUDGE_SEED=n` runs that one alone, `GRUDGE_SEEDS=n` runs `n` from the
/// range's start.
///
/// # Panics
/// With the violation of the first seed that has one.
pub fn for_each_seed(seeds: Range<u64>, mut run: impl FnMut(u64) -> Result<(), Violation>) {
    for seed in chosen(seeds) {
        if let Err(violation) = run(seed) {
            panic!("{violation}");
        }
    }
}

/// Runs a scenario that must go wrong, a planted bug say, until it does.
///
/// # Panics
/// If no seed finds a violation.
pub fn expect_violation(seeds: Range<u64>, mut run: impl FnMut(u64) -> Result<(), Violation>) -> Violation {
    let tried = seeds.clone();
    chosen(seeds)
        .find_map(|seed| run(seed).err())
        .unwrap_or_else(|| panic!("none of the seeds {tried:?} finds a violation"))
}

fn chosen(seeds: Range<u64>) -> Range<u64> {
    if let Some(seed) = number("GRUDGE_SEED") {
        return seed..seed + 1;
    }
    match number("GRUDGE_SEEDS") {
        Some(count) => seeds.start..seeds.start + count,
        None => seeds,
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
