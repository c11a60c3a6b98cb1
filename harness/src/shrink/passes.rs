//! The ways in which a test can be simpler. Each lists candidates, the boldest first, and every candidate is smaller
//! than the test by something that can only shrink: a count, a time, or the words that it takes to say it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;

use crate::fault::{Fault, PacketTrouble, Shape, Targets, Workers};
use crate::nemesis::{Sign, Step, Trap, Trigger};
use crate::spec::Spec;

/// Lists simpler tests.
pub(crate) type Pass = fn(&Spec) -> Vec<Spec>;

/// All of them, in the order in which they pay: what makes the later ones cheaper comes first.
pub(crate) const ALL: [Pass; 8] =
    [fewer_faults, shorter_time, fewer_nodes, fewer_workers, fewer_keys, lower_rate, shorter_waits, simpler_words];

/// The times that a person would write, in milliseconds.
const ROUND: [u64; 11] = [0, 50, 100, 200, 500, 1_000, 2_000, 3_000, 5_000, 7_000, 10_000];
/// The fewest nodes that can lose one.
const FEW_NODES: usize = 3;

/// Without some of its faults: without half of them, a quarter, …, without one.
pub(crate) fn fewer_faults(spec: &Spec) -> Vec<Spec> {
    let count = spec.script.len();
    let mut candidates = Vec::new();
    let mut size = count;
    while size > 0 {
        for begin in (0..count).step_by(size) {
            let mut script = spec.script.clone();
            script.drain(begin..(begin + size).min(count));
            candidates.push(Spec { script, ..spec.clone() });
        }
        size /= 2;
    }
    candidates
}

/// The main phase cut to a half, three quarters, or by a second.
fn shorter_time(spec: &Spec) -> Vec<Spec> {
    let seconds = spec.time.as_secs();
    let fraction = spec.time != SignedDuration::from_secs(seconds);
    let cut = [seconds / 2, seconds * 3 / 4, if fraction { seconds } else { seconds - 1 }];
    let lengths = distinct(cut.into_iter().filter(|cut| *cut > 0 && SignedDuration::from_secs(*cut) < spec.time));
    lengths.into_iter().map(|cut| Spec { time: SignedDuration::from_secs(cut), ..spec.clone() }).collect()
}

/// Three nodes. Who had a higher number is one of the three.
fn fewer_nodes(spec: &Spec) -> Vec<Spec> {
    if spec.nodes <= FEW_NODES {
        return Vec::new();
    }
    let script = spec.script.iter().map(|step| among(step, FEW_NODES)).collect();
    vec![Spec { nodes: FEW_NODES, script, ..spec.clone() }]
}

fn fewer_workers(spec: &Spec) -> Vec<Spec> {
    let count = spec.concurrency;
    let fewer =
        distinct([1, 2, 3, count / 2, count.saturating_sub(1)].into_iter().filter(|it| (1..count).contains(it)));
    fewer.into_iter().map(|concurrency| Spec { concurrency, ..spec.clone() }).collect()
}

fn fewer_keys(spec: &Spec) -> Vec<Spec> {
    let fewer = match spec.keys {
        None => vec![1],
        Some(count) => distinct([1, count / 2, count - 1].into_iter().filter(|it| (1..count).contains(it))),
    };
    fewer.into_iter().map(|keys| Spec { keys: Some(keys), ..spec.clone() }).collect()
}

/// Fewer operations.
fn lower_rate(spec: &Spec) -> Vec<Spec> {
    let slower = match spec.rate {
        None => vec![10.0, 100.0],
        Some(rate) => [10.0, (rate / 2.0).round()].into_iter().filter(|it| *it >= 1.0 && *it < rate).collect(),
    };
    slower.into_iter().map(|rate| Spec { rate: Some(rate), ..spec.clone() }).collect()
}

