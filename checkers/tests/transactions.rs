//! Transactions: which anomalies the golden histories show, what they rule out, and how a cycle is drawn.

use std::path::Path;

use grudge_checkers::checker::Checker;
use grudge_checkers::history::{Event, History, Kind, Process, csv};
use grudge_checkers::linearizability::Limits;
use grudge_checkers::transactions::{Analysis, Inference, Isolation, Promise, analyse};
use grudge_checkers::verdict::Verdict;
use serde_json::{Value, json};

fn golden(name: &str) -> History {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/histories/{name}.csv"));
    let (history, damage) = csv::read(std::fs::File::open(path).expect("it opens"));
    assert!(damage.is_none(), "{name}: {damage:?}");
    history
}

fn counts(analysis: &Analysis) -> String {
    let counts = analysis.findings.iter().map(|finding| format!("{} {}", finding.anomaly, finding.count));
    counts.collect::<Vec<_>>().join(", ")
}

/// A golden history, all that is found in it with counts, and the levels that are left.
const SHOWN: &[(&str, &str, &str)] = &[
    ("list-append.aborted-read.invalid", "G1a 1", "read-uncommitted"),
    ("list-append.dirty-update.invalid", "G1a 1, dirty-update 1", "read-uncommitted"),
    ("list-append.duplicate-elements.invalid", "duplicate-elements 1", ""),
    (
        "list-append.g-nonadjacent-process.invalid",
        "G-nonadjacent-process 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    (
        "list-append.g-nonadjacent-realtime.invalid",
        "G-nonadjacent-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("list-append.g-nonadjacent.invalid", "G-nonadjacent 1", "read-uncommitted read-committed"),
    (
        "list-append.g-single-by-an-append-nobody-read.invalid",
        "G-single 1, G2-item 1",
        "read-uncommitted read-committed",
    ),
    (
        "list-append.g-single-process.invalid",
        "G-single-process 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    (
        "list-append.g-single-realtime.invalid",
        "G-single-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("list-append.g-single.invalid", "G-single 1", "read-uncommitted read-committed"),
    (
        "list-append.g0-process.invalid",
        "G0-process 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    (
        "list-append.g0-realtime.invalid",
        "G0-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("list-append.g0.invalid", "G0 1", ""),
    (
        "list-append.g1c-process.invalid",
        "G1c-process 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    (
        "list-append.g1c-realtime.invalid",
        "G1c-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("list-append.g1c.invalid", "G1c 1", "read-uncommitted"),
    ("list-append.g2-item-of-three.invalid", "G2-item 1", "read-uncommitted read-committed snapshot-isolation"),
    (
        "list-append.g2-item-process.invalid",
        "G2-item-process 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    (
        "list-append.g2-item-realtime.invalid",
        "G2-item-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("list-append.g2-item-unread.invalid", "G2-item 1", "read-uncommitted read-committed snapshot-isolation"),
    ("list-append.g2-item.invalid", "G2-item 1", "read-uncommitted read-committed snapshot-isolation"),
    ("list-append.garbage-read.invalid", "garbage-read 1", ""),
    ("list-append.incompatible-order.invalid", "incompatible-order 1", "read-uncommitted"),
    (
        "list-append.info-append-happened-whole.invalid",
        "G-single-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("list-append.intermediate-read.invalid", "G1b 1, G-single 1", "read-uncommitted"),
    ("list-append.internal-own-append.invalid", "internal 1", "read-uncommitted read-committed"),
    ("list-append.internal-reads.invalid", "internal 1, G-single 1", "read-uncommitted read-committed"),
    (
        "list-append.long-fork.invalid",
        "G-nonadjacent-process 1, G-single-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    ("list-append.lost-update-unread.invalid", "lost-update 1, G2-item 1", "read-uncommitted read-committed"),
    ("list-append.lost-update.invalid", "lost-update 1, G-single 1", "read-uncommitted read-committed"),
    ("list-append.read-before-append.invalid", "internal 1", "read-uncommitted read-committed"),
    ("list-append.text-keys.invalid", "G1b 1, G-single 1", "read-uncommitted"),
    ("rw-register.aborted-read.invalid", "G1a 1", "read-uncommitted"),
    ("rw-register.cyclic-versions.invalid", "cyclic-versions 1, G1c 1", ""),
    (
        "rw-register.g-nonadjacent-process.invalid",
        "G-nonadjacent-process 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    (
        "rw-register.g-nonadjacent-realtime.invalid",
        "G-nonadjacent-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("rw-register.g-nonadjacent.invalid", "G-nonadjacent 1", "read-uncommitted read-committed"),
    (
        "rw-register.g-single-process.invalid",
        "G-single-process 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    (
        "rw-register.g-single-realtime.invalid",
        "G-single-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("rw-register.g-single.invalid", "G-single 1", "read-uncommitted read-committed"),
    (
        "rw-register.g0-process.invalid",
        "G0-process 1, G1c-process 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    (
        "rw-register.g0-realtime.invalid",
        "G0-realtime 1, G1c-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("rw-register.g0.invalid", "G0 1, G1c 1", ""),
    (
        "rw-register.g1c-process.invalid",
        "G1c-process 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    (
        "rw-register.g1c-realtime.invalid",
        "G1c-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("rw-register.g1c.invalid", "G1c 1", "read-uncommitted"),
    (
        "rw-register.g2-item-process.invalid",
        "G2-item-process 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable",
    ),
    (
        "rw-register.g2-item-realtime.invalid",
        "G2-item-realtime 1",
        "read-uncommitted read-committed repeatable-read snapshot-isolation serializable strong-session-serializable",
    ),
    ("rw-register.g2-item.invalid", "G2-item 1", "read-uncommitted read-committed snapshot-isolation"),
    ("rw-register.garbage-read.invalid", "garbage-read 1", ""),
    ("rw-register.intermediate-read.invalid", "G1b 1", "read-uncommitted"),
    ("rw-register.internal.invalid", "internal 1", "read-uncommitted read-committed"),
    ("rw-register.lost-update.invalid", "lost-update 1, G2-item 1", "read-uncommitted read-committed"),
    ("rw-register.read-before-write.invalid", "internal 1", "read-uncommitted read-committed"),
];

#[test]
fn each_golden_history_shows_its_anomalies_and_rules_out_their_levels() {
    for (name, anomalies, left) in SHOWN {
        let promise = name.split('.').next().and_then(|kind| kind.parse::<Promise>().ok()).expect("a kind");
        let history = golden(name);
        let analysis = analyse(&history, promise);
        assert_eq!(counts(&analysis), *anomalies, "{name}");
        let out = analysis.ruled_out();
        let levels = Isolation::ALL.into_iter().filter(|level| !out.contains(level)).map(Isolation::name);
        assert_eq!(levels.collect::<Vec<_>>().join(" "), *left, "{name}");
        for level in Isolation::ALL {
            let promise = Promise { level, ..promise };
            let checker: Checker = promise.name().parse().expect("its name is that of a checker");
            assert_eq!(checker, Checker::Transactions(promise));
            let verdict = checker.check(&history, &Limits::default());
            assert_eq!(matches!(verdict, Verdict::Invalid { .. }), out.contains(&level), "{name}, {level}: {verdict}");
        }
    }
}
