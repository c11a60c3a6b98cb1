//! The ladder of consistency: of one history of registers, which levels hold.
//!
//! | `f` | `value` of the call | `value` when `ok` | `version` when `ok` |
//! |---|---|---|---|
//! | `read` | | what was read | that of the write which put it there; none if nothing was there |
//! | `write` | what is written | | its own |
//! | `cas` | `[old, new]` | | its own |
//!
//! Registers start empty, each key is one. What failed did not happen; what nobody knows of may have, at any time after
//! its call. Operations by other names are no part of any promise. A *session* is a process, and one operation comes
//! before another in it if it succeeded and returned before the other was called.
//!
//! # The levels
//!
//! - *Linearizable*: there is a legal order of all operations that keeps their order in real time.
//! - *Sequential*: there is a legal order of all operations that keeps the order of each session (Lamport, 1979).
//! - The *session guarantees* (Terry et al., "Session guarantees for weakly consistent replicated data", 1994) and
//!   *monotonic per user* speak of an order of the writes, old to new. Before all writes of a key there is nothing.
//!   - *Read your writes*: what a session reads of a key is not older than what it wrote there before.
//!   - *Monotonic reads*: what it reads of a key is not older than what it read there before.
//!   - *Monotonic writes*: its writes are in the order in which it made them.
//!   - *Writes follow reads*: a write is newer than all that its session read before; a compare-and-set is newer than
//!     what it found.
//!   - *Monotonic per user*: monotonic reads, with all processes of a user as one session. A user is the column `user`
//!     of the call, and a process that has none is a user of its own.
//! - *Convergent*: a key's last update returned, and of all reads that were called after that, the last at each node
//!   agree. A node is where a read was asked, or the process if that is not said.
//!
//! # Versions
//!
//! If any operation that succeeded has a version, versions are part of what was answered: all levels but the last ask
//! for an order in which the writes of all keys are in the order of their versions, as
//! [`session`](crate::session) does. That is decided in n log n ([`mod@witnessed`]). What succeeded without a version
//! then proves nothing by its place in that order.
//!
//! Without versions the writes' order is any that fits. Each guarantee is judged together with those above it on the
//! list that hold: so all that hold do so with *one* order of the writes, and of two that contradict each other the
//! lower is said to be broken ([`guarantees`]). That takes values that were written once; a read of another value is
//! left out, and what is not broken by the others is then unknown. Whether there is a sequential order is NP-complete
//! (Gibbons and Korach, "Testing shared memories", 1997), also with values that were written once: it is searched for,
//! within bounds ([`mod@sequential`]).
//!
//! # What follows from what
//!
//! A linearizable history keeps all the other levels, a sequential one keeps the session guarantees. That is how a
//! rung above is told from those below, and it is asserted of random histories, as each level is by its definition.

mod convergence;
mod guarantees;
mod record;
mod sequential;
mod witnessed;

use std::fmt;

use crate::history::History;
use crate::linearizability::{self, Limits};
use crate::model::{CasRegister, Meaning, Model, RegisterRules, Retold};
use crate::verdict::{Verdict, Witness};
use guarantees::Guarantees;
use record::Record;
use witnessed::{Pace, Walk};

/// A level of consistency. From the strongest to the weakest, as far as they can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// One order of all operations, in real time.
    Linearizable,
    /// One order of all operations, in the order of each session.
    Sequential,
    /// Who writes reads no older value.
    ReadYourWrites,
    /// Who reads reads no older value afterwards.
    MonotonicReads,
    /// A session's writes are in its order.
    MonotonicWrites,
    /// A write is newer than what its session had read.
    WritesFollowReads,
    /// A user reads no older value, whatever process he uses.
    MonotonicPerUser,
    /// In the end all nodes agree.
    Convergent,
}

impl Level {
    /// All of them, in their order.
    pub const ALL: [Level; 8] = [
        Level::Linearizable,
        Level::Sequential,
        Level::ReadYourWrites,
        Level::MonotonicReads,
        Level::MonotonicWrites,
        Level::WritesFollowReads,
        Level::MonotonicPerUser,
        Level::Convergent,
    ];

    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Linearizable => "linearizable",
            Level::Sequential => "sequential",
            Level::ReadYourWrites => "read-your-writes",
            Level::MonotonicReads => "monotonic-reads",
            Level::MonotonicWrites => "monotonic-writes",
            Level::WritesFollowReads => "writes-follow-reads",
            Level::MonotonicPerUser => "monotonic-per-user",
            Level::Convergent => "convergent",
        }
    }

    /// Its name in a sentence.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Level::Linearizable => "linearizable",
            Level::Sequential => "sequential",
            Level::ReadYourWrites => "read your writes",
            Level::MonotonicReads => "monotonic reads",
            Level::MonotonicWrites => "monotonic writes",
            Level::WritesFollowReads => "writes follow reads",
            Level::MonotonicPerUser => "monotonic per user",
            Level::Convergent => "convergent",
        }
    }
}

/// Whether one level holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Which.
    pub level: Level,
    /// Valid if it holds, invalid if it is broken.
    pub verdict: Verdict,
}

/// Which levels hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// One for each level, in the order of [`Level::ALL`].
    pub rungs: Vec<Rung>,
}