/// Every wait and every hold at a shorter, rounder time; first all holds of the script at once.
fn shorter_waits(spec: &Spec) -> Vec<Spec> {
    let mut candidates = Vec::new();
    for hold in rounder(spec.script.iter().filter_map(|step| step.hold).max().unwrap_or_default()) {
        let mut all = spec.clone();
        all.script.iter_mut().for_each(|step| step.hold = step.hold.map(|old| old.min(hold)));
        candidates.push(all);
    }
    for (place, step) in spec.script.iter().enumerate() {
        for hold in step.hold.map(rounder).unwrap_or_default() {
            candidates.push(with(spec, place, Step { hold: Some(hold), ..step.clone() }));
        }
        candidates.extend(earlier(spec, place));
    }
    candidates
}

/// A step that begins earlier; with an absolute time, all after it do, too.
fn earlier(spec: &Spec, place: usize) -> Vec<Spec> {
    let step = &spec.script[place];
    let when = |when: Trigger| with(spec, place, Step { when, ..step.clone() });
    match &step.when {
        Trigger::At(time) => rounder(*time).into_iter().map(|at| advanced(spec, place, *time - at)).collect(),
        Trigger::Previous(wait) => rounder(*wait).into_iter().map(|wait| when(Trigger::Previous(wait))).collect(),
        Trigger::Calm(wait) => rounder(*wait).into_iter().map(|wait| when(Trigger::Calm(wait))).collect(),
        Trigger::Leader { nth, then } => {
            let sooner = rounder(*then).into_iter().map(|then| Trigger::Leader { nth: *nth, then });
            (1..*nth).map(|nth| Trigger::Leader { nth, then: *then }).chain(sooner).map(when).collect()
        }
        Trigger::Acknowledged { nth, then } => {
            let fewer = [1, 10, nth / 2, nth / 10 * 10].into_iter().filter(|it| (1..*nth).contains(it));
            let sooner = rounder(*then).into_iter().map(|then| Trigger::Acknowledged { nth: *nth, then });
            fewer.map(|nth| Trigger::Acknowledged { nth, then: *then }).chain(sooner).map(when).collect()
        }
        Trigger::Sign(sign) => (1..sign.nth).map(|nth| when(Trigger::Sign(Sign { nth, ..sign.clone() }))).collect(),
        Trigger::Point(trap) => (1..trap.nth).map(|nth| when(Trigger::Point(Trap { nth, ..trap.clone() }))).collect(),
    }
}

/// That step and all later ones at absolute times so much earlier.
fn advanced(spec: &Spec, place: usize, by: Duration) -> Spec {
    let mut spec = spec.clone();
    for step in &mut spec.script[place..] {
        if let Trigger::At(time) = &mut step.when {
            *time = time.saturating_sub(by);
        }
    }
    spec
}

/// Steps that say less: roles instead of names, fewer nodes, no patience of their own.
fn simpler_words(spec: &Spec) -> Vec<Spec> {
    let mut candidates = Vec::new();
    for (place, step) in spec.script.iter().enumerate() {
        if step.within.is_some() {
            candidates.push(with(spec, place, Step { within: None, ..step.clone() }));
        }
        if let Trigger::Point(trap @ Trap { node: Some(_), .. }) = &step.when {
            let when = Trigger::Point(Trap { node: None, ..trap.clone() });
            candidates.push(with(spec, place, Step { when, ..step.clone() }));
        }
        for fault in simpler(&step.fault) {
            candidates.push(with(spec, place, Step { fault, ..step.clone() }));
        }
    }
    candidates
}

