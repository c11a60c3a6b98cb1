//! What a suite's file says of a test besides its system, workload, faults and seeds; the options of `grudge test`.

use grudge_nodes::bugs::Bug;
use jiff::SignedDuration;
use serde::Deserialize;

use crate::spec::Spec;

/// See the module's text. What is absent is as usual.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) nodes: Option<usize>,
    concurrency: Option<usize>,
    keys: Option<usize>,
    rate: Option<Rate>,
    time: Option<SignedDuration>,
    timeout: Option<SignedDuration>,
    ttl: Option<SignedDuration>,
    recovery: Option<SignedDuration>,
    fail_fast: Option<bool>,
    #[serde(default)]
    bugs: Vec<Bug>,
}

/// Operations a second.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a rate is a number of operations a second, or \"max\"")]
enum Rate {
    Of(f64),
    Named(Max),
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Max {
    Max,
}

impl Settings {
    /// These, and those of `other` where these say nothing.
    pub(super) fn or(&self, other: &Settings) -> Settings {
        Settings {
            nodes: self.nodes.or(other.nodes),
            concurrency: self.concurrency.or(other.concurrency),
            keys: self.keys.or(other.keys),
            rate: self.rate.or(other.rate),
            time: self.time.or(other.time),
            timeout: self.timeout.or(other.timeout),
            ttl: self.ttl.or(other.ttl),
            recovery: self.recovery.or(other.recovery),
            fail_fast: self.fail_fast.or(other.fail_fast),
            bugs: if self.bugs.is_empty() { other.bugs.clone() } else { self.bugs.clone() },
        }
    }

    /// Changes a test as they say.
    pub(super) fn change(&self, spec: &mut Spec) {
        spec.nodes = self.nodes.unwrap_or(spec.nodes);
        spec.concurrency = self.concurrency.unwrap_or(spec.concurrency);
        spec.keys = self.keys.or(spec.keys);
        match self.rate {
            None => {}
            Some(Rate::Of(rate)) => spec.rate = Some(rate),
            Some(Rate::Named(Max::Max)) => spec.rate = None,
        }
        spec.time = self.time.unwrap_or(spec.time);
        spec.timeout = self.timeout.unwrap_or(spec.timeout);
        spec.ttl = self.ttl.unwrap_or(spec.ttl);
        spec.recovery = self.recovery.unwrap_or(spec.recovery);
        spec.fail_fast = self.fail_fast.unwrap_or(spec.fail_fast);
        if !self.bugs.is_empty() {
            spec.bugs.clone_from(&self.bugs);
        }
    }
}
