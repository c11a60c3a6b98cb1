//! Transactions: which anomalies the golden histories show, what they rule out, and how a cycle is drawn.

use std::path::Path;

use grudge_checkers::checker::Checker;
use grudge_checkers::history::{Event, History, Kind, Process, ReadError, Tape, csv};
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
    ("list-append.g-single-by-an-append-nobody-read.invalid", "G-single 1", "read-uncommitted read-committed"),
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
    ("list-append.lost-update-unread.invalid", "lost-update 1, G-single 1", "read-uncommitted read-committed"),
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
    ("rw-register.lost-update.invalid", "lost-update 1, G-single 1", "read-uncommitted read-committed"),
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

#[test]
fn per_key_inference_finds_what_transactions_alone_do_not_show() {
    let history = golden("rw-register.stale-read-of-one-key.valid");
    for (inference, anomalies) in
        [(Inference::Certain, ""), (Inference::Sequential, ""), (Inference::Linearizable, "cyclic-versions 1")]
    {
        assert_eq!(
            counts(&analyse(&history, Promise { inference, ..Promise::RW_REGISTER })),
            anomalies,
            "{inference:?}"
        );
    }
    let transactions = [(0, json!([["w", "x", 1]])), (0, json!([["w", "x", 2], ["w", "y", 1]]))];
    let stale = [(1, json!([["r", "y", 1], ["r", "x", 1]]))];
    let history = sequence(transactions.into_iter().chain(stale));
    for (inference, anomalies) in [
        (Inference::Certain, ""),
        (Inference::Sequential, "G-single 1"),
        (Inference::Linearizable, "cyclic-versions 1"),
    ] {
        assert_eq!(
            counts(&analyse(&history, Promise { inference, ..Promise::RW_REGISTER })),
            anomalies,
            "{inference:?}"
        );
    }
}

/// Transactions that succeed one after another.
fn sequence(transactions: impl IntoIterator<Item = (u64, Value)>) -> History {
    let mut events: Vec<Event> = Vec::new();
    for (process, value) in transactions {
        for kind in [Kind::Invoke, Kind::Ok] {
            events.push(event(events.len(), process, kind, value.clone()));
        }
    }
    History { events }
}

fn event(index: usize, process: u64, kind: Kind, value: Value) -> Event {
    let (index, process, f) = (index as u64, Process::Client(process), "txn".to_owned());
    let (key, node, error, version, extra) = (None, None, None, None, Vec::new());
    Event { index, time: index, process, kind, f, key, value, node, error, version, extra }
}

/// Each transaction appends to a list of its own and reads that of the one before; all overlap. The first one may read
/// the last one's. Events are made when they are asked for.
struct Chain {
    closed: bool,
}

const LENGTH: u64 = 1_000_000;

impl Chain {
    fn event(&self, position: u64) -> Event {
        let number = position % LENGTH;
        let before = (number + LENGTH - 1) % LENGTH;
        let read = if number == 0 && !self.closed { json!([]) } else { json!([1]) };
        let kind = if position < LENGTH { Kind::Invoke } else { Kind::Ok };
        let micros = json!([["append", number, 1], ["r", before, read]]);
        event(position as usize, number, kind, micros)
    }
}

impl Tape for Chain {
    fn play(&self, each: &mut dyn FnMut(&Event)) -> Result<(), ReadError> {
        (0..2 * LENGTH).for_each(|position| each(&self.event(position)));
        Ok(())
    }

    fn pick(&self, positions: &[usize]) -> Result<Vec<Event>, ReadError> {
        Ok(positions.iter().map(|&position| self.event(position as u64)).collect())
    }
}

#[test]
fn a_path_of_a_million_transactions_is_no_recursion() {
    let judgement = Checker::Transactions(Promise::LIST_APPEND).judge(&Chain { closed: false }, &Limits::default());
    assert_eq!(judgement.verdict, Verdict::Valid);
    assert!(judgement.orders[0].order.iter().copied().eq(0..LENGTH as usize));
}

#[test]
fn a_cycle_of_a_million_transactions_is_found_and_told() {
    let analysis = analyse(&Chain { closed: true }, Promise::LIST_APPEND);
    assert_eq!(counts(&analysis), "G1c 1");
    let finding = &analysis.findings[0];
    assert!(finding.reason.contains("(999968 more transactions are left out)"), "{}", finding.reason);
    assert_eq!(finding.events.len(), 64);
}

#[test]
fn a_cycle_is_drawn() {
    let analysis = analyse(&golden("list-append.g-single.invalid"), Promise::LIST_APPEND);
    let cycle = analysis.findings[0].cycle.as_ref().expect("a cycle");
    insta::assert_snapshot!(cycle.dot(), @r#"
    digraph cycle {
      node [shape=box]
      T1 [label="T1: process 1\nr x [1], r y []"]
      T2 [label="T2: process 0\nappend x 1, append y 1"]
      T1 -> T2 [label="rw" tooltip="T1 read y = [] and did not see 1, which T2 appended, so T1 is before T2"]
      T2 -> T1 [label="wr" tooltip="T1 read x = [1], where 1 is T2's, so T2 is before T1"]
    }
    "#);
    let svg = cycle.svg();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    let count = |part: &str| svg.matches(part).count();
    assert_eq!((count("<rect"), count("marker-end"), count(">rw</text>"), count(">wr</text>")), (2, 2, 1, 1), "{svg}");
}

#[test]
fn text_is_safe_in_a_picture() {
    let history = sequence([(0, json!([["append", "<&>", "<b>"]])), (1, json!([["r", "<&>", []]]))]);
    let analysis = analyse(&history, Promise::LIST_APPEND);
    let svg = analysis.findings[0].cycle.as_ref().expect("a cycle").svg();
    assert!(svg.contains("append &lt;&amp;&gt; \"&lt;b&gt;\"") && !svg.contains("<b>"), "{svg}");
}

#[test]
fn a_valid_history_of_lists_comes_with_its_order() {
    let judgement = Checker::Transactions(Promise::LIST_APPEND)
        .judge(&golden("list-append.concurrent-and-info.valid"), &Limits::default());
    assert_eq!(judgement.verdict, Verdict::Valid);
    assert_eq!(judgement.orders.len(), 1);
    assert_eq!(judgement.orders[0].order, [0, 1, 2, 8]);
}

#[test]
fn a_wrong_name_is_told() {
    for (name, told) in [
        ("list-append:chaos", "there is no isolation level `chaos`"),
        ("list-append+linearizable-keys", "of lists nothing has to be assumed"),
        ("rw-register+magic", "expected sequential-keys or linearizable-keys, found `magic`"),
    ] {
        let error = name.parse::<Checker>().expect_err(name);
        assert!(error.contains(told), "{name}: {error}");
    }
}