impl Ladder {
    /// Which levels hold of this history. The limits are those of the search for a linearization; the search for a
    /// sequential order has bounds of its own, that do not depend on the machine.
    #[must_use]
    pub fn of(history: &History, limits: &Limits) -> Ladder {
        let record = match Record::read(history) {
            Ok(record) => record,
            Err(reason) => {
                let rung = |level| Rung { level, verdict: Verdict::Unknown { reason: reason.clone() } };
                return Ladder { rungs: Level::ALL.into_iter().map(rung).collect() };
            }
        };
        let linearizable = linearizable(history, &record, limits);
        if linearizable == Verdict::Valid {
            // Every level below follows.
            let rung = |level| Rung { level, verdict: Verdict::Valid };
            return Ladder { rungs: Level::ALL.into_iter().map(rung).collect() };
        }
        let guarantees = Guarantees::of(&record);
        let sequential = sequential(&record, &guarantees);
        let follows = sequential == Verdict::Valid;
        let mut rungs = vec![(Level::Linearizable, linearizable), (Level::Sequential, sequential)];
        for (level, verdict) in guarantees.verdicts {
            // A sequential order keeps the order of each process, not that among several of a user.
            let implied = follows && (level != Level::MonotonicPerUser || !record.has_users);
            rungs.push((level, if implied { Verdict::Valid } else { verdict }));
        }
        rungs.push((Level::Convergent, convergence::judge(&record)));
        Ladder { rungs: rungs.into_iter().map(|(level, verdict)| Rung { level, verdict }).collect() }
    }

    /// What is said of one level.
    #[must_use]
    pub fn verdict(&self, level: Level) -> &Verdict {
        &self.rungs[level as usize].verdict
    }

    /// The strongest level that holds.
    #[must_use]
    pub fn strongest(&self) -> Option<Level> {
        self.rungs.iter().find(|rung| rung.verdict == Verdict::Valid).map(|rung| rung.level)
    }

    /// The strongest level that is broken, and by what.
    #[must_use]
    pub fn first_broken(&self) -> Option<(Level, &Witness)> {
        self.rungs.iter().find_map(|rung| match &rung.verdict {
            Verdict::Invalid { witness } => Some((rung.level, witness)),
            Verdict::Valid | Verdict::Unknown { .. } => None,
        })
    }

    /// Of all levels together: invalid by the first that is broken, valid if all hold.
    #[must_use]
    pub fn overall(&self) -> Verdict {
        self.rungs.iter().fold(Verdict::Valid, |worst, rung| worst.worst(rung.verdict.clone()))
    }

    /// The strongest level that holds, and one line for each rung.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let strongest = match self.strongest() {
            Some(level) => format!("the strongest level that holds: {}", level.words()),
            None => "no level is known to hold".to_owned(),
        };
        std::iter::once(strongest).chain(self.rungs.iter().map(Rung::to_string)).collect()
    }
}

/// `monotonic reads: broken: process 1 read …`
impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.level.words())?;
        match &self.verdict {
            Verdict::Valid => f.write_str("holds"),
            Verdict::Unknown { reason } => write!(f, "unknown: {reason}"),
            Verdict::Invalid { witness } => write!(f, "broken: {}", witness.reason),
        }
    }
}

/// The lines, and the first contradiction below them.
impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))?;
        match self.first_broken() {
            Some((level, witness)) => write!(f, "\nnot {}: {witness}", level.words()),
            None => Ok(()),
        }
    }
}

/// Whether one level holds, by what is said of that level itself; what the levels above it say is asked only if that
/// leaves it open.
#[must_use]
pub fn check(history: &History, level: Level, limits: &Limits) -> Verdict {
    let record = match Record::read(history) {
        Ok(record) => record,
        Err(reason) => return Verdict::Unknown { reason },
    };
    let verdict = match level {
        Level::Linearizable => return linearizable(history, &record, limits),
        Level::Sequential => sequential(&record, &Guarantees::of(&record)),
        Level::Convergent => convergence::judge(&record),
        guarantee => Guarantees::of(&record).verdict(guarantee),
    };
    match verdict {
        Verdict::Unknown { .. } => Ladder::of(history, limits).verdict(level).clone(),
        decided => decided,
    }
}

/// With versions, a legal order has to keep theirs too. A history in which all could be placed needs no search; of
/// others, a search by values can only say that there is none.
fn linearizable(history: &History, record: &Record<'_>, limits: &Limits) -> Verdict {
    if !record.versioned {
        return linearizability::check(history, &REGISTERS, limits);
    }
    witnessed(record, Pace::RealTime, || linearizability::check(history, &REGISTERS, limits))
}

fn sequential(record: &Record<'_>, guarantees: &Guarantees) -> Verdict {
    if record.versioned {
        return witnessed(record, Pace::Session, || sequential::search(record));
    }
    match guarantees.broken_session() {
        // A sequential order is an order of the writes with which all of them hold.
        Some((level, witness)) => {
            let reason = format!("not even {}: {}", level.words(), witness.reason);
            Verdict::Invalid { witness: Witness { reason, ..witness.clone() } }
        }
        None => sequential::search(record),
    }
}

fn witnessed(record: &Record<'_>, pace: Pace, by_values: impl FnOnce() -> Verdict) -> Verdict {
    match witnessed::walk(record, pace) {
        Walk::Order => Verdict::Valid,
        Walk::Broken(witness) => Verdict::Invalid { witness },
        Walk::Gap(at) => match by_values() {
            broken @ Verdict::Invalid { .. } => broken,
            Verdict::Valid | Verdict::Unknown { .. } => Verdict::Unknown {
                reason: format!(
                    "nothing contradicts the versions, but nobody knows the version of: {}",
                    record.who(at)
                ),
            },
        },
    }
}

/// Compare-and-set registers in a history that tells of other things besides.
const REGISTERS: Retold<CasRegister> = Retold {
    name: "cas-register",
    model: CasRegister { rules: RegisterRules::usual() },
    read: |model, operation, data| match operation.f() {
        "read" | "write" | "cas" => model.read(operation, data),
        _ => Ok(Meaning::Never),
    },
};
