//! The numbers of a run, counted from its history: operations by outcome, latencies, faults.

use std::collections::BTreeMap;

use grudge_checkers::history::{History, Kind, Operation, Outcome, Process};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest latency that is told from longer ones, in microseconds.
const HOUR: u64 = 3_600_000_000;

/// One operation's name and what became of its calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operations {
    /// Calls that succeeded.
    pub ok: u64,
    /// Calls that certainly did not happen.
    pub fail: u64,
    /// Calls of which nobody knows, those without an end among them.
    pub info: u64,
    /// Latency of the calls that succeeded; none if none did.
    pub latency: Option<Latency>,
    /// How often each error token ended a call.
    pub errors: BTreeMap<String, u64>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the calls were at least this fast.
    pub p50: f64,
    /// 95 of 100 were.
    pub p95: f64,
    /// 99 of 100 were.
    pub p99: f64,
    /// All were.
    pub max: f64,
}

/// One fault from the decision to its end, as the history shows it. Times in seconds of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultSpan {
    /// `partition`, `pause`, `kill`.
    pub kind: String,
    /// What was drawn, in words: `kill leader`.
    pub drawn: String,
    /// When it was in force (or was decided, if it never was).
    pub start: f64,
    /// When it was undone; none if the history ends before.
    pub end: Option<f64>,
    /// What was measured when it came into force.
    pub receipt: Value,
    /// Why it could not be put in force, or undone.
    pub error: Option<String>,
}

/// Nanoseconds between both rows of a call.
pub(crate) fn nanoseconds(call: &Operation<'_>) -> Option<u64> {
    call.completion.map(|end| end.time.saturating_sub(call.invoke.time))
}

/// Counts the calls by the operation's name.
#[must_use]
pub fn operations(calls: &[Operation<'_>]) -> BTreeMap<String, Operations> {
    let mut table: BTreeMap<String, (Operations, Histogram<u64>)> = BTreeMap::new();
    for call in calls {
        let (operations, latencies) = table.entry(call.invoke.f.clone()).or_insert_with(|| {
            (Operations::default(), Histogram::new_with_bounds(1, HOUR, 3).expect("the bounds are legal"))
        });
        match call.outcome() {
            Outcome::Ok => {
                operations.ok += 1;
                latencies.saturating_record(nanoseconds(call).unwrap_or(0) / 1_000);
            }
            Outcome::Fail => operations.fail += 1,
            Outcome::Info => operations.info += 1,
        }
        if let Some(error) = call.completion.and_then(|end| end.error.clone()) {
            *operations.errors.entry(error).or_default() += 1;
        }
    }
    table
        .into_iter()
        .map(|(f, (mut operations, latencies))| {
            operations.latency = latency(&latencies);
            (f, operations)
        })
        .collect()
}

fn latency(microseconds: &Histogram<u64>) -> Option<Latency> {
    let quantile = |q: f64| microseconds.value_at_quantile(q) as f64 / 1_000.0;
    (!microseconds.is_empty()).then(|| Latency {
        p50: quantile(0.50),
        p95: quantile(0.95),
        p99: quantile(0.99),
        max: microseconds.max() as f64 / 1_000.0,
    })
}

/// The nemesis's rows as spans, in the order of their decision.
#[must_use]
pub fn faults(history: &History) -> Vec<FaultSpan> {
    let mut spans: Vec<FaultSpan> = Vec::new();
    for event in history.events.iter().filter(|event| event.process == Process::Nemesis) {
        let time = event.time as f64 / 1e9;
        match (event.f.split_once('-'), event.kind) {
            (Some(("start", kind)), Kind::Invoke) => spans.push(FaultSpan {
                kind: kind.to_owned(),
                drawn: event.value.as_str().unwrap_or(kind).to_owned(),
                start: time,
                end: None,
                receipt: Value::Null,
                error: None,
            }),
            (Some(("start", kind)), outcome) => {
                // Decided one after the other: this is of the last decision.
                if let Some(span) = spans.last_mut().filter(|span| span.kind == kind) {
                    span.start = time;
                    match outcome {
                        Kind::Ok => span.receipt = event.value.clone(),
                        _ => {
                            span.error.clone_from(&event.error);
                            span.end = Some(time);
                        }
                    }
                }
            }
            (Some(("stop", kind)), Kind::Ok) => {
                if let Some(span) = stopped(&mut spans, kind, &event.value) {
                    span.end = Some(time);
                }
            }
            (Some(("stop", kind)), Kind::Fail | Kind::Info) => {
                if let Some(span) = stopped(&mut spans, kind, &Value::Null) {
                    span.error.clone_from(&event.error);
                }
            }
            _ => {}
        }
    }
    spans
}

/// The span that this receipt ends: of those in force the one about the same nodes, else the oldest.
fn stopped<'a>(spans: &'a mut [FaultSpan], kind: &str, receipt: &Value) -> Option<&'a mut FaultSpan> {
    let in_force = |span: &FaultSpan| span.kind == kind && span.end.is_none();
    let nodes = receipt.get("nodes");
    let same = spans.iter().position(|span| in_force(span) && nodes.is_some() && span.receipt.get("nodes") == nodes);
    same.or_else(|| spans.iter().position(in_force)).map(|found| &mut spans[found])
}

