//! What the harness itself has to say of a run, beside the workload's checkers: were the faults real, did a replica
//! die by itself, did everybody come back.

use std::time::Duration;

use grudge_checkers::history::{Event, History, Kind, Process};
use grudge_checkers::verdict::{Verdict, Witness};
use grudge_workloads::workload::Judgement;

use super::Ending;
use super::core::Straggler;
use crate::cluster::Crash;
use crate::nemesis::Toll;

/// How many of a straggler's last events the witness shows.
const EVENTS: usize = 4;

/// The harness's judgements, in the order in which they are reported.
pub(crate) fn harness(history: &History, ending: &Ending, faults: bool, recovery: Duration) -> Vec<Judgement> {
    let mut judgements = vec![judgement("processes", processes(&ending.crashes))];
    if let Some(stragglers) = &ending.stragglers {
        judgements.push(judgement("liveness", liveness(history, stragglers, recovery)));
    }
    if faults {
        judgements.push(judgement("faults", in_force(&ending.toll, ending.interrupted)));
    }
    if let Some(verdict) = completeness(history, ending) {
        judgements.push(judgement("completeness", verdict));
    }
    judgements
}

fn judgement(checker: &str, verdict: Verdict) -> Judgement {
    Judgement { checker: checker.to_owned(), verdict, finding: false }
}

fn unknown(reason: String) -> Verdict {
    Verdict::Unknown { reason }
}

fn invalid(reason: String, events: Vec<Event>) -> Verdict {
    Verdict::Invalid { witness: Witness { key: None, reason, events } }
}

/// No replica may die that the harness did not kill.
fn processes(crashes: &[Crash]) -> Verdict {
    if crashes.is_empty() {
        return Verdict::Valid;
    }
    let sentence = |crash: &Crash| {
        let log = crash.log.iter().map(|line| format!("\n    {line}")).collect::<String>();
        format!("{} died by itself, {}; its last log lines:{log}", crash.node, crash.status)
    };
    invalid(crashes.iter().map(sentence).collect::<Vec<_>>().join("\n"), Vec::new())
}

/// Everybody must succeed again after everything was healed.
fn liveness(history: &History, stragglers: &[Straggler], recovery: Duration) -> Verdict {
    if stragglers.is_empty() {
        return Verdict::Valid;
    }
    let sentence = |straggler: &Straggler| {
        let errors = if straggler.errors.is_empty() { "none".to_owned() } else { straggler.errors.join(", ") };
        format!("worker {} at {} (last errors: {errors})", straggler.worker.0, straggler.node)
    };
    let who = stragglers.iter().map(sentence).collect::<Vec<_>>().join("; ");
    let reason = format!(
        "liveness: {} s after the last fault was healed, not everything asked of these had succeeded: {who}",
        recovery.as_secs()
    );
    let mut events: Vec<Event> = stragglers.iter().take(2).flat_map(|who| last_events(history, who)).collect();
    events.sort_by_key(|event| event.index);
    // Two stragglers at one node have their last events in common.
    events.dedup_by_key(|event| event.index);
    invalid(reason, events)
}

fn last_events(history: &History, straggler: &Straggler) -> Vec<Event> {
    let process = Process::Client(straggler.process);
    let mut events: Vec<Event> = history
        .events
        .iter()
        .rev()
        .filter(|event| event.process == process || event.node.as_deref() == Some(&straggler.node))
        .take(EVENTS)
        .cloned()
        .collect();
    events.reverse();
    events
}

/// A fault without a receipt proves nothing.
fn in_force(toll: &Toll, interrupted: bool) -> Verdict {
    if let Some(unhealed) = &toll.unhealed {
        return unknown(format!("the cluster could not be healed, so nothing can be asked of it: {unhealed}"));
    }
    match toll.unproven.first() {
        Some(first) => unknown(format!(
            "{} without a receipt, so nobody knows what the cluster suffered; the first: {first}",
            if toll.unproven.len() == 1 {
                "a fault is".to_owned()
            } else {
                format!("{} faults are", toll.unproven.len())
            }
        )),
        None if toll.in_force == 0 && !interrupted => {
            unknown("not one fault was in force: the run was too short (see the fail rows of the nemesis)".to_owned())
        }
        None => Verdict::Valid,
    }
}

/// A run that was cut short, or in which nothing succeeded, proves nothing.
fn completeness(history: &History, ending: &Ending) -> Option<Verdict> {
    if ending.interrupted {
        return Some(unknown("the run was interrupted; what was recorded until then is judged above".to_owned()));
    }
    let succeeded = history.events.iter().any(|event| event.kind == Kind::Ok && event.process != Process::Nemesis);
    (!succeeded).then(|| unknown("not one operation succeeded, so no promise was put to the test".to_owned()))
}
