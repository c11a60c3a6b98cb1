//! What the nemesis intends: a sequence of steps drawn from a seed, and from nothing else.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Choice, FaultKind};
use crate::fault::{Fault, Shape, Targets};

/// The pause between two steps, in milliseconds: long enough for clients to see a healthy system again.
const GAP: std::ops::Range<u64> = 1_000..3_000;
/// How long a step's fault stays in force, in milliseconds: from about one election to several.
const HOLD: std::ops::Range<u64> = 2_000..5_000;
/// How long after the first fault of a step a second one begins, in milliseconds.
const DELAY: std::ops::Range<u64> = 200..2_000;
/// In this share of the steps a second fault of another kind comes on top of the first.
const DOUBLE: f64 = 0.3;

/// Wait, break, wait, heal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) gap: Duration,
    pub(crate) first: Fault,
    /// Another fault, that long after the first.
    pub(crate) second: Option<(Duration, Fault)>,
    /// From the last fault until all of them are taken away.
    pub(crate) hold: Duration,
}

/// An endless sequence of steps.
pub(crate) struct Plan {
    menu: Vec<Choice>,
    /// What is left of this round: each comes up once before one comes up again.
    round: Vec<Choice>,
    rng: ChaCha8Rng,
}

impl Plan {
    /// A plan over these faults. The same seed and menu give the same steps.
    pub(crate) fn new(seed: u64, menu: &[Choice]) -> Plan {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(super::PLAN_STREAM);
        Plan { menu: menu.to_vec(), round: Vec::new(), rng }
    }

    fn milliseconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(range))
    }

    fn fault(&mut self, choice: &Choice) -> Fault {
        match choice {
            Choice::Only(fault) => fault.clone(),
            Choice::Any(FaultKind::Partition) => Fault::Partition(self.weighted(&[
                (4, Shape::Leader),
                (2, Shape::Halves),
                (1, Shape::OneWay),
                (1, Shape::LeaderMute),
                (1, Shape::One),
                (1, Shape::Minority),
                (1, Shape::MajoritiesRing),
                (1, Shape::Bridge),
            ])),
            Choice::Any(FaultKind::Pause) => Fault::Pause(self.weighted(&[
                (4, Targets::Leader),
                (2, Targets::One),
                (2, Targets::Minority),
                (1, Targets::Majority),
                (1, Targets::All),
            ])),
            Choice::Any(FaultKind::Kill) => Fault::Kill(self.weighted(&[
                (4, Targets::Leader),
                (2, Targets::One),
                (2, Targets::Minority),
                (2, Targets::Majority),
                (2, Targets::All),
            ])),
        }
    }

    fn weighted<T: Clone>(&mut self, choices: &[(u32, T)]) -> T {
        let total: u32 = choices.iter().map(|(weight, _)| weight).sum();
        let mut ticket = self.rng.random_range(0..total);
        for (weight, choice) in choices {
            if ticket < *weight {
                return choice.clone();
            }
            ticket -= weight;
        }
        unreachable!("a ticket is below the sum of all weights")
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.menu.is_empty() {
            return None;
        }
        let gap = self.milliseconds(GAP);
        if self.round.is_empty() {
            self.round.clone_from(&self.menu);
        }
        let choice = self.round.swap_remove(self.rng.random_range(0..self.round.len()));
        let first = self.fault(&choice);
        let others: Vec<Choice> = self.menu.iter().filter(|other| other.kind() != choice.kind()).cloned().collect();
        let second = if !others.is_empty() && self.rng.random_bool(DOUBLE) {
            let other = &others[self.rng.random_range(0..others.len())];
            Some((self.milliseconds(DELAY), self.fault(other)))
        } else {
            None
        };
        let hold = self.milliseconds(HOLD);
        Some(Step { gap, first, second, hold })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn one_seed_gives_one_plan_and_another_seed_another() {
        let plan = |seed| Plan::new(seed, &Choice::all()).take(20).collect::<Vec<Step>>();
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }

    #[test]
    fn a_plan_draws_from_the_wanted_kinds_only_and_never_doubles_one() {
        for step in Plan::new(3, &[FaultKind::Pause, FaultKind::Kill].map(Choice::Any)).take(200) {
            assert_ne!(step.first.kind(), "partition");
            if let Some((_, second)) = step.second {
                assert_ne!(second.kind(), step.first.kind());
            }
        }
        assert_eq!(Plan::new(3, &[]).next(), None);
    }

    #[test]
    fn every_kind_comes_up_once_a_round_and_the_leader_soon() {
        for seed in 0..20 {
            let steps: Vec<Step> = Plan::new(seed, &Choice::all()).take(40).collect();
            for round in steps.chunks_exact(3) {
                let kinds: BTreeSet<&str> = round.iter().map(|step| step.first.kind()).collect();
                assert_eq!(kinds.len(), 3, "seed {seed}: {kinds:?}");
            }
            let leader = Fault::Partition(Shape::Leader);
            assert!(
                steps.iter().any(|s| s.first == leader || s.second.as_ref().is_some_and(|(_, f)| *f == leader)),
                "seed {seed}: the leader was never cut off"
            );
        }
    }

    #[test]
    fn a_fault_that_is_named_is_the_only_one_of_its_kind() {
        let leader = Fault::Partition(Shape::Leader);
        for step in Plan::new(5, &[Choice::Only(leader.clone()), Choice::Any(FaultKind::Pause)]).take(200) {
            for fault in [Some(step.first), step.second.map(|(_, fault)| fault)].into_iter().flatten() {
                assert!(fault == leader || fault.kind() == "pause", "{fault}");
            }
        }
    }
}
