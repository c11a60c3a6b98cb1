//! The set checker says of each element what its definition says, word for word.

use grudge_checkers::history::{Event, History, Kind, Process};
use grudge_checkers::set::{Counts, LocalReads, report};
use grudge_checkers::verdict::Verdict;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// An operation on the way.
struct Open {
    f: &'static str,
    value: Value,
}

/// A set in memory with a few clients, whose reads leave out and add what they like.
fn history(seed: u64) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let clients = rng.random_range(1..4);
    let sloth = rng.random_range(0..4);
    let mut open: Vec<Option<Open>> = (0..clients).map(|_| None).collect();
    let (mut history, mut set, mut next) = (History::default(), Vec::new(), 0_u64);
    for _ in 0..rng.random_range(4..40) {
        let client = rng.random_range(0..clients);
        let (kind, f, value) = match open[client].take() {
            None => {
                let f = ["add", "add", "read", "read-local"][rng.random_range(0..4)];
                next += 1;
                let value = if f == "add" { json!(next) } else { Value::Null };
                if f == "add" && rng.random_ratio(4, 5) {
                    set.push(next);
                }
                open[client] = Some(Open { f, value: value.clone() });
                (Kind::Invoke, f, value)
            }
            Some(Open { f: "add", value }) => {
                ([Kind::Ok, Kind::Ok, Kind::Fail, Kind::Info][rng.random_range(0..4)], "add", value)
            }
            Some(Open { f, .. }) => {
                let mut seen = set.clone();
                seen.retain(|_| !rng.random_ratio(sloth, 12));
                if rng.random_ratio(1, 12) {
                    seen.push(rng.random_range(0..next + 3));
                }
                (Kind::Ok, f, json!(seen))
            }
        };
        history.events.push(Event {
            index: history.events.len() as u64,
            process: Process::Client(client as u64),
            kind,
            f: f.to_owned(),
            value,
            ..Event::empty()
        });
    }
    history
}

/// The definitions of the module's text, by going through everything for each element.
fn by_definition(history: &History, local: LocalReads) -> Counts {
    let operations = history.operations().expect("the history is well formed");
    let mut counts = Counts::default();
    let done = |kind: Kind| operations.iter().filter(move |op| op.completion.is_some_and(|end| end.kind == kind));
    let shown = |read: &&grudge_checkers::history::Operation<'_>| -> Vec<u64> {
        let end = read.completion.expect("it is done");
        end.value.as_array().expect("a list").iter().map(|value| value.as_u64().expect("a number")).collect()
    };
    let reads: Vec<_> = done(Kind::Ok).filter(|op| op.f() != "add").collect();
    let judged = |op: &&grudge_checkers::history::Operation<'_>| op.f() == "read" || local == LocalReads::AreJudged;
    let adds: Vec<_> = operations.iter().filter(|op| op.f() == "add").collect();
    let may_have =
        |op: &grudge_checkers::history::Operation<'_>| op.completion.is_none_or(|end| end.kind != Kind::Fail);
    for add in adds.iter().filter(|add| may_have(add)) {
        let element = add.invoke.value.as_u64().expect("a number");
        let honest: Vec<_> =
            reads.iter().filter(|read| shown(read).contains(&element) && read.ret > Some(add.call)).collect();
        let acknowledged = add.ret.filter(|_| add.completion.is_some_and(|end| end.kind == Kind::Ok));
        let known = acknowledged.into_iter().chain(honest.iter().filter_map(|read| read.ret)).min();
        counts.recovered += usize::from(acknowledged.is_none() && !honest.is_empty());
        let Some(known) = known else { continue };
        let missed = reads.iter().filter(|read| judged(read) && read.call > known && !shown(read).contains(&element));
        let last_missed = missed.map(|read| read.call).max();
        let last_shown = honest.iter().map(|read| read.call).max();
        match (last_missed, last_shown) {
            (None, None) => counts.never_read += 1,
            (None, Some(_)) => counts.ok += 1,
            (Some(missed), Some(shown)) if shown > missed => counts.stale += 1,
            (Some(_), _) => counts.lost += 1,
        }
    }
    for read in &reads {
        let is_phantom = |element: &&u64| {
            !adds.iter().any(|add| may_have(add) && add.invoke.value == **element && Some(add.call) < read.ret)
        };
        counts.phantom += shown(read).iter().filter(is_phantom).count();
    }
    counts
}

#[test]
fn counts_are_those_of_the_definitions() {
    let mut kinds = Counts::default();
    for seed in 0..4000 {
        let history = history(seed);
        for local in [LocalReads::MayBeStale, LocalReads::AreJudged] {
            let found = report(&history, local).expect("the history is well formed");
            let expected = by_definition(&history, local);
            assert_eq!(found.counts, expected, "seed {seed}, {local:?}");
            let wrong = expected.lost + expected.stale + expected.phantom > 0;
            assert_eq!(found.witness.is_some(), wrong, "seed {seed}, {local:?}");
            let verdict = grudge_checkers::set::check(&history, local);
            assert_eq!(matches!(verdict, Verdict::Invalid { .. }), wrong, "seed {seed}, {local:?}: {verdict}");
            kinds.ok += expected.ok;
            kinds.stale += expected.stale;
            kinds.lost += expected.lost;
            kinds.never_read += expected.never_read;
            kinds.recovered += expected.recovered;
            kinds.phantom += expected.phantom;
        }
    }
    let Counts { ok, stale, lost, never_read, recovered, phantom } = kinds;
    let each = [ok, stale, lost, never_read, recovered, phantom];
    assert!(each.iter().all(|count| *count > 100), "each kind is drawn often: {kinds:?}");
}
