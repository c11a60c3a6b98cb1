//! Which promises are judged, and by what.

use std::time::Duration;

use grudge_checkers::history::{History, Kind, Operation, Outcome, Process};
use grudge_checkers::linearizability::{Limits, check};
use grudge_checkers::model::{
    CasRegister, Data, Datum, Expiry, FencedMutex, Meaning, Model, Mutex, MutexOp, RegisterOp,
};
use grudge_checkers::verdict::Verdict;

use crate::workload::Judgement;

/// A finding may not take as long as the verdict: if it is hard to say, it stays unknown.
const FINDING: Limits = Limits { time: Duration::from_secs(10), configurations: 1_000_000 };

/// Registers, all of whose operations are linearizable.
pub(crate) fn registers(history: &History) -> Vec<Judgement> {
    vec![promise(history, &CasRegister)]
}

/// Registers, whose updates are linearizable; whether the reads happened to be is a finding.
pub(crate) fn local_registers(history: &History) -> Vec<Judgement> {
    vec![promise(history, &Updates), finding(history, &CasRegister)]
}

/// Locks whose fenced promise holds; whether the clients saw strict exclusion is a finding.
pub(crate) fn locks(history: &History) -> Vec<Judgement> {
    vec![promise(history, &FencedMutex), finding(history, &Strict)]
}

fn promise<M: Model>(history: &History, model: &M) -> Judgement {
    Judgement { checker: checker(model), verdict: judge(history, model, &Limits::default()), finding: false }
}

fn finding<M: Model>(history: &History, model: &M) -> Judgement {
    Judgement { checker: checker(model), verdict: judge(history, model, &FINDING), finding: true }
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
struct Updates;

impl Model for Updates {
    type State = <CasRegister as Model>::State;
    type Op = RegisterOp;

    fn name(&self) -> &'static str {
        "cas-register (updates only)"
    }

    fn init(&self, data: &mut Data) -> Self::State {
        CasRegister.init(data)
    }

    fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Meaning<RegisterOp>, String> {
        if operation.f() == "read" { Ok(Meaning::Never) } else { CasRegister.read(operation, data) }
    }

    fn step(&self, state: &Self::State, op: &RegisterOp) -> Option<Self::State> {
        CasRegister.step(state, op)
    }

    fn is_pure(&self, op: &RegisterOp) -> bool {
        CasRegister.is_pure(op)
    }

    fn produces(&self, op: &RegisterOp) -> Option<Datum> {
        CasRegister.produces(op)
    }

    fn observes(&self, op: &RegisterOp) -> Option<Datum> {
        CasRegister.observes(op)
    }

    fn expiry(&self) -> Expiry {
        CasRegister.expiry()
    }

    fn show(&self, state: &Self::State, data: &Data) -> String {
        CasRegister.show(state, data)
    }
}

/// A mutex as its clients see it: a holder that learns from a proof or a release that it has lost the lock, or that
/// dies, may count as having released it then. What is left is two clients that both believe they hold.
struct Strict;

impl Model for Strict {
    type State = bool;
    type Op = MutexOp;

    fn name(&self) -> &'static str {
        "mutex"
    }

    fn init(&self, data: &mut Data) -> bool {
        Mutex.init(data)
    }

    fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Meaning<MutexOp>, String> {
        match (operation.f(), operation.outcome()) {
            ("prove", Outcome::Ok) => Ok(Meaning::Never),
            ("prove", Outcome::Fail | Outcome::Info) | ("release", Outcome::Fail) => Ok(Meaning::May(MutexOp::Release)),
            _ => Mutex.read(operation, data),
        }
    }

    fn step(&self, held: &bool, op: &MutexOp) -> Option<bool> {
        Mutex.step(held, op)
    }

    fn is_pure(&self, op: &MutexOp) -> bool {
        Mutex.is_pure(op)
    }

    fn produces(&self, op: &MutexOp) -> Option<Datum> {
        Mutex.produces(op)
    }

    fn observes(&self, op: &MutexOp) -> Option<Datum> {
        Mutex.observes(op)
    }

    fn expiry(&self) -> Expiry {
        Mutex.expiry()
    }

    fn paired(&self) -> bool {
        Mutex.paired()
    }

    fn show(&self, held: &bool, data: &Data) -> String {
        Mutex.show(held, data)
    }
}
