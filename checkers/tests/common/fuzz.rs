//! Runs a test over seeds. `GRUDGE_CASES` sets how many, `GRUDGE_SEED` the first (and, by itself, the only one).

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// How often each verdict came.
pub type Tally = BTreeMap<&'static str, u64>;

/// Runs one case a seed and counts what each came to. If one panics, its seed and how to run it again are printed.
pub fn cases(usual: u64, mut case: impl FnMut(&mut ChaCha8Rng) -> &'static str) -> Tally {
    let number = |name: &str| {
        let text = std::env::var(name).ok();
        text.map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
    };
    let (seed, count) = (number("GRUDGE_SEED"), number("GRUDGE_CASES"));
    let count = count.unwrap_or(if seed.is_some() { 1 } else { usual });
    let mut tally = Tally::new();
    for seed in (seed.unwrap_or(1)..).take(usize::try_from(count).expect("so many cases fit")) {
        let rerun = Rerun { seed };
        *tally.entry(case(&mut ChaCha8Rng::seed_from_u64(seed))).or_default() += 1;
        drop(rerun);
    }
    say(&format!("fuzz {:<40} {count:>9} cases  {}", test(), shown(&tally)));
    tally
}

/// As [`cases`], and none of these verdicts is rare: histories that are all alike prove little.
pub fn balanced(usual: u64, verdicts: &[&str], case: impl FnMut(&mut ChaCha8Rng) -> &'static str) {
    let tally = cases(usual, case);
    let count: u64 = tally.values().sum();
    let share = |verdict: &&str| tally.get(*verdict).is_some_and(|found| *found >= count / 10);
    assert!(count < 100 || verdicts.iter().all(share), "one-sided: {}", shown(&tally));
}

fn shown(tally: &Tally) -> String {
    tally.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect::<Vec<_>>().join(", ")
}

/// The name of the test that runs on this thread.
fn test() -> String {
    let thread = std::thread::current();
    thread.name().filter(|name| *name != "main").unwrap_or_default().to_owned()
}

/// Tells how to run a case again, if it panics.
struct Rerun {
    seed: u64,
}

impl Drop for Rerun {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, test) = (self.seed, test());
            say(&format!("seed {seed}; again with: GRUDGE_SEED={seed} cargo test -p grudge-checkers --tests {test}"));
        }
    }
}

#[allow(clippy::print_stdout, reason = "the test runner shows it when it is wanted")]
fn say(line: &str) {
    println!("{line}");
}