fn simpler(fault: &Fault) -> Vec<Fault> {
    match fault {
        Fault::Partition(Shape::Cuts(cuts)) => {
            let names: BTreeSet<&String> = cuts.keys().chain(cuts.values().flatten()).collect();
            let alone = names.into_iter().map(|name| Shape::Node(name.clone()));
            [Shape::Leader, Shape::LeaderMute].into_iter().chain(alone).map(Fault::Partition).collect()
        }
        Fault::Partition(Shape::Node(_)) => vec![Fault::Partition(Shape::Leader)],
        Fault::Partition(_) => Vec::new(),
        Fault::Client { targets: Workers::Numbers(numbers), trouble } => {
            let roles = [Workers::Holder, Workers::All];
            let fewer = fewer(numbers).map(Workers::Numbers);
            roles.into_iter().chain(fewer).map(|targets| Fault::Client { targets, trouble: *trouble }).collect()
        }
        Fault::Packets(trouble) => {
            let calmer = [
                PacketTrouble { loss: 0, ..trouble.clone() },
                PacketTrouble { duplicate: 0, ..trouble.clone() },
                PacketTrouble { late: 0, ..trouble.clone() },
                PacketTrouble { corrupt: 0, ..trouble.clone() },
                PacketTrouble { delay: Duration::ZERO, ..trouble.clone() },
                PacketTrouble { jitter: Duration::ZERO, ..trouble.clone() },
                PacketTrouble { rate: None, ..trouble.clone() },
            ];
            let calmer = calmer.into_iter().filter(|it| it != trouble).map(Fault::Packets);
            calmer.filter(|fault| fault.check().is_ok()).chain(elsewhere(fault)).collect()
        }
        other => elsewhere(other),
    }
}

/// The same for targets that say more.
fn elsewhere(fault: &Fault) -> Vec<Fault> {
    let targets = fault.targets().map(simpler_targets).unwrap_or_default();
    let aimed = targets.into_iter().map(|targets| {
        let mut fault = fault.clone();
        fault.aim(targets);
        fault
    });
    aimed.collect()
}

/// A role says more than names; fewer names say more than many.
fn simpler_targets(targets: &Targets) -> Vec<Targets> {
    let Targets::Nodes(names) = targets else { return Vec::new() };
    let roles = [Targets::Leader, Targets::Followers, Targets::All];
    roles.into_iter().chain(fewer(names).map(Targets::Nodes)).collect()
}

/// All but one of them, if that leaves any.
fn fewer<T: Clone>(all: &[T]) -> impl Iterator<Item = Vec<T>> {
    (0..all.len()).filter(|_| all.len() > 1).map(|without| {
        let mut fewer = all.to_vec();
        fewer.remove(without);
        fewer
    })
}

/// The step of a smaller cluster: nodes that are not in it are others that are.
fn among(step: &Step, nodes: usize) -> Step {
    let rename = |name: &String| match name.trim_start_matches('n').parse::<usize>() {
        Ok(number) if number > nodes => format!("n{}", (number - 1) % nodes + 1),
        _ => name.clone(),
    };
    let rename_all = |targets: &mut Targets| {
        if let Targets::Nodes(names) = targets {
            *names = distinct(names.iter().map(rename));
        }
    };
    let mut step = step.clone();
    match &mut step.fault {
        Fault::Partition(Shape::Node(name)) => *name = rename(name),
        Fault::Partition(Shape::Cuts(cuts)) => {
            let mut fewer = std::collections::BTreeMap::<String, BTreeSet<String>>::new();
            for (node, deaf_to) in cuts.iter() {
                let node = rename(node);
                let others = deaf_to.iter().map(&rename).filter(|other| *other != node);
                fewer.entry(node.clone()).or_default().extend(others);
            }
            fewer.retain(|_, deaf_to| !deaf_to.is_empty());
            *cuts = fewer;
        }
        Fault::Packets(trouble) => {
            trouble.peers = distinct(trouble.peers.iter().map(rename));
            rename_all(&mut trouble.targets);
        }
        other => {
            if let Some(targets) = other.targets_mut() {
                rename_all(targets);
            }
        }
    }
    if let Trigger::Point(Trap { node: Some(name), .. }) | Trigger::Sign(Sign { node: Some(name), .. }) = &mut step.when
    {
        *name = rename(name);
    }
    step
}

fn with(spec: &Spec, place: usize, step: Step) -> Spec {
    let mut spec = spec.clone();
    spec.script[place] = step;
    spec
}

/// Shorter times that a person would write, and the time itself without what is smaller than a millisecond.
fn rounder(time: Duration) -> Vec<Duration> {
    let mut times: Vec<Duration> = ROUND.into_iter().map(Duration::from_millis).collect();
    for unit in [1_000, 100, 10, 1] {
        times.push(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / unit * unit));
    }
    distinct(times.into_iter().filter(|shorter| *shorter < time))
}

/// Each once, in their order.
fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}
