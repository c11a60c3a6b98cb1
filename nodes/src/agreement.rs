//! What all replicas must agree on, read from the events that every protocol reports.
//!
//! The simulator asserts it while a world runs; after a run of real processes it is asserted of the events that each
//! of them wrote down. It does not matter in which order the events of different nodes are told, only that each
//! node's own are in order.

use std::collections::BTreeMap;

use crate::replica::{Event, NodeId};

/// The invariants over all nodes and lives:
///
/// - *leader uniqueness*: at most one node ever leads an epoch;
/// - *agreement*: nodes that apply the same position apply the same entry;
/// - *order*: one life applies increasing positions;
/// - *prefix*: no life leaves out a position that another applies.
#[derive(Debug, Default)]
pub struct Agreement {
    leaders: BTreeMap<u64, NodeId>,
    applied: BTreeMap<u64, Applied>,
    /// The last position of the current life of each node; missing or 0 for an empty state machine.
    last: BTreeMap<NodeId, u64>,
}

#[derive(Debug)]
struct Applied {
    digest: u64,
    first: NodeId,
    /// The lowest position from which any life went straight to this one.
    after: u64,
}

impl Agreement {
    /// A node begins a new life, with an empty state machine until it says otherwise.
    pub fn reborn(&mut self, node: NodeId) {
        self.last.remove(&node);
    }

    /// A node reports. What follows after a violation is held against what the node says of itself, so that one
    /// mistake is not told again with each entry after it.
    ///
    /// # Errors
    /// The sentence says which invariant is broken and by what.
    pub fn observe(&mut self, node: NodeId, event: &Event) -> Result<(), String> {
        match *event {
            Event::Leading { epoch } => self.leads(node, epoch),
            Event::Applied { position, digest } => self.applies(node, position, digest),
            Event::Restored { position } => {
                self.last.insert(node, position);
                Ok(())
            }
            Event::Following { .. } | Event::Looking | Event::Reached(_) => Ok(()),
        }
    }

    /// The highest position that any node has applied, 0 for none.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.applied.last_key_value().map_or(0, |(&position, _)| position)
    }

    /// The position that a node's current life has reached, 0 for none.
    #[must_use]
    pub fn position(&self, node: NodeId) -> u64 {
        self.last.get(&node).copied().unwrap_or(0)
    }

    fn leads(&mut self, node: NodeId, epoch: u64) -> Result<(), String> {
        let first = *self.leaders.entry(epoch).or_insert(node);
        if first == node {
            return Ok(());
        }
        Err(format!("leader uniqueness: {node} leads epoch {epoch}, which {first} has led"))
    }

    fn applies(&mut self, node: NodeId, position: u64, digest: u64) -> Result<(), String> {
        let last = self.last.insert(node, position).unwrap_or(0);
        if position <= last {
            return Err(format!("order: {node} applies {position:#x} after {last:#x}"));
        }
        if let Some((skipped, by)) = self.applied.range(last + 1..position).next() {
            let first = by.first;
            return Err(format!(
                "prefix: {node} goes from {last:#x} to {position:#x} and leaves out {skipped:#x}, which {first} applied"
            ));
        }
        if let Some(known) = self.applied.get_mut(&position) {
            if known.digest != digest {
                return Err(format!(
                    "agreement: {node} applies an entry with digest {digest:#x} at {position:#x}, where {} applied one with {:#x}",
                    known.first, known.digest
                ));
            }
            known.after = known.after.min(last);
            return Ok(());
        }
        if let Some((next, by)) = self.applied.range(position..).next()
            && by.after < position
        {
            return Err(format!(
                "prefix: {node} applies {position:#x}, which another life left out when it went from {:#x} to {next:#x} \
                 (first applied by {})",
                by.after, by.first
            ));
        }
        self.applied.insert(position, Applied { digest, first: node, after: last });
        Ok(())
    }
}
