//! Transactions on lists and registers, at several isolations.

mod store;
mod trial;

use grudge_checkers::checker::Checker;
use grudge_checkers::history::{History, csv};
use grudge_checkers::linearizability::Limits;
use grudge_checkers::transactions::{Inference, Isolation, Kind, Promise};
use grudge_checkers::verdict::Verdict;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::common::fuzz;
use store::{Knobs, Mode};
use trial::Order;

const CASES: u64 = 5_000;

fn knobs(rng: &mut ChaCha8Rng, objects: Kind, mode: Mode) -> Knobs {
    let (transactions, keys) = (rng.random_range(1..=5), rng.random_range(1..=3));
    let lies = rng.random_ratio(1, 3);
    Knobs { objects, mode, transactions, keys, lies, read_all: rng.random_ratio(1, 2) }
}

fn any_mode(rng: &mut ChaCha8Rng) -> Mode {
    [Mode::Serial, Mode::Snapshot, Mode::ReadCommitted, Mode::Dirty][rng.random_range(0..4)]
}

fn text(history: &History) -> String {
    let mut bytes = Vec::new();
    csv::write(&mut bytes, history).expect("memory takes everything");
    String::from_utf8(bytes).expect("CSV is text")
}

/// Whether it is rejected, and why. What cannot be judged is not.
fn rejected(history: &History, promise: Promise) -> Option<String> {
    match Checker::Transactions(promise).check(history, &Limits::default()) {
        Verdict::Invalid { witness } => Some(witness.reason),
        Verdict::Valid | Verdict::Unknown { .. } => None,
    }
}

const SERIAL: [(Isolation, Order); 3] = [
    (Isolation::Serializable, Order::Any),
    (Isolation::StrongSessionSerializable, Order::Sessions),
    (Isolation::StrictSerializable, Order::RealTime),
];

/// Of lists the check decides all three serializable levels, whatever was read and whatever was not.
#[test]
fn lists_are_serializable_exactly_if_an_order_explains_them() {
    fuzz::balanced(CASES, &["valid", "invalid"], |rng| {
        let mode = any_mode(rng);
        let knobs = knobs(rng, Kind::ListAppend, mode);
        let history = store::history(rng, &knobs);
        for (level, order) in SERIAL {
            let found = rejected(&history, Promise::of(Kind::ListAppend, level));
            let expected = trial::is_serializable(&history, order);
            assert_eq!(found.is_none(), expected, "{mode:?}, {level}: {found:?}\n{}", text(&history));
        }
        let judgement = Checker::Transactions(Promise::LIST_APPEND).judge(&history, &Limits::default());
        if judgement.verdict == Verdict::Valid {
            let order = &judgement.orders[0].order;
            assert!(trial::replays(&history, order), "the order {order:?} explains nothing\n{}", text(&history));
        }
        judgement.verdict.name()
    });
}

/// Of lists the check decides snapshot isolation, if all appends were read: then the order of all writes is known.
#[test]
fn lists_are_snapshot_isolated_exactly_if_snapshots_explain_them() {
    fuzz::balanced(CASES, &["valid", "invalid"], |rng| {
        let mode = any_mode(rng);
        let knobs = knobs(rng, Kind::ListAppend, mode);
        let history = store::history(rng, &knobs);
        let found = rejected(&history, Promise::of(Kind::ListAppend, Isolation::SnapshotIsolation));
        let expected = trial::is_snapshot_isolated(&history);
        let words = || format!("{mode:?}: {found:?}\n{}", text(&history));
        assert!(found.is_none() || !expected, "rejected what snapshots explain: {}", words());
        assert!(found.is_some() || expected || !trial::all_read(&history), "accepted what none explain: {}", words());
        if expected { "valid" } else { "invalid" }
    });
}

/// Of registers nothing is rejected that some order explains, and with an assumption nothing that keeps it.
#[test]
fn registers_that_an_order_explains_are_not_rejected() {
    fuzz::balanced(CASES, &["valid", "invalid"], |rng| {
        let mode = any_mode(rng);
        let knobs = knobs(rng, Kind::RwRegister, mode);
        let history = store::history(rng, &knobs);
        let mut seen = "valid";
        for ((level, order), inference) in
            SERIAL.into_iter().zip([Inference::Certain, Inference::Sequential, Inference::Linearizable])
        {
            let expected = trial::is_serializable(&history, order);
            for inference in [Inference::Certain, inference] {
                let found = rejected(&history, Promise { inference, ..Promise::of(Kind::RwRegister, level) });
                let words = || format!("{mode:?}, {level}, {inference:?}: {found:?}\n{}", text(&history));
                assert!(found.is_none() || !expected, "rejected what an order explains: {}", words());
                seen = if found.is_some() { "invalid" } else { seen };
            }
        }
        if trial::is_snapshot_isolated(&history) {
            let found = rejected(&history, Promise::of(Kind::RwRegister, Isolation::SnapshotIsolation));
            assert!(found.is_none(), "rejected what snapshots explain: {found:?}\n{}", text(&history));
        }
        seen
    });
}

/// A store that isolates as it promises breaks no promise, and one that isolates less breaks a stronger one.
#[test]
fn stores_keep_what_their_isolation_promises() {
    for (mode, level) in [
        (Mode::Serial, Isolation::StrictSerializable),
        (Mode::Snapshot, Isolation::SnapshotIsolation),
        (Mode::ReadCommitted, Isolation::ReadCommitted),
    ] {
        let mut stronger = 0;
        fuzz::cases(CASES / 2, |rng| {
            let objects = if rng.random_ratio(1, 2) { Kind::ListAppend } else { Kind::RwRegister };
            let knobs = Knobs { lies: false, transactions: rng.random_range(1..=12), ..knobs(rng, objects, mode) };
            let history = store::history(rng, &knobs);
            let found = rejected(&history, Promise::of(objects, level));
            assert!(found.is_none(), "{mode:?}, {level}: {found:?}\n{}", text(&history));
            stronger += usize::from(rejected(&history, Promise::of(objects, Isolation::StrictSerializable)).is_some());
            "valid"
        });
        assert_eq!(stronger > 0, mode != Mode::Serial, "{mode:?}");
    }
}
