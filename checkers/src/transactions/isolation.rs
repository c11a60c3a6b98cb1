//! Isolation levels, by the anomalies that they forbid.
//!
//! | level | forbids, besides what is forbidden above it |
//! |---|---|
//! | read-uncommitted (PL-1) | G0, garbage reads, elements seen twice, cyclic versions |
//! | read-committed (PL-2) | G1a, G1b, G1c, incompatible orders, dirty updates |
//! | repeatable-read (PL-2.99) | G-single, G-nonadjacent, G2-item, lost updates, internal inconsistency |
//! | snapshot-isolation | of those of repeatable-read all but G2-item |
//! | serializable (PL-3) | as repeatable-read: there are no predicates |
//! | strong-session-serializable | every cycle with the order of each process |
//! | strict-serializable | every cycle with real time |
//!
//! The levels PL-n are Adya's (thesis, 1999, chapter 3); that snapshot isolation is the absence of cycles in which no two
//! anti-dependencies follow one another is theorem 9 of Cerone and Gotsman, "Analysing snapshot isolation", 2018.
//! That a transaction reads twice what it did not write itself is a G-single and allowed to read-committed; so is, here,
//! all internal inconsistency.

use std::fmt;
use std::str::FromStr;

use super::anomaly::{Anomaly, Class, Scope};

/// What a system promises of its transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isolation {
    /// Writes do not interleave: PL-1.
    ReadUncommitted,
    /// Only what was committed is read: PL-2.
    ReadCommitted,
    /// What was read stays so until the end: PL-2.99.
    RepeatableRead,
    /// Each transaction reads from one state, and of two that write the same object only one commits.
    SnapshotIsolation,
    /// There is one order of all: PL-3.
    Serializable,
    /// There is one, in which each process goes forward.
    StrongSessionSerializable,
    /// There is one that agrees with real time.
    #[default]
    StrictSerializable,
}

impl Isolation {
    /// All of them, the weakest first.
    pub const ALL: [Isolation; 7] = [
        Isolation::ReadUncommitted,
        Isolation::ReadCommitted,
        Isolation::RepeatableRead,
        Isolation::SnapshotIsolation,
        Isolation::Serializable,
        Isolation::StrongSessionSerializable,
        Isolation::StrictSerializable,
    ];

    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "read-uncommitted",
            Isolation::ReadCommitted => "read-committed",
            Isolation::RepeatableRead => "repeatable-read",
            Isolation::SnapshotIsolation => "snapshot-isolation",
            Isolation::Serializable => "serializable",
            Isolation::StrongSessionSerializable => "strong-session-serializable",
            Isolation::StrictSerializable => "strict-serializable",
        }
    }

    /// Whether no history that keeps this promise shows the anomaly.
    #[must_use]
    pub fn forbids(self, anomaly: Anomaly) -> bool {
        let scope = match anomaly.scope() {
            Scope::Data => Isolation::ReadUncommitted,
            Scope::Process => Isolation::StrongSessionSerializable,
            Scope::RealTime => Isolation::StrictSerializable,
        };
        let by_class = match anomaly.class() {
            Class::GarbageRead | Class::DuplicateElements | Class::CyclicVersions | Class::G0 => true,
            Class::G1a | Class::G1b | Class::G1c | Class::IncompatibleOrder | Class::DirtyUpdate => {
                self >= Isolation::ReadCommitted
            }
            Class::Internal | Class::LostUpdate | Class::GSingle | Class::GNonadjacent => {
                self >= Isolation::RepeatableRead
            }
            Class::G2Item => self >= Isolation::RepeatableRead && self != Isolation::SnapshotIsolation,
        };
        by_class && self >= scope
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Isolation::ALL.into_iter().find(|level| level.name() == text).ok_or_else(|| {
            let names = Isolation::ALL.map(Isolation::name).join(", ");
            format!("there is no isolation level `{text}`; there are: {names}")
        })
    }
}
