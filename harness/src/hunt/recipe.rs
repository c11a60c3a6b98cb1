//! The recipes: for each planted bug, what to run to find it. One file a bug, in `harness/hunts/`.

use std::time::Duration;

use grudge_nodes::bugs::Bug;
use jiff::SignedDuration;
use serde::Deserialize;

use crate::fault::Arena;
use crate::nemesis::{Choice, Menu, Step};
use crate::spec::Spec;
use crate::system::Subject;

/// How to find a bug.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recipe {
    /// In simulated time.
    pub sim: Setup,
    /// On real processes; as in simulated time if absent.
    #[serde(default)]
    pub real: Option<Real>,
}

/// How to find a bug on real processes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Real {
    /// It cannot be found there.
    Impossible {
        /// Why, in one sentence.
        impossible: String,
    },
    /// So.
    Possible(Setup),
}

/// A test without its bug and its seed. What is absent is as usual.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Setup {
    /// What the clients do.
    pub workload: String,
    /// What the nemesis draws from; all that exists if absent.
    #[serde(default)]
    pub faults: Option<Vec<Choice>>,
    /// What it does instead, step by step.
    #[serde(default)]
    pub script: Vec<Step>,
    #[serde(default = "nodes")]
    nodes: usize,
    #[serde(default = "concurrency")]
    concurrency: usize,
    #[serde(default)]
    keys: Option<usize>,
    #[serde(default = "rate")]
    rate: f64,
    #[serde(default = "time")]
    time: SignedDuration,
    #[serde(default = "timeout")]
    timeout: SignedDuration,
    #[serde(default = "ttl")]
    ttl: SignedDuration,
    #[serde(default = "recovery")]
    recovery: SignedDuration,
}

fn nodes() -> usize {
    5
}

fn concurrency() -> usize {
    10
}

fn rate() -> f64 {
    100.0
}

fn time() -> SignedDuration {
    SignedDuration::from_secs(30)
}

fn timeout() -> SignedDuration {
    SignedDuration::from_secs(2)
}

fn ttl() -> SignedDuration {
    SignedDuration::from_secs(4)
}

fn recovery() -> SignedDuration {
    SignedDuration::from_secs(30)
}

impl Recipe {
    /// The recipe of a bug.
    #[must_use]
    pub fn of(bug: Bug) -> Recipe {
        toml::from_str(text(bug)).expect("a test reads every recipe")
    }

    /// How it is found on real processes.
    ///
    /// # Errors
    /// It cannot be, and why.
    pub fn real(&self) -> Result<&Setup, &str> {
        match &self.real {
            None => Ok(&self.sim),
            Some(Real::Possible(setup)) => Ok(setup),
            Some(Real::Impossible { impossible }) => Err(impossible),
        }
    }
}

impl Setup {
    /// The test: with the bug on, or of the system that can bear it with none.
    #[must_use]
    pub fn spec(&self, on: Option<Bug>, of: Bug, seed: u64, arena: Arena) -> Spec {
        let faults = match &self.faults {
            _ if !self.script.is_empty() => Vec::new(),
            None => Menu::Usual.choices(arena, Subject::from(of.protocol()).replica()),
            Some(faults) => faults.clone(),
        };
        Spec {
            system: of.protocol().into(),
            workload: self.workload.clone(),
            faults,
            bugs: on.into_iter().collect(),
            nodes: self.nodes,
            concurrency: self.concurrency,
            keys: self.keys,
            rate: Some(self.rate),
            seed,
            time: self.time,
            timeout: self.timeout,
            ttl: self.ttl,
            recovery: self.recovery,
            fail_fast: false,
            script: self.script.clone(),
        }
    }

    /// What is broken, in words.
    #[must_use]
    pub fn faults(&self) -> String {
        match &self.faults {
            _ if !self.script.is_empty() => format!("script of {}", self.script.len()),
            None => "all".to_owned(),
            Some(faults) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }
    }

    /// How long one run lasts at least.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.time.unsigned_abs()
    }
}

/// The text of a bug's recipe.
fn text(bug: Bug) -> &'static str {
    match bug {
        Bug::RaftStaleRead => include_str!("../../hunts/raft-stale-read.toml"),
        Bug::RaftNoFsync => include_str!("../../hunts/raft-no-fsync.toml"),
        Bug::RaftVoteLost => include_str!("../../hunts/raft-vote-lost.toml"),
        Bug::RaftCommitOldTerm => include_str!("../../hunts/raft-commit-old-term.toml"),
        Bug::RaftReadidReuse => include_str!("../../hunts/raft-readid-reuse.toml"),
        Bug::KvIndexEarly => include_str!("../../hunts/kv-index-early.toml"),
        Bug::LeaseOldLeader => include_str!("../../hunts/lease-old-leader.toml"),
        Bug::LeaseNoExtend => include_str!("../../hunts/lease-no-extend.toml"),
        Bug::ZabSkipTrunc => include_str!("../../hunts/zab-skip-trunc.toml"),
        Bug::ZabEphemeralReplay => include_str!("../../hunts/zab-ephemeral-replay.toml"),
        Bug::ZabAckBeforeFsync => include_str!("../../hunts/zab-ack-before-fsync.toml"),
        Bug::ZabEpochBeforeLog => include_str!("../../hunts/zab-epoch-before-log.toml"),
        Bug::ZabNewleaderAckEarly => include_str!("../../hunts/zab-newleader-ack-early.toml"),
        Bug::ZabSnapMemory => include_str!("../../hunts/zab-snap-memory.toml"),
        Bug::ZabForgetAccepted => include_str!("../../hunts/zab-forget-accepted.toml"),
        Bug::ZabLogHole => include_str!("../../hunts/zab-log-hole.toml"),
        Bug::ZabMultiZxid => include_str!("../../hunts/zab-multi-zxid.toml"),
        Bug::ZabStaleConnect => include_str!("../../hunts/zab-stale-connect.toml"),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::spec::kebab;

    #[test]
    fn every_bug_has_a_recipe_that_makes_sense() {
        for bug in Bug::value_variants() {
            let name = kebab(bug);
            let recipe: Recipe =
                toml::from_str(text(*bug)).unwrap_or_else(|error| panic!("hunts/{name}.toml: {error}"));
            let replica = Subject::from(bug.protocol()).replica();
            let real = recipe.real().ok().map(|setup| (setup, Arena::Processes));
            for (setup, arena) in [Some((&recipe.sim, Arena::Simulation)), real].into_iter().flatten() {
                let spec = setup.spec(Some(*bug), *bug, 1, arena);
                let checked = spec.check().and_then(|()| spec.check_faults(arena, replica));
                assert!(checked.is_ok(), "hunts/{name}.toml, {arena:?}: {checked:?}");
            }
        }
    }
}