#[cfg(test)]
mod tests {
    use super::*;
    use grudge_checkers::history::Event;
    use serde_json::json;

    fn event(index: u64, process: Process, kind: Kind, f: &str, error: Option<&str>) -> Event {
        Event {
            index,
            time: index * 1_000_000,
            process,
            kind,
            f: f.to_owned(),
            key: None,
            value: if kind == Kind::Ok { json!("receipt") } else { Value::Null },
            node: None,
            error: error.map(str::to_owned),
            version: None,
            extra: Vec::new(),
        }
    }

    #[test]
    fn outcomes_latencies_and_errors_are_counted_by_name() {
        let events = vec![
            event(0, Process::Client(0), Kind::Invoke, "read", None),
            event(1, Process::Client(1), Kind::Invoke, "write", None),
            event(2, Process::Client(0), Kind::Ok, "read", None),
            event(3, Process::Client(1), Kind::Info, "write", Some("timeout")),
            event(4, Process::Client(0), Kind::Invoke, "read", None),
        ];
        let history = History { events };
        let table = operations(&history.operations().expect("the calls pair"));
        let read = &table["read"];
        assert_eq!((read.ok, read.fail, read.info), (1, 0, 1), "the read without an end is unknown");
        assert!((read.latency.expect("one read succeeded").max - 2.0).abs() < 0.01, "{read:?}");
        assert_eq!(table["write"].errors, BTreeMap::from([("timeout".to_owned(), 1)]));
        assert_eq!(table["write"].latency, None);
    }

    #[test]
    fn a_fault_spans_from_its_receipt_to_its_end_and_a_refused_one_has_no_length() {
        let n = Process::Nemesis;
        let events = vec![
            event(0, n, Kind::Invoke, "start-pause", None),
            event(1, n, Kind::Ok, "start-pause", None),
            event(2, n, Kind::Invoke, "start-kill", None),
            event(3, n, Kind::Fail, "start-kill", Some("no such process")),
            event(4, n, Kind::Invoke, "stop-pause", None),
            event(5, n, Kind::Ok, "stop-pause", None),
        ];
        let spans = faults(&History { events });
        assert_eq!(spans.len(), 2);
        assert_eq!((spans[0].start, spans[0].end), (0.001, Some(0.005)));
        assert_eq!((spans[0].drawn.as_str(), &spans[0].receipt), ("pause", &json!("receipt")));
        assert_eq!((spans[1].start, spans[1].end), (0.003, Some(0.003)));
        assert_eq!(spans[1].error.as_deref(), Some("no such process"));
    }

    #[test]
    fn faults_of_one_kind_that_overlap_keep_their_own_ends() {
        let of = |index, kind, f, nodes: &[&str]| Event {
            value: json!({ "nodes": nodes }),
            ..event(index, Process::Nemesis, kind, f, None)
        };
        let history = History {
            events: vec![
                of(0, Kind::Invoke, "start-kill", &[]),
                of(1, Kind::Ok, "start-kill", &["n1"]),
                of(2, Kind::Invoke, "start-kill", &[]),
                of(3, Kind::Ok, "start-kill", &["n4"]),
                of(4, Kind::Ok, "stop-kill", &["n4"]),
                of(5, Kind::Ok, "stop-kill", &["n1"]),
            ],
        };
        let ends: Vec<_> = faults(&history).into_iter().map(|span| (span.receipt["nodes"].clone(), span.end)).collect();
        assert_eq!(ends, [(json!(["n1"]), Some(0.005)), (json!(["n4"]), Some(0.004))]);
    }
}
