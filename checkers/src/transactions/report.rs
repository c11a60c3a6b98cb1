//! What was found, for people: each kind of anomaly with the events that show it and the words that explain it.

use std::collections::BTreeMap;

use super::Kind;
use super::anomaly::{Anomaly, Scope};
use super::cycles::Seen;
use super::dependencies::{Relation, Sighting};
use super::isolation::Isolation;
use super::log::{Log, NEVER, Position, Txn};
use super::words::{self, Story};
use crate::history::{Event, Process, ReadError, Tape};

/// What an analysis found.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// How many transactions there were.
    pub transactions: usize,
    /// How many keys were judged.
    pub keys: usize,
    /// What is wrong, by kind; those that need the fewest assumptions first.
    pub findings: Vec<Finding>,
    /// What could not be judged, and why.
    pub unclear: Vec<String>,
    /// If nothing is wrong with lists, not even with real time: the calls in an order that explains all reads.
    pub order: Option<Vec<usize>>,
}

/// One kind of anomaly.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub anomaly: Anomaly,
    /// How many reads, transactions or versions show it; of cycles, in how many separate parts of the history.
    pub count: usize,
    /// The first of them, or the shortest cycle, in words.
    pub reason: String,
    /// The events of the transactions that the words speak of.
    pub events: Vec<Event>,
    /// If it is a cycle: that.
    pub cycle: Option<Cycle>,
}

/// Transactions each of which comes before the next, and the last before the first.
#[derive(Clone, Debug)]
pub struct Cycle {
    /// The transactions; the words call them T1, T2 and so on.
    pub transactions: Vec<Shown>,
    /// For each transaction why it comes before the next.
    pub steps: Vec<Step>,
}

/// A transaction in a cycle.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Who ran it.
    pub process: Process,
    /// Its micro-operations.
    pub text: String,
}

/// Why a transaction comes before the next.
#[derive(Clone, Debug)]
pub struct Step {
    /// `ww`, `wr`, `rw`, `process` or `real time`; `rw/ww` if it read before the next one's write and wrote the object itself,
    /// so that its write has to be the earlier one wherever no update is lost.
    pub relation: &'static str,
    /// What shows it.
    pub words: String,
}

/// So many steps of a long cycle are told, from its beginning and to its end.
const TOLD: usize = 16;

impl Analysis {
    /// The levels that the anomalies rule out, the weakest first.
    #[must_use]
    pub fn ruled_out(&self) -> Vec<Isolation> {
        let is_broken = |level: &Isolation| self.findings.iter().any(|finding| level.forbids(finding.anomaly));
        Isolation::ALL.into_iter().filter(is_broken).collect()
    }

    /// The first finding that a level forbids.
    #[must_use]
    pub fn against(&self, promise: Isolation) -> Option<&Finding> {
        self.findings.iter().find(|finding| promise.forbids(finding.anomaly))
    }
}

/// Tells what was seen.
pub(super) fn findings(
    story: &Story<'_>,
    tape: &dyn Tape,
    sightings: BTreeMap<super::anomaly::Class, Sighting>,
    cycles: BTreeMap<Anomaly, Seen>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (class, sighting) in sightings {
        let shown = Scene::of(story.log, tape, &sighting.txns);
        let reason = format!("{}. {}", sighting.words, shown.cast(story.log, story.kind));
        let anomaly = Anomaly::new(class, Scope::Data);
        findings.push(finding(anomaly, sighting.count, &reason, shown, None));
    }
    for (anomaly, Seen { components, shortest }) in cycles {
        let (told, left_out) = told(&shortest);
        let txns: Vec<Txn> = told.iter().map(|&at| shortest[at].0).collect();
        let shown = Scene::of(story.log, tape, &txns);
        let cycle = cycle(story, &shown, &told, &shortest);
        let words: Vec<&str> = cycle.steps.iter().map(|step| step.words.as_str()).collect();
        let gap = if left_out > 0 { format!(" ({left_out} more transactions are left out)") } else { String::new() };
        let reason = format!("{}{gap}: a circle. {}", words.join("; "), shown.cast(story.log, story.kind));
        findings.push(finding(anomaly, components, &reason, shown, Some(cycle)));
    }
    findings.sort_by_key(|finding| finding.anomaly);
    findings
}

