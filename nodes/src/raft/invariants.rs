//! What must hold over all members of a cluster: four of Raft's five properties (Fig. 3 of the paper).
//!
//! The fifth, leader append-only, follows from log matching and leader completeness as they are checked here: after
//! each step, over all members, against everything that was ever committed.

use std::collections::BTreeMap;

use super::{Index, Raft, Role, Term};
use crate::replica::NodeId;

/// What has been seen of a cluster. A simulator shows it all members that are up, after each step.
#[derive(Debug, Default)]
pub struct Invariants {
    leaders: BTreeMap<Term, NodeId>,
    /// The digest of the committed log up to each index.
    committed: BTreeMap<Index, u64>,
}

impl Invariants {
    /// Looks at the members that are up.
    ///
    /// # Errors
    /// Says which property is broken, and by whom.
    pub fn observe<'a>(&mut self, members: impl Iterator<Item = &'a Raft>) -> Result<(), String> {
        let members: Vec<&Raft> = members.collect();
        for member in &members {
            member.check()?;
            self.election_safety(member)?;
            self.state_machine_safety(member)?;
        }
        for (i, one) in members.iter().enumerate() {
            self.leader_completeness(one)?;
            for other in &members[i + 1..] {
                log_matching(one, other)?;
            }
        }
        Ok(())
    }

    /// At most one leader a term.
    fn election_safety(&mut self, member: &Raft) -> Result<(), String> {
        if member.role() != Role::Leader {
            return Ok(());
        }
        match self.leaders.insert(member.term(), member.id()) {
            Some(other) if other != member.id() => {
                Err(format!("election safety: {other} and {} both lead term {}", member.id(), member.term()))
            }
            _ => Ok(()),
        }
    }

    /// What one member takes for committed is what every other one does.
    fn state_machine_safety(&mut self, member: &Raft) -> Result<(), String> {
        let known = self.committed.last_key_value().map_or(0, |(index, _)| *index);
        // What is below was compared when this member or another one committed it; one look at the end suffices,
        // because the digest covers all before it.
        let start = (known + 1).min(member.commit()).max(1);
        for index in start..=member.commit() {
            let Some(chain) = member.log().chain_at(index) else { continue };
            if let Some(other) = self.committed.insert(index, chain)
                && other != chain
            {
                return Err(format!("state machine safety: {} committed another log up to {index}", member.id()));
            }
        }
        Ok(())
    }

    /// What is committed is in the log of every leader of the newest term.
    fn leader_completeness(&self, member: &Raft) -> Result<(), String> {
        let newest = self.leaders.last_key_value().map(|(term, _)| *term);
        let Some((&index, &chain)) = self.committed.last_key_value() else { return Ok(()) };
        if member.role() != Role::Leader || newest != Some(member.term()) {
            return Ok(());
        }
        match member.log().chain_at(index) {
            Some(own) if own == chain => Ok(()),
            Some(_) => Err(format!("leader completeness: {} leads with another log up to {index}", member.id())),
            None => Err(format!("leader completeness: {} leads without the committed entry {index}", member.id())),
        }
    }
}

/// Logs that agree in an entry's term agree up to there.
fn log_matching(one: &Raft, other: &Raft) -> Result<(), String> {
    let mut index = one.log().last().index.min(other.log().last().index);
    while let (Some(a), Some(b)) = (one.log().term_at(index), other.log().term_at(index)) {
        if a == b {
            let same = one.log().chain_at(index) == other.log().chain_at(index);
            return if same {
                Ok(())
            } else {
                Err(format!("log matching: {} and {} differ before entry {index} of term {a}", one.id(), other.id()))
            };
        }
        let Some(before) = index.checked_sub(1) else { break };
        index = before;
    }
    Ok(())
}
