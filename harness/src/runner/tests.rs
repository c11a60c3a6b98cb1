//! The runner against a system in memory.

use std::sync::Arc;
use std::time::Duration;

use grudge_checkers::history::{Kind, Process, csv};
use grudge_checkers::verdict::Verdict;
use grudge_workloads::client::Target;
use tempfile::TempDir;

use super::memory::{Manner, Memory};
use super::{Ran, Run, stop};
use crate::client::Clients;
use crate::fault::FaultKind;
use crate::nemesis::{Agenda, Choice, Leaders, Plan};
use crate::report::{Judged, overall};

fn run(memory: &Memory, folder: &TempDir, faults: &[FaultKind], time: Duration) -> Run {
    let target = |node: &str| Target {
        node: node.to_owned(),
        address: ([127, 0, 0, 1], 1).into(),
        cluster: std::sync::Arc::default(),
        timeout: Duration::from_millis(100),
        ttl: Duration::from_secs(1),
    };
    let menu: Vec<Choice> = faults.iter().copied().map(Choice::Any).collect();
    let workload = memory.workload(time);
    Run {
        clients: Clients::Tasks(Arc::clone(&workload.connect)),
        workload,
        targets: vec![target("n1"), target("n2")],
        concurrency: 4,
        agenda: Agenda::planned(Plan::new(1, &menu, None, Leaders::Known)),
        seed: 1,
        time,
        recovery: Duration::from_millis(700),
        fail_fast: false,
        history: folder.path().join("history.csv"),
        schedule: folder.path().join("schedule.toml"),
        events: Vec::new(),
    }
}

async fn execute(manner: Manner, faults: &[FaultKind], time: Duration) -> (Memory, TempDir, Ran) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = Memory::new(manner);
    let (_stopper, stop) = stop::pair();
    let run = run(&memory, &folder, faults, time);
    let ran = run.execute(Arc::new(memory.clone()), stop).await.expect("the harness does not fail");
    (memory, folder, ran)
}

fn verdict(ran: &Ran, checker: &str) -> Verdict {
    let judgement = ran.judgements.iter().find(|judgement| judgement.checker == checker);
    judgement.unwrap_or_else(|| panic!("nobody judged {checker}: {:?}", ran.judgements)).verdict.clone()
}

fn total(ran: &Ran) -> Verdict {
    overall(&ran.judgements.iter().cloned().map(Judged::from).collect::<Vec<_>>())
}

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_correct_system_is_valid_and_its_history_is_on_the_disk() {
    let (_, folder, ran) = execute(Manner::Correct, &[], SHORT).await;
    assert_eq!(total(&ran), Verdict::Valid, "{:?}", ran.judgements);
    ran.history.check().expect("the history keeps the schema's promises");
    let file = std::fs::File::open(folder.path().join("history.csv")).expect("the history was written");
    let (read, damage) = csv::read(file);
    assert!(damage.is_none(), "{damage:?}");
    assert_eq!(read, ran.history);
    assert!(read.events.iter().filter(|event| event.kind == Kind::Ok).count() > 50, "the workers did work");
}

#[tokio::test]
async fn a_stale_read_is_invalid_with_a_witness() {
    let (_, _folder, ran) = execute(Manner::Stale, &[], SHORT).await;
    match verdict(&ran, "linearizable register") {
        Verdict::Invalid { witness } => assert!(!witness.events.is_empty(), "{witness:?}"),
        other => panic!("the stale reads were not found: {other:?}"),
    }
}

