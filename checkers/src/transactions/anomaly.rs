//! What can be wrong with transactions, by the names that the field gives it.

use std::fmt;

/// A kind of contradiction. Those after [`Class::LostUpdate`] are cycles of dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A value was read that nobody wrote.
    GarbageRead,
    /// A list was read that has an element twice, which was appended once.
    DuplicateElements,
    /// The versions of an object come one before the other in a circle.
    CyclicVersions,
    /// What an aborted transaction wrote was read.
    G1a,
    /// What a transaction wrote and then wrote over was read by another.
    G1b,
    /// Two reads of a list, neither of which is the beginning of the other.
    IncompatibleOrder,
    /// A committed write on top of an aborted one.
    DirtyUpdate,
    /// A transaction contradicts its own reads and writes.
    Internal,
    /// Two transactions read the same version, and both wrote the next.
    LostUpdate,
    /// A cycle of writes.
    G0,
    /// A cycle of writes and reads of what was written.
    G1c,
    /// A cycle with exactly one anti-dependency: a read that did not see a write.
    GSingle,
    /// A cycle with several anti-dependencies, no two of which follow one another.
    GNonadjacent,
    /// A cycle with anti-dependencies that follow one another.
    G2Item,
}

impl Class {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::GarbageRead => "garbage-read",
            Class::DuplicateElements => "duplicate-elements",
            Class::CyclicVersions => "cyclic-versions",
            Class::G1a => "G1a",
            Class::G1b => "G1b",
            Class::IncompatibleOrder => "incompatible-order",
            Class::DirtyUpdate => "dirty-update",
            Class::Internal => "internal",
            Class::LostUpdate => "lost-update",
            Class::G0 => "G0",
            Class::G1c => "G1c",
            Class::GSingle => "G-single",
            Class::GNonadjacent => "G-nonadjacent",
            Class::G2Item => "G2-item",
        }
    }

    /// What is wrong, in a few words that precede the particulars.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Class::GarbageRead => "a value from nowhere",
            Class::DuplicateElements => "an element seen twice",
            Class::CyclicVersions => "versions in a circle",
            Class::G1a => "an aborted read",
            Class::G1b => "an intermediate read",
            Class::IncompatibleOrder => "reads of one list that do not agree",
            Class::DirtyUpdate => "a dirty update",
            Class::Internal => "a transaction that contradicts itself",
            Class::LostUpdate => "one of two updates of a version went unseen",
            Class::G0 => "a write cycle",
            Class::G1c => "circular information flow",
            Class::GSingle => "read skew",
            Class::GNonadjacent => "a cycle of reads that missed writes, none right after another",
            Class::G2Item => "write skew",
        }
    }
}

/// Which order of transactions, besides that of the data, a contradiction rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// None.
    Data,
    /// A process runs its transactions one after another.
    Process,
    /// What returned before another was called is before it.
    RealTime,
}

/// A kind of contradiction and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Anomaly {
    scope: Scope,
    class: Class,
}

impl Anomaly {
    pub(super) fn new(class: Class, scope: Scope) -> Self {
        Anomaly { scope, class }
    }

    /// Its kind.
    #[must_use]
    pub fn class(self) -> Class {
        self.class
    }

    /// What it rests on.
    #[must_use]
    pub fn scope(self) -> Scope {
        self.scope
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.name())?;
        f.write_str(match self.scope {
            Scope::Data => "",
            Scope::Process => "-process",
            Scope::RealTime => "-realtime",
        })
    }
}