fn finding(anomaly: Anomaly, count: usize, words: &str, scene: Scene, cycle: Option<Cycle>) -> Finding {
    let reason = format!("{anomaly}, {}: {words}", anomaly.class().title());
    let events = scene.events.into_iter().map(|(_, event)| event).collect();
    Finding { anomaly, count, reason, events, cycle }
}

/// Which transactions of a cycle are told of, and how many are not.
fn told(cycle: &[(Txn, Relation)]) -> (Vec<usize>, usize) {
    let len = cycle.len();
    let left_out = len.saturating_sub(2 * TOLD);
    let first = (0..len.min(TOLD)).chain(len.min(TOLD) + left_out..len);
    (first.collect(), left_out)
}

fn cycle(story: &Story<'_>, scene: &Scene, told: &[usize], cycle: &[(Txn, Relation)]) -> Cycle {
    let name = |place: usize| format!("T{}", place % told.len() + 1);
    let transactions = told.iter().map(|&at| cycle[at].0).map(|txn| Shown {
        process: story.log.process_name(txn),
        text: words::transaction(story.log, story.kind, txn),
    });
    let steps = told.iter().enumerate().map(|(place, &at)| {
        let ((from, relation), (to, _)) = (cycle[at], cycle[(at + 1) % cycle.len()]);
        let is_next_told = told[(place + 1) % told.len()] == (at + 1) % cycle.len();
        let (one, other) = (name(place), if is_next_told { name(place + 1) } else { "the next".to_owned() });
        let words = match relation {
            Relation::Process => {
                format!("process {} ran {one} before {other}", story.log.process_name(from))
            }
            Relation::RealTime => {
                let (ret, call) = (scene.index(story.log.txns[from as usize].ret), story.log.txns[to as usize].call);
                let called = if is_next_told { format!(" (event {})", scene.index(call)) } else { String::new() };
                format!("{one} returned (event {ret}) before {other} was called{called}")
            }
            _ => {
                let words = story.tell((from, &one), relation, (to, &other)).unwrap_or_default();
                format!("{words}, so {one} is before {other}")
            }
        };
        Step { relation: label(relation), words }
    });
    Cycle { transactions: transactions.collect(), steps: steps.collect() }
}

fn label(relation: Relation) -> &'static str {
    match relation {
        Relation::Ww => "ww",
        Relation::Wr => "wr",
        Relation::Rw => "rw",
        Relation::Update => "rw/ww",
        Relation::Process => "process",
        Relation::RealTime => "real time",
        Relation::Onward => "",
    }
}

/// The transactions that words speak of, with their events.
struct Scene {
    txns: Vec<Txn>,
    /// By position.
    events: Vec<(Position, Event)>,
    damage: Option<ReadError>,
}

impl Scene {
    fn of(log: &Log, tape: &dyn Tape, txns: &[Txn]) -> Scene {
        let ends = txns.iter().map(|&txn| &log.txns[txn as usize]).flat_map(|txn| [txn.call, txn.ret]);
        let mut positions: Vec<Position> = ends.filter(|&position| position != NEVER).collect();
        positions.sort_unstable();
        positions.dedup();
        let places: Vec<usize> = positions.iter().map(|&position| position as usize).collect();
        let (events, damage) = match tape.pick(&places) {
            Ok(events) => (positions.into_iter().zip(events).collect(), None),
            Err(damage) => (Vec::new(), Some(damage)),
        };
        Scene { txns: txns.to_vec(), events, damage }
    }

    /// The index by which the history calls an event.
    fn index(&self, position: Position) -> u64 {
        let at = self.events.binary_search_by_key(&position, |(position, _)| *position);
        at.map_or(u64::from(position), |at| self.events[at].1.index)
    }

    /// Who is who.
    fn cast(&self, log: &Log, kind: Kind) -> String {
        let one = |(number, &txn): (usize, &Txn)| {
            let (process, text) = (log.process_name(txn), words::transaction(log, kind, txn));
            let transaction = &log.txns[txn as usize];
            let call = self.index(transaction.call);
            let events = match transaction.ret {
                NEVER => format!("event {call}"),
                ret => format!("events {call} and {}", self.index(ret)),
            };
            format!("T{} is [{text}] of process {process} ({events})", number + 1)
        };
        let mut cast = self.txns.iter().enumerate().map(one).collect::<Vec<_>>().join("; ");
        if let Some(damage) = &self.damage {
            cast.push_str(&format!("; their events cannot be shown: {damage}"));
        }
        cast
    }
}