#[tokio::test]
async fn a_run_that_fails_fast_ends_with_the_first_stale_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = Memory::new(Manner::Empty);
    let (_stopper, stop) = stop::pair();
    // Nobody would wait for its end.
    let run = Run { fail_fast: true, ..run(&memory, &folder, &[FaultKind::Pause], Duration::from_secs(3_600)) };
    let ran = run.execute(Arc::new(memory.clone()), stop).await.expect("the harness does not fail");
    assert!(matches!(verdict(&ran, "linearizable register"), Verdict::Invalid { .. }), "{:?}", ran.judgements);
    match verdict(&ran, "completeness") {
        Verdict::Unknown { reason } => {
            assert!(reason.contains("cut short") && reason.contains("(linearizable register)"), "{reason}");
        }
        other => panic!("the report says that the run was cut short: {other:?}"),
    }
    assert!(matches!(total(&ran), Verdict::Invalid { .. }));
    ran.history.check().expect("the history keeps the schema's promises");
    let open = |event: &&grudge_checkers::history::Event| event.process == Process::Nemesis && event.kind == Kind::Ok;
    let (starts, stops): (Vec<_>, Vec<_>) =
        ran.history.events.iter().filter(open).partition(|event| event.f.starts_with("start-"));
    assert_eq!(starts.len(), stops.len(), "the faults were undone");
}

#[tokio::test]
async fn a_run_that_is_cut_short_does_not_wait_for_calls_that_never_return() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = Memory::new(Manner::EmptyAndStuck);
    let (_stopper, stop) = stop::pair();
    const NEVER: Duration = Duration::from_secs(3_600);
    let mut run = Run { fail_fast: true, ..run(&memory, &folder, &[], NEVER) };
    // So that the call is not given up before.
    run.targets.iter_mut().for_each(|target| target.timeout = NEVER);
    let ran = run.execute(Arc::new(memory.clone()), stop).await.expect("the harness does not fail");
    assert!(matches!(total(&ran), Verdict::Invalid { .. }), "{:?}", ran.judgements);
    let operations = ran.history.operations().expect("it pairs");
    assert!(operations.iter().any(|operation| operation.completion.is_none()), "some call was still on its way");
}

#[tokio::test]
async fn a_run_that_fails_fast_ends_as_any_other_if_nothing_is_wrong() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = Memory::new(Manner::Forgetful);
    let (_stopper, stop) = stop::pair();
    let run = Run { fail_fast: true, ..run(&memory, &folder, &[], SHORT) };
    let ran = run.execute(Arc::new(memory.clone()), stop).await.expect("the harness does not fail");
    assert_eq!(total(&ran), Verdict::Valid, "{:?}", ran.judgements);
}

