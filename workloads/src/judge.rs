//! Which promises are judged, and by what.

use std::time::Duration;

use grudge_checkers::history::{History, Kind, Outcome, Process};
use grudge_checkers::linearizability::{Limits, check};
use grudge_checkers::model::{CasRegister, FencedMutex, Meaning, Model, Mutex, MutexOp, RegisterRules, Retold};
use grudge_checkers::online::{Reads, Watch};
use grudge_checkers::set::LocalReads;
use grudge_checkers::verdict::Verdict;
use grudge_checkers::{holders, lease, pairs, session, set};

use crate::workload::{Judgement, Watched};

/// A finding may not take as long as the verdict: if it is hard to say, it stays unknown.
const FINDING: Limits = Limits { time: Duration::from_secs(10), memory: 100 << 20 };

/// Registers, all of whose operations are linearizable.
pub(crate) fn registers(history: &History) -> Vec<Judgement> {
    vec![promise(history, &CasRegister::default())]
}

/// Registers, whose updates are linearizable; whether the reads happened to be is a finding.
pub(crate) fn local_registers(history: &History) -> Vec<Judgement> {
    vec![promise(history, &UPDATES), finding(history, &CasRegister::default())]
}

/// Locks whose fenced promise holds; whether somebody held beside another, and what became of it, is a finding.
pub(crate) fn locks(history: &History) -> Vec<Judgement> {
    vec![promise(history, &FencedMutex), side_by_side(history)]
}

/// Locks without fencing, of which at most one client holds each, as the clients see it.
pub(crate) fn unfenced_locks(history: &History) -> Vec<Judgement> {
    vec![promise(history, &STRICT), side_by_side(history)]
}

/// Whether somebody believed to hold a lock beside another, and what became of it.
fn side_by_side(history: &History) -> Judgement {
    judgement("holders", holders::check(history), Part::Finding)
}

/// How much longer than twice its time to live a lease may be there: elections and a busy machine.
const LEASE_GRACE: Duration = Duration::from_secs(5);

/// Sets that lose nothing; whether local reads happened to show everything is a finding.
pub(crate) fn sets(history: &History) -> Vec<Judgement> {
    let local = set::check(history, LocalReads::AreJudged);
    // The promise asks for less.
    let promised = if local == Verdict::Valid { local.clone() } else { set::check(history, LocalReads::MayBeStale) };
    vec![judgement("set-full", promised, Part::Promise), judgement("set-full (local reads too)", local, Part::Finding)]
}

/// Leases that live as long as was promised; whether they end afterwards is a finding.
pub(crate) fn leases(history: &History) -> Vec<Judgement> {
    let late = lease::outlived(history, LEASE_GRACE);
    vec![judgement("lease", lease::check(history), Part::Promise), judgement("lease (ends)", late, Part::Finding)]
}

/// Sessions that never see the world go backwards.
pub(crate) fn sessions(history: &History) -> Vec<Judgement> {
    vec![judgement("session guarantees", session::check(history), Part::Promise)]
}

/// Transactions of which both halves are seen or none.
pub(crate) fn pairs(history: &History) -> Vec<Judgement> {
    vec![judgement("read-atomic pairs", pairs::check(history), Part::Promise)]
}

/// What [`registers`] promise, watched.
pub(crate) fn watch_registers() -> Vec<Watched> {
    vec![watched(checker(&CasRegister::default()), Watch::registers(Reads::Judged))]
}

/// What [`local_registers`] promise, watched.
pub(crate) fn watch_local_registers() -> Vec<Watched> {
    vec![watched(checker(&UPDATES), Watch::registers(Reads::Ignored))]
}

/// What [`locks`] promise, watched.
pub(crate) fn watch_locks() -> Vec<Watched> {
    vec![watched(checker(&FencedMutex), Watch::fenced_mutexes())]
}

/// What [`sessions`] promise, watched.
pub(crate) fn watch_sessions() -> Vec<Watched> {
    vec![watched("session guarantees".to_owned(), Watch::sessions())]
}

/// What is only judged at the end.
pub(crate) fn watch_nothing() -> Vec<Watched> {
    Vec::new()
}

fn watched(checker: String, watch: Watch) -> Watched {
    Watched { checker, check: Box::new(watch) }
}

/// Whether a judgement counts into the verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Promise,
    Finding,
}

fn judgement(checker: &str, verdict: Verdict, part: Part) -> Judgement {
    Judgement { checker: checker.to_owned(), verdict, finding: part == Part::Finding }
}

fn promise<M: Model>(history: &History, model: &M) -> Judgement {
    judgement(&checker(model), judge(history, model, &Limits::default()), Part::Promise)
}

fn finding<M: Model>(history: &History, model: &M) -> Judgement {
    judgement(&checker(model), judge(history, model, &FINDING), Part::Finding)
}

fn checker<M: Model>(model: &M) -> String {
    format!("linearizable {}", model.name())
}

/// A history in which nothing succeeded proves nothing, however legal it is.
fn judge<M: Model>(history: &History, model: &M, limits: &Limits) -> Verdict {
    let verdict = check(history, model, limits);
    let succeeded =
        history.events.iter().any(|event| event.kind == Kind::Ok && matches!(event.process, Process::Client(_)));
    match verdict {
        Verdict::Valid if !succeeded => Verdict::Unknown {
            reason: "No operation succeeded, so nothing was put to the test. Look at the errors in the history.".into(),
        },
        verdict => verdict,
    }
}

/// A compare-and-set register of which only the updates are judged.
const UPDATES: Retold<CasRegister> = Retold {
    name: "cas-register (updates only)",
    model: CasRegister { rules: RegisterRules::usual() },
    read: |model, operation, data| {
        if operation.f() == "read" { Ok(Meaning::Never) } else { model.read(operation, data) }
    },
};

/// A mutex as its clients see it: a holder that learns from a proof, at work or from a release that it has lost the lock,
/// or that dies, may count as having released it then. What is left is two clients that both believe they hold.
const STRICT: Retold<Mutex> = Retold {
    name: "mutex",
    model: Mutex,
    read: |model, operation, data| match (operation.f(), operation.outcome()) {
        ("prove" | "work", Outcome::Ok) => Ok(Meaning::Never),
        ("prove" | "work", Outcome::Fail | Outcome::Info) | ("release", Outcome::Fail) => {
            Ok(Meaning::May(MutexOp::Release))
        }
        _ => model.read(operation, data),
    },
};
