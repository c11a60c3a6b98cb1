//! Transactions: whether there is an isolation level that their reads contradict (Kingsbury and Alvaro, "Elle: inferring
//! isolation anomalies from experimental observations", 2020; the anomalies are those of Adya, "Weak consistency", 1999).
//!
//! An operation is a transaction, and its `value` a list of micro-operations; `f` and `key` make no difference.
//!
//! | micro-operation | lists | registers |
//! |---|---|---|
//! | write | `["append", key, element]` | `["w", key, value]` |
//! | read, as called | `["r", key, null]` | `["r", key, null]` |
//! | read, as answered | `["r", key, [elements]]`; `null` is the empty list | `["r", key, value]`; `null` is nothing |
//!
//! What an `ok` transaction read counts, and it happened; a `fail` did not; any other may have, and did if something of
//! it was read. Elements and values are unique for their key: one that was written twice makes the verdict `unknown`, for
//! the key cannot be judged.
//!
//! From the reads follows who came before whom: write-write, write-read and read-write dependencies, to which the orders
//! of processes and of real time are added. What contradicts a level is a cycle of some of these, or a read that
//! no order explains.
//!
//! *Lists* show the order of their versions, so the check decides: if nothing is found, an order of the
//! transactions exists, agrees with real time, and is part of the judgement. *Registers* show little of it; what is found
//! is wrong, but a history in which nothing is found need not be serializable.
//!
//! It costs what the history is long, all reads together, and memory for each transaction, micro-operation and list,
//! but not for each read of a list.

mod anomaly;
mod components;
mod cycles;
mod dependencies;
mod draw;
mod intake;
mod isolation;
mod lists;
mod log;
mod paths;
mod promise;
mod registers;
mod report;
mod sessions;
mod words;
mod writes;

use rayon::prelude::*;

pub use anomaly::{Anomaly, Class, Scope};
pub use isolation::Isolation;
pub use promise::Promise;
pub use report::{Analysis, Cycle, Finding, Shown, Step};

use crate::history::{Event, Outcome, Tape};
use crate::judgement::{Checking, Decider, Judgement, Linearization};
use crate::verdict::{Verdict, Witness};
use components::components;
use dependencies::Findings;
use intake::Intake;
use log::{Key, Log, number};
use words::Story;
use writes::{ByKey, happened};

/// What the objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Lists that only grow.
    ListAppend,
    /// Registers.
    RwRegister,
}

/// What is assumed of the order of a register's versions, besides what follows from the transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Inference {
    /// Nothing.
    #[default]
    Certain,
    /// Each key by itself is sequentially consistent.
    Sequential,
    /// Each key by itself is linearizable.
    Linearizable,
}

/// Begins a check that is fed event by event.
#[must_use]
pub fn begin(promise: Promise) -> Box<dyn Checking> {
    Box::new(Watching { promise, intake: Intake::new(promise.kind) })
}

/// All that is wrong with a history, whatever was promised.
pub fn analyse(tape: &dyn Tape, promise: Promise) -> Analysis {
    let mut intake = Intake::new(promise.kind);
    let played = tape.play(&mut |event| intake.push(event));
    let mut analysis = conclude(intake, promise, tape);
    analysis.unclear.extend(played.err().map(|damage| damage.to_string()));
    analysis
}

struct Watching {
    promise: Promise,
    intake: Intake,
}

impl Checking for Watching {
    fn push(&mut self, event: &Event) -> Option<Witness> {
        self.intake.push(event);
        None
    }

    fn finish(self: Box<Self>, tape: &dyn Tape) -> Judgement {
        let promise = self.promise;
        judge(conclude(self.intake, promise, tape), promise)
    }
}

fn judge(analysis: Analysis, promise: Promise) -> Judgement {
    let verdict = match (analysis.against(promise.level), analysis.unclear.first()) {
        (Some(finding), _) => {
            let (reason, events) = (finding.reason.clone(), finding.events.clone());
            Verdict::Invalid { witness: Witness { key: None, reason, events } }
        }
        (None, Some(reason)) => Verdict::Unknown { reason: reason.clone() },
        (None, None) => Verdict::Valid,
    };
    let mut judgement = Judgement::bare(verdict, analysis.transactions);
    judgement.deciders.insert(Decider::Dependencies, analysis.keys);
    judgement.notes = notes(&analysis, promise);
    judgement.orders.extend(analysis.order.map(|order| Linearization { key: None, order }));
    judgement
}