#[tokio::test]
async fn after_an_unknown_outcome_the_worker_goes_on_as_another_process_with_another_client() {
    let (memory, _folder, ran) = execute(Manner::Forgetful, &[], SHORT).await;
    assert_eq!(total(&ran), Verdict::Valid, "{:?}", ran.judgements);
    let unknown: Vec<_> = ran.history.events.iter().filter(|event| event.kind == Kind::Info).collect();
    assert!(!unknown.is_empty(), "every fifth call timed out");
    for event in &unknown {
        let again = ran.history.events.iter().any(|later| later.index > event.index && later.process == event.process);
        assert!(!again, "process {} went on after event {}", event.process, event.index);
    }
    let numbers = |event: &&grudge_checkers::history::Event| match event.process {
        Process::Client(number) => Some((number % 4, event.node.clone())),
        Process::Nemesis => None,
    };
    for (worker, node) in ran.history.events.iter().filter_map(|event| numbers(&event)) {
        let home = if worker % 2 == 0 { "n1" } else { "n2" };
        assert_eq!(node.as_deref(), Some(home), "worker {worker} is bound to its node");
    }
    assert_eq!(memory.clients(), 4 + unknown.len() as u64, "one client a process");
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_fails_calls_slowly_and_then_liveness() {
    let (_, _folder, ran) = execute(Manner::Unreachable, &[], SHORT).await;
    let refused = ran.history.events.iter().filter(|event| event.error.as_deref() == Some("refused"));
    let refused: Vec<_> = refused.collect();
    assert!(refused.iter().all(|event| event.kind == Kind::Fail), "nothing was sent, so nothing happened");
    assert!((2..60).contains(&refused.len()), "{} refusals: a worker rests between two", refused.len());
    match verdict(&ran, "liveness") {
        Verdict::Invalid { witness } => {
            assert!(witness.reason.contains("worker 1 at n2 (last errors: read refused"), "{}", witness.reason);
        }
        other => panic!("two workers never succeeded: {other:?}"),
    }
}

#[tokio::test]
async fn a_client_that_hangs_is_given_up_and_nothing_was_put_to_the_test() {
    let (_, _folder, ran) = execute(Manner::Hanging, &[], SHORT).await;
    assert!(ran.history.events.iter().any(|event| event.error.as_deref() == Some("client-stuck")));
    assert!(matches!(verdict(&ran, "completeness"), Verdict::Unknown { .. }));
}

#[tokio::test]
async fn faults_are_rows_with_receipts_and_a_schedule() {
    let (_, folder, ran) = execute(Manner::Correct, &[FaultKind::Pause], Duration::from_secs(4)).await;
    assert_eq!(total(&ran), Verdict::Valid, "{:?}", ran.judgements);
    let rows: Vec<_> = ran.history.events.iter().filter(|event| event.process == Process::Nemesis).collect();
    let kinds: Vec<(Kind, &str)> = rows.iter().map(|event| (event.kind, event.f.as_str())).collect();
    let one = [
        (Kind::Invoke, "start-pause"),
        (Kind::Ok, "start-pause"),
        (Kind::Invoke, "stop-pause"),
        (Kind::Ok, "stop-pause"),
    ];
    assert!(kinds.len() >= 4, "{kinds:?}");
    assert!(kinds.chunks(4).all(|chunk| chunk == one), "{kinds:?}");
    assert_eq!(rows[1].value["nodes"][0], "n1", "the receipt is the value");
    let schedule = std::fs::read_to_string(folder.path().join("schedule.toml")).expect("the schedule was written");
    assert!(schedule.contains("[[fault]]") && schedule.contains("drawn"), "{schedule}");
}

#[tokio::test]
async fn a_system_that_does_not_come_back_is_invalid_by_liveness() {
    let (_, _folder, ran) = execute(Manner::Broken, &[FaultKind::Kill], Duration::from_secs(4)).await;
    match verdict(&ran, "liveness") {
        Verdict::Invalid { witness } => assert!(witness.reason.contains("no-quorum"), "{}", witness.reason),
        other => panic!("nobody came back: {other:?}"),
    }
}

#[tokio::test]
async fn a_run_too_short_for_any_fault_proves_nothing() {
    let (_, _folder, ran) = execute(Manner::Correct, &[FaultKind::Kill], SHORT).await;
    assert!(matches!(total(&ran), Verdict::Unknown { reason } if reason.contains("not one fault")));
}

#[tokio::test]
async fn an_interrupted_run_heals_keeps_its_history_and_is_unknown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = Memory::new(Manner::Correct);
    let (stopper, stop) = stop::pair();
    let run = run(&memory, &folder, &[FaultKind::Pause], Duration::from_secs(600));
    let running = tokio::spawn(run.execute(Arc::new(memory.clone()), stop));
    let history = folder.path().join("history.csv");
    while !std::fs::read_to_string(&history).is_ok_and(|text| text.contains("ok,start-pause")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stopper.stop();
    let ran = running.await.expect("no panic").expect("the harness does not fail");
    assert!(matches!(total(&ran), Verdict::Unknown { reason } if reason.contains("interrupted")));
    let last = ran.history.events.iter().rfind(|event| event.process == Process::Nemesis).expect("there was a fault");
    assert_eq!((last.kind, last.f.as_str()), (Kind::Ok, "stop-pause"), "the fault was undone");
}

#[tokio::test]
async fn a_history_that_cannot_be_written_is_a_failure_of_the_harness_that_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let memory = Memory::new(Manner::Correct);
    let (_stopper, stop) = stop::pair();
    let mut run = run(&memory, &folder, &[], SHORT);
    run.history = "/dev/full".into();
    let error = run.execute(Arc::new(memory), stop).await.expect_err("the disk is full");
    assert!(format!("{error:#}").contains("--store DIR"), "{error:#}");
}
