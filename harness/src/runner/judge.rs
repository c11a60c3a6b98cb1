//! What the harness itself has to say of a run, beside the workload's checkers: were the faults real, did a replica
//! die by itself, did everybody come back.

use std::path::PathBuf;
use std::time::Duration;

use grudge_checkers::history::{Event, History, Kind, Process};
use grudge_checkers::verdict::{Verdict, Witness};
use grudge_nodes::agreement::Agreement;
use grudge_nodes::events;
use grudge_nodes::replica::NodeId;
use grudge_workloads::workload::Judgement;

use super::Ending;
use super::core::Straggler;
use super::watchdog::Caught;
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
        judgements.push(judgement("faults", in_force(&ending.toll, ending.interrupted || ending.caught.is_some())));
    }
    if let Some(verdict) = completeness(history, ending) {
        judgements.push(judgement("completeness", verdict));
    }
    judgements
}

/// Whether the replicas agreed, by what each of them wrote down; nothing of those that write nothing down.
///
/// The files are read one after the other: nothing is known of the order in which things happened at different nodes,
/// and no invariant asks for it.
pub(super) fn replicas(files: &[(NodeId, PathBuf)]) -> Option<Judgement> {
    if files.is_empty() {
        return None;
    }
    let mut agreement = Agreement::default();
    let mut broken = Vec::new();
    for (node, path) in files {
        let events = match events::read(path) {
            Ok(events) => events,
            Err(error) => {
                let reason = format!("nobody knows whether the replicas agreed: {error}");
                return Some(judgement("replicas", unknown(reason)));
            }
        };
        let mut life = 0;
        for (lived, event) in events {
            if lived != life {
                agreement.reborn(*node);
                life = lived;
            }
            broken.extend(agreement.observe(*node, &event).err());
        }
    }
    let verdict = match broken.split_first() {
        None => Verdict::Valid,
        Some((first, [])) => invalid(first.clone(), Vec::new()),
        Some((first, others)) => invalid(format!("{first} ({} more)", others.len()), Vec::new()),
    };
    Some(judgement("replicas", verdict))
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
    if let Some(Caught { checker, reason, index, time }) = &ending.caught {
        return Some(unknown(format!(
            "the run was cut short at {:.1} s, when event {index} was seen to break a promise ({checker}): {reason}; what was \
             recorded until then is judged above",
            time.as_secs_f64()
        )));
    }
    if ending.interrupted {
        return Some(unknown("the run was interrupted; what was recorded until then is judged above".to_owned()));
    }
    let succeeded = history.events.iter().any(|event| event.kind == Kind::Ok && event.process != Process::Nemesis);
    (!succeeded).then(|| unknown("not one operation succeeded, so no promise was put to the test".to_owned()))
}

#[cfg(test)]
mod tests {
    use grudge_nodes::replica::Event as Reported;

    use super::*;

    /// What one node reports, life by life.
    type Lives<'a> = &'a [&'a [Reported]];

    fn judged(nodes: &[Lives<'_>]) -> Option<Verdict> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut files = Vec::new();
        for (id, lives) in (1..).map(NodeId).zip(nodes) {
            let path = folder.path().join(id.to_string());
            for life in *lives {
                let mut writer = events::Writer::begin(&path).expect("the folder is there");
                life.iter().for_each(|event| writer.note(event));
                writer.flush().expect("a few bytes");
            }
            files.push((id, path));
        }
        replicas(&files).map(|judgement| judgement.verdict)
    }

    fn applied(position: u64, digest: u64) -> Reported {
        Reported::Applied { position, digest }
    }

    #[test]
    fn replicas_that_agree_are_valid_over_lives_and_laggards() {
        let all = [applied(1, 7), applied(2, 8), applied(3, 9)];
        let again = [Reported::Restored { position: 2 }, applied(3, 9)];
        assert_eq!(judged(&[&[&all], &[&all[..2], &all], &[&all[..1], &again]]), Some(Verdict::Valid));
        assert_eq!(judged(&[]), None, "who writes nothing down is not judged by it");
    }

    #[test]
    fn each_broken_invariant_names_node_position_and_digests() {
        let leads = [Reported::Leading { epoch: 4 }];
        let table: [(&[Lives<'_>], &[&str]); 4] = [
            (&[&[&leads], &[&[]], &[&leads]], &["leader uniqueness", "n3", "epoch 4", "n1"]),
            (&[&[&[applied(1, 7)]], &[&[applied(1, 8)]]], &["agreement", "n2", "0x1", "0x8", "n1", "0x7"]),
            (&[&[&[applied(2, 7), applied(1, 8)]]], &["order", "n1"]),
            (&[&[&[applied(1, 7), applied(2, 8)]], &[&[applied(2, 8)]]], &["prefix", "n2", "leaves out 0x1"]),
        ];
        for (nodes, words) in table {
            match judged(nodes) {
                Some(Verdict::Invalid { witness }) => {
                    assert!(words.iter().all(|word| witness.reason.contains(word)), "{words:?}: {}", witness.reason);
                }
                other => panic!("{words:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_read_proves_nothing() {
        let lost = replicas(&[(NodeId(1), "/no/such/file".into())]).expect("it is judged");
        assert!(matches!(lost.verdict, Verdict::Unknown { reason } if reason.contains("/no/such/file")));
    }
}
