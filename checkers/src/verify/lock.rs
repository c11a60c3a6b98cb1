//! Locks that know who holds them, replayed.

use std::collections::BTreeMap;

use super::Replay;
use crate::history::{Operation, Process};
use crate::model::Lock;

impl Replay for Lock {
    /// How often each process holds to read, and in another way.
    type Memory = BTreeMap<Process, [u32; 2]>;

    fn start(&self) -> Self::Memory {
        BTreeMap::new()
    }

    fn apply(&self, memory: &mut Self::Memory, operation: &Operation<'_>) -> bool {
        let (who, f) = (operation.process(), operation.f());
        let kind = usize::from(!f.ends_with("-read"));
        let [reading, others] = memory.values().fold([0, 0], |[one, other], held| [one + held[0], other + held[1]]);
        let own = memory.entry(who).or_default();
        if f.starts_with("release") {
            let holds = own[kind] > 0;
            own[kind] = own[kind].saturating_sub(1);
            return holds;
        }
        let legal = match self {
            Lock::Owned => others == 0,
            Lock::Reentrant => others == own[1],
            Lock::ReadWrite if f.ends_with("-read") => others == 0,
            Lock::ReadWrite => reading + others == 0,
            Lock::Semaphore { permits } => others < *permits,
        };
        own[kind] += 1;
        legal
    }

    fn are_a_pair(&self, one: &Operation<'_>, next: &Operation<'_>) -> bool {
        one.f().strip_prefix("acquire").is_some_and(|what| next.f().strip_prefix("release") == Some(what))
    }
}
