//! Locks that know who holds them: only who holds can give back. A holder is a process; a client that goes on under another
//! number is another holder.
//!
//! | model | `f` | legal when |
//! |---|---|---|
//! | `owned-mutex` | `acquire`, `release` | nobody holds; the caller holds |
//! | `reentrant-mutex` | `acquire`, `release` | nobody but the caller holds; the caller holds, as often as it acquired |
//! | `read-write-lock` | `acquire-read`, `release-read` | nobody holds to write; the caller holds to read |
//! | | `acquire-write`, `release-write` | nobody holds; the caller holds to write |
//! | `semaphore` | `acquire`, `release` | there is a permit left; the caller holds one |
//!
//! Values are ignored. An operation that failed did not happen. One whose outcome is unknown may have.

use smallvec::SmallVec;

use super::{Data, Meaning, Model, Needs, unknown_f};
use crate::history::{Operation, Outcome, Process};

/// A lock that knows who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lock {
    /// One holder, once.
    Owned,
    /// One holder, as often as it likes.
    Reentrant,
    /// Many holders that read, or one that writes.
    ReadWrite,
    /// So many permits, each for whoever takes it.
    Semaphore {
        /// How many.
        permits: u32,
    },
}

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Share {
    /// All of the lock, or a permit of a semaphore.
    Own,
    /// A lock to read, beside others.
    Read,
}

/// What happens to a lock, and who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockOp {
    /// The caller holds.
    Acquire(Process, Share),
    /// The caller has given back what it held.
    Release(Process, Share),
}

/// Who holds what, and how often; sorted.
pub type Holders = SmallVec<[(Process, Share, u32); 2]>;

impl Lock {
    /// Whether one more may hold.
    fn admits(self, holders: &Holders, who: Process, share: Share) -> bool {
        match (self, share) {
            (Lock::Owned, _) | (Lock::ReadWrite, Share::Own) => holders.is_empty(),
            (Lock::Reentrant, _) => holders.iter().all(|(holder, ..)| *holder == who),
            (Lock::ReadWrite, Share::Read) => holders.iter().all(|(_, held, _)| *held == Share::Read),
            (Lock::Semaphore { permits }, _) => holders.iter().map(|(.., count)| count).sum::<u32>() < permits,
        }
    }
}

impl Model for Lock {
    type State = Holders;
    type Op = LockOp;

    fn name(&self) -> &'static str {
        match self {
            Lock::Owned => "owned-mutex",
            Lock::Reentrant => "reentrant-mutex",
            Lock::ReadWrite => "read-write-lock",
            Lock::Semaphore { .. } => "semaphore",
        }
    }

    fn init(&self, _: &mut Data) -> Holders {
        Holders::new()
    }

    fn read(&self, operation: &Operation<'_>, _: &mut Data) -> Result<Meaning<LockOp>, String> {
        let who = operation.process();
        let op = match (self, operation.f()) {
            (Lock::ReadWrite, "acquire-read") => LockOp::Acquire(who, Share::Read),
            (Lock::ReadWrite, "release-read") => LockOp::Release(who, Share::Read),
            (Lock::ReadWrite, "acquire-write") => LockOp::Acquire(who, Share::Own),
            (Lock::ReadWrite, "release-write") => LockOp::Release(who, Share::Own),
            (Lock::ReadWrite, f) => {
                return Err(unknown_f(f, "`acquire-read`, `release-read`, `acquire-write` or `release-write`"));
            }
            (_, "acquire") => LockOp::Acquire(who, Share::Own),
            (_, "release") => LockOp::Release(who, Share::Own),
            (_, f) => return Err(unknown_f(f, "`acquire` or `release`")),
        };
        Ok(match operation.outcome() {
            Outcome::Ok => Meaning::Must(op),
            Outcome::Fail => Meaning::Never,
            Outcome::Info => Meaning::May(op),
        })
    }

    fn step(&self, holders: &Holders, op: &LockOp) -> Option<Holders> {
        let mut next = holders.clone();
        match *op {
            LockOp::Acquire(who, share) => {
                let place = holders.binary_search_by_key(&(who, share), |(who, share, _)| (*who, *share));
                if !self.admits(holders, who, share) {
                    return None;
                }
                match place {
                    Ok(at) => next[at].2 += 1,
                    Err(at) => next.insert(at, (who, share, 1)),
                }
            }
            LockOp::Release(who, share) => {
                let at = holders.binary_search_by_key(&(who, share), |(who, share, _)| (*who, *share)).ok()?;
                next[at].2 -= 1;
                next.retain(|(.., count)| *count > 0);
            }
        }
        Some(next)
    }

    fn heap_bytes(&self, holders: &Holders) -> usize {
        if holders.spilled() { holders.capacity() * size_of::<(Process, Share, u32)>() } else { 0 }
    }

    /// If a process acquires and gives back, and both are taken out of a legal order, it holds less in between and nobody
    /// minds: others are admitted as before, and it gives back what it still holds.
    fn is_paired(&self) -> bool {
        true
    }

    fn are_a_pair(&self, one: &LockOp, next: &LockOp) -> bool {
        matches!((one, next), (LockOp::Acquire(_, held), LockOp::Release(_, given)) if held == given)
    }

    fn needs(&self) -> Needs<LockOp> {
        Needs::NoOthers
    }

    fn show_op(&self, op: &LockOp, _: &Data) -> String {
        let (did, share) = match op {
            LockOp::Acquire(_, share) => ("acquired", share),
            LockOp::Release(_, share) => ("released", share),
        };
        match (self, share) {
            (Lock::ReadWrite, Share::Read) => format!("{did} to read"),
            (Lock::ReadWrite, Share::Own) => format!("{did} to write"),
            (Lock::Semaphore { .. }, _) => format!("{did} a permit"),
            (Lock::Owned | Lock::Reentrant, _) => did.to_owned(),
        }
    }

    fn show(&self, holders: &Holders, _: &Data) -> String {
        let names = || holders.iter().map(|(who, ..)| who.to_string()).collect::<Vec<_>>().join(", ");
        match (self, holders.is_empty()) {
            (Lock::Semaphore { permits: 1 }, true) => "the only permit is free".to_owned(),
            (Lock::Semaphore { permits }, true) => format!("all {permits} permits are free"),
            (_, true) => "the lock is free".to_owned(),
            (_, false) => format!("it is held by {}", names()),
        }
    }
}