fn notes(analysis: &Analysis, promise: Promise) -> Vec<String> {
    let mut notes = Vec::new();
    let ruled_out = analysis.ruled_out();
    if !analysis.findings.is_empty() {
        let counts = analysis.findings.iter().map(|finding| format!("{} {}", finding.anomaly, finding.count));
        notes.push(format!("anomalies: {}", counts.collect::<Vec<_>>().join(", ")));
        let (out, left): (Vec<_>, Vec<_>) = Isolation::ALL.into_iter().partition(|level| ruled_out.contains(level));
        let names = |levels: Vec<Isolation>| levels.into_iter().map(Isolation::name).collect::<Vec<_>>().join(", ");
        notes.push(format!("ruled out: {}", names(out)));
        if !left.is_empty() {
            notes.push(format!("not ruled out: {}", names(left)));
        }
    } else if promise.kind == Kind::RwRegister {
        notes.push("registers show little of the order of their versions: no contradiction is no proof".to_owned());
    }
    let shown = analysis.against(promise.level).map(|finding| finding.anomaly);
    let others = analysis.findings.iter().filter(|finding| Some(finding.anomaly) != shown);
    notes.extend(others.map(|finding| finding.reason.clone()));
    notes.extend(analysis.unclear.iter().take(UNCLEAR).map(|reason| format!("not judged: {reason}")));
    notes
}

/// So many reasons for not judging something are noted.
const UNCLEAR: usize = 5;

/// From so many micro-operations on, keys are examined by several threads.
const WORTH_THREADS: usize = 20_000;

fn conclude(intake: Intake, promise: Promise, tape: &dyn Tape) -> Analysis {
    let (log, error) = intake.finish();
    let by_key = ByKey::new(&log);
    let happened = happened(&log, &by_key);
    let mut findings = examine(&log, &by_key, &happened, promise);
    sessions::process_order(&log, &happened, &mut findings);
    sessions::real_time(&log, &happened, &mut findings);
    let (graph, sightings, mut unclear) = findings.graph(log.txns.len());
    unclear.splice(0..0, error);
    if !log.txns.iter().any(|txn| txn.outcome == Outcome::Ok) {
        unclear.push("no transaction succeeded, so none was looked at".to_owned());
    }
    let parts = components(&graph, cycles::ALL);
    let cycles = cycles::cycles(&graph, &log.txns, &parts.cyclic);
    drop(graph);
    let is_clean = sightings.0.is_empty() && cycles.is_empty() && unclear.is_empty();
    let order = (is_clean && promise.kind == Kind::ListAppend).then(|| {
        let txns = parts.order.iter().filter(|&&node| happened.get(node as usize).is_some_and(|happened| *happened));
        txns.map(|&txn| log.txns[txn as usize].call as usize).collect()
    });
    let story =
        Story { log: &log, by_key: &by_key, happened: &happened, kind: promise.kind, inference: promise.inference };
    let findings = report::findings(&story, tape, sightings.0, cycles);
    Analysis { transactions: log.txns.len(), keys: log.keys(), findings, unclear, order }
}

/// Examines the keys, in their order whatever the threads.
fn examine(log: &Log, by_key: &ByKey, happened: &[bool], promise: Promise) -> Findings {
    let one = |mut findings: Findings, key: Key| {
        let micros = by_key.of(key);
        match promise.kind {
            Kind::ListAppend => lists::examine(log, key, micros, happened, &mut findings),
            Kind::RwRegister => registers::examine(log, key, micros, (happened, promise.inference), &mut findings),
        }
        findings
    };
    let keys: Vec<Key> = (0..number(log.keys())).collect();
    if log.micros.len() < WORTH_THREADS {
        return keys.into_iter().fold(Findings::default(), one);
    }
    let size = keys.len().div_ceil(4 * rayon::current_num_threads()).max(1);
    let parts: Vec<Findings> =
        keys.par_chunks(size).map(|keys| keys.iter().copied().fold(Findings::default(), one)).collect();
    let mut parts = parts.into_iter();
    let mut whole = parts.next().unwrap_or_default();
    parts.for_each(|part| whole.merge(part));
    whole
}
