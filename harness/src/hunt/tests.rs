//! The hunt, with bugs that are found at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use grudge_nodes::bugs::Bug;

use super::Hunt;
use super::recipe::Recipe;
use super::report::{Control, False, Report, Row, known};
use super::round::{Find, Round, Sweep};
use super::table;
use crate::fault::Arena;

const HUNT: Hunt = Hunt { seed: 7, rounds: 2, budget: Duration::from_secs(60), jobs: 2 };

fn find(seed: u64) -> Find {
    Find { seed, checkers: vec!["set-full".to_owned()], reason: "lost: 3".to_owned() }
}

fn round(found: Option<Find>, runs: u64, seconds: f64) -> Round {
    Round { found, runs, unknown: 0, seconds }
}

fn row(bug: Bug, rounds: Vec<Round>) -> Row {
    Row::new(bug, &Recipe::of(bug), rounds, Vec::new())
}

fn report(bugs: Vec<Row>) -> Report {
    let control = Control { wanted: 200, runs: 200, ..Control::default() };
    Report { started: jiff::Timestamp::UNIX_EPOCH, seed: 7, budget: 60.0, bugs, control }
}

#[test]
fn a_bug_is_found_and_without_it_nothing_is() {
    let recipe = Recipe::of(Bug::RaftStaleRead);
    let row = HUNT.bug(Bug::RaftStaleRead, &recipe).expect("a hunt");
    assert_eq!(row.found, 2, "{row:?}");
    assert!(row.checkers.contains("linearizable cas-register"), "{row:?}");
    assert!(!row.faults.is_empty() && row.seconds.is_some(), "{row:?}");
    let correct = Sweep { first_seed: 1, jobs: 2, limit: 6 };
    let spec = |seed| recipe.sim.spec(None, Bug::RaftStaleRead, seed, Arena::Simulation);
    let round = correct.until_invalid(spec, None).expect("a sweep");
    assert_eq!((round.found, round.runs), (None, 6));
}

#[test]
fn the_first_seed_is_the_same_however_many_run_at_a_time() {
    let recipe = Recipe::of(Bug::ZabEpochBeforeLog);
    let spec = |seed: u64| {
        // The bug is on in every third run only.
        let on = seed.is_multiple_of(3).then_some(Bug::ZabEpochBeforeLog);
        recipe.sim.spec(on, Bug::ZabEpochBeforeLog, seed, Arena::Simulation)
    };
    let sweep = |jobs| Sweep { first_seed: 1, jobs, limit: 100 }.until_invalid(spec, None).expect("a sweep");
    let (alone, together) = (sweep(1), sweep(5));
    assert!(alone.found.as_ref().is_some_and(|find| find.seed % 3 == 0), "{alone:?}");
    assert_eq!((alone.found, alone.runs), (together.found, together.runs));
}

#[test]
fn a_round_ends_when_its_time_is_over() {
    let recipe = Recipe::of(Bug::ZabLogHole);
    let sweep = Sweep { first_seed: 1, jobs: 2, limit: u64::MAX };
    let spec = |seed| recipe.sim.spec(None, Bug::ZabLogHole, seed, Arena::Simulation);
    let round = sweep.until_invalid(spec, Some(Instant::now())).expect("a sweep");
    assert_eq!((round.found, round.runs), (None, 0));
}

#[test]
fn the_median_counts_a_round_that_found_nothing_as_the_longest() {
    let found = |runs, seconds| round(Some(find(1)), runs, seconds);
    let nothing = || round(None, 900, 60.0);
    let half = row(Bug::RaftNoFsync, vec![nothing(), found(8, 2.0), nothing(), found(2, 1.0), found(5, 3.0)]);
    assert_eq!((half.found, half.runs, half.seconds), (3, Some(8), Some(3.0)));
    let less = row(Bug::RaftNoFsync, vec![nothing(), found(8, 2.0), nothing()]);
    assert_eq!((less.found, less.runs, less.seconds), (1, None, None));
}

#[test]
fn what_any_earlier_hunt_has_found_must_be_found_again() {
    let store = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(known(store.path()).expect("an empty store"), BTreeSet::new());
    let found = |bug| row(bug, vec![round(Some(find(1)), 1, 1.0)]);
    let missed = |bug| row(bug, vec![round(None, 9, 60.0)]);
    let first = report(vec![found(Bug::ZabSkipTrunc), missed(Bug::ZabLogHole), found(Bug::RaftNoFsync)]);
    let second = report(vec![missed(Bug::ZabSkipTrunc), missed(Bug::ZabLogHole)]);
    let folders = [&first, &second].map(|report| report.save(store.path()).expect("a report is kept"));
    assert_ne!(folders[0], folders[1]);
    assert_eq!(Report::read(&folders[0].join("hunt.json")).expect("what was kept can be read"), first);
    let known = known(store.path()).expect("two reports");
    assert_eq!(second.lost(&known), [Bug::ZabSkipTrunc]);
    assert_eq!(first.lost(&known), []);
}

#[test]
fn the_table_says_who_was_found_and_what_was_wrong() {
    let mut report = report(vec![
        row(Bug::RaftNoFsync, vec![round(Some(find(1)), 12, 1.5)]),
        row(Bug::ZabLogHole, vec![round(None, 900, 60.0)]),
    ]);
    report.control.invalid = vec![False { recipe: Bug::ZabLogHole, find: find(99) }];
    let text = anstream::adapter::strip_str(&table::text(&report)).to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert!(lines[1].contains("raft-no-fsync  1 of 1") && lines[1].ends_with("12  1.5 s"), "{text}");
    assert!(lines[2].contains("zab-log-hole   0 of 1") && lines[2].ends_with("-      -"), "{text}");
    assert!(text.contains("no bug on: 200 of 200 runs") && text.contains("1 invalid"), "{text}");
    assert!(text.contains("as for zab-log-hole, seed 99: set-full: lost: 3"), "{text}");
}
